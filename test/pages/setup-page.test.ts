// The setup code: the first user who enters it becomes the owner, once, while there is no owner; wrong codes are counted and recorded.
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { createWithAudit } from "../../src/audit/audit.ts";
import { createSetup, createSetupCloser, parseSetupCode } from "../../src/members/setup.ts";
import type { Setup } from "../../src/members/setup.ts";
import { observeSignIns } from "../../src/sign-in/sign-in-observer.ts";
import { createBrowserSessions } from "../../src/sign-in/browser-session.ts";
import { newId } from "../../src/lib/ids.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import { requireEmailAddress } from "../../src/policy/member-input.ts";
import { createBrowserSessionStore } from "../../src/sign-in/browser-session-store.ts";
import { addRole, removeMember } from "../../src/members/member-statements.ts";
import { closeSetup } from "../../src/members/setup-statements.ts";
import { openSetupStore } from "../../src/members/setup-store.ts";
import { createSetupRoutes } from "../../src/pages/setup-page.tsx";
import { createBrowser, readForm } from "../support/forms.ts";
import { ledgerOf, members, roleChanges } from "../support/members.ts";
import { buildPolicy } from "../support/policy-builder.ts";
import { ORIGIN, callTool, tokenOf } from "../support/worker.ts";

const CODE = "K7QF2-9XW3M-PLT5V-H8R4D-CN6YB";

const { policy } = buildPolicy({
  roles: { owner: { administers: true, rules: [] }, admin: { administers: true, rules: [] }, reader: [] },
  members: {},
  groups: { admins: ["owner"], readers: ["reader"] },
});

interface TestSetupOptions {
  readonly code?: string | undefined;
  readonly nowMs?: number;
  readonly usedPolicy?: typeof policy;
}

function createTestSetup({ code = CODE, nowMs = Date.now(), usedPolicy = policy }: TestSetupOptions = {}): Setup {
  return createSetup({
    withAudit: createWithAudit({ policy: usedPolicy, openLedger: ledgerOf, newId, waitUntil: () => {} }),
    policy: usedPolicy,
    setupStore: openSetupStore(env.GATEHOUSE_DB),
    roleChanges: roleChanges(usedPolicy),
    code: code === "" ? undefined : code,
    onError: (error) => {
      throw error;
    },
    now: () => nowMs,
  });
}

const createIdentity = () => ({ subjectId: newId(), email: `${newId()}@x.example`, groups: [] });

beforeEach(async () => {
  for (const table of ["setup", "setup_attempt", "member", "subject"])
    await env.GATEHOUSE_DB.prepare(`DELETE FROM ${table}`).run();
});

async function recordsOf(subjectId: string) {
  return (await ledgerOf(subjectId).listRecords(0, 100)).map(({ body }) => JSON.parse(body));
}

describe("the setup code", () => {
  it("makes the user who enters it the owner at once, with an audit record that does not contain the code", async () => {
    const ann = createIdentity();
    expect(await createTestSetup().isOpen()).toBe(true);
    expect(await createTestSetup().enterCode(ann, ` ${CODE.toLowerCase()}\n`)).toEqual(["owner", "admin"]);
    expect(await members.find(ann.email)).toMatchObject({
      roles: [
        { role: "owner", by: "set-up code" },
        { role: "admin", by: "set-up code" },
      ],
    });
    const records = await recordsOf(ann.subjectId);
    expect(records).toMatchObject([
      { attempt: { operation: "member changed" }, outcome: { roles: ["owner", "admin"] } },
      { attempt: { operation: "enter set-up code", asked: "" }, outcome: { result: "answered" } },
    ]);
    expect(JSON.stringify(records).toUpperCase()).not.toContain(CODE);
    expect(await createTestSetup().isOpen()).toBe(false);
  });

  it("works only once, even when the owner has been removed", async () => {
    const [ann, bob] = [createIdentity(), createIdentity()];
    await createTestSetup().enterCode(ann, CODE);
    await expect(createTestSetup().enterCode(bob, CODE)).rejects.toMatchObject({ code: "not_allowed" });
    await members.applyChange(removeMember(ann.email, { by: "operator", nowMs: 1 }));
    await expect(createTestSetup().enterCode(bob, CODE)).rejects.toMatchObject({ code: "not_allowed" });
    expect(await members.find(bob.email)).toBeUndefined();
  });

  it("makes only one owner when several users enter it at the same time", async () => {
    const users = Array.from({ length: 8 }, createIdentity);
    const entered = await Promise.allSettled(users.map(async (user) => createTestSetup().enterCode(user, CODE)));
    expect(entered.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await members.list()).toHaveLength(1);
  });

  it("does not work when a member already has an administering role, by the table or by the policy file", async () => {
    await members.applyChange(addRole("boss@x.example", "admin", { by: "operator", nowMs: 1 }));
    expect(await createTestSetup().isOpen()).toBe(false);
    await expect(createTestSetup().enterCode(createIdentity(), CODE)).rejects.toMatchObject({ code: "not_allowed" });
    await members.applyChange(removeMember("boss@x.example", { by: "operator", nowMs: 1 }));
    const policyWithOwner = {
      ...policy,
      members: [{ email: "b@x.example", name: "B", roles: ["owner"], attributes: {} }],
    };
    await expect(
      createTestSetup({ usedPolicy: policyWithOwner }).enterCode(createIdentity(), CODE),
    ).rejects.toMatchObject({ code: "not_allowed" });
  });

  it("does not work without the secret, or when no role administers", async () => {
    for (const enteredCode of ["", CODE]) {
      await expect(createTestSetup({ code: "" }).enterCode(createIdentity(), enteredCode)).rejects.toMatchObject({
        code: "not_allowed",
      });
    }
    const policyWithoutAdmins = { ...policy, roles: policy.roles.map((role) => ({ ...role, administers: false })) };
    await expect(
      createTestSetup({ usedPolicy: policyWithoutAdmins }).enterCode(createIdentity(), CODE),
    ).rejects.toMatchObject({ code: "not_allowed" });
    expect(await members.list()).toEqual([]);
  });

  it("refuses a user after five wrong codes in an hour", async () => {
    const [ann, nowMs] = [createIdentity(), Date.now()];
    for (let count = 0; count < 5; count += 1)
      await expect(createTestSetup({ nowMs }).enterCode(ann, `wrong ${count}`)).rejects.toMatchObject({
        code: "not_allowed",
      });
    await expect(createTestSetup({ nowMs }).enterCode(ann, CODE)).rejects.toMatchObject({ code: "limit_reached" });
    expect((await recordsOf(ann.subjectId)).map(({ outcome }) => outcome.result)).toEqual([
      ...Array.from({ length: 5 }, () => "denied"),
      "failed",
    ]);
    expect(await createTestSetup({ nowMs: nowMs + 3_600_000 }).enterCode(ann, CODE)).toEqual(["owner", "admin"]);
  });

  it("works for the deployer when other users have entered many wrong codes", async () => {
    const nowMs = Date.now();
    for (let userCount = 0; userCount < 11; userCount += 1) {
      const attacker = createIdentity();
      for (let count = 0; count < 5; count += 1)
        await expect(createTestSetup({ nowMs }).enterCode(attacker, "wrong")).rejects.toMatchObject({
          code: userCount < 10 ? "not_allowed" : "limit_reached",
        });
    }
    expect(await createTestSetup({ nowMs }).enterCode(createIdentity(), CODE)).toEqual(["owner", "admin"]);
  });

  it("refuses a user after five wrong codes that arrive at the same time", async () => {
    const ann = createIdentity();
    const attempts = Array.from({ length: 12 }, async (_value, count) =>
      createTestSetup().enterCode(ann, `wrong ${count}`),
    );
    const codes = (await Promise.allSettled(attempts)).map(
      (attempt) => attempt.status === "rejected" && attempt.reason.code,
    );
    expect(codes.filter((code) => code === "not_allowed")).toHaveLength(5);
    expect(codes.filter((code) => code === "limit_reached")).toHaveLength(7);
  });

  it("does not work for a personal access token", async () => {
    const identity = { ...createIdentity(), token: { id: "t", ownerId: "o", roles: ["owner"] } };
    await expect(createTestSetup().enterCode(identity, CODE)).rejects.toMatchObject({ code: "not_allowed" });
    expect(await createTestSetup().isOpen()).toBe(true);
  });

  it("is refused at start when it has too few different characters", () => {
    expect(() => parseSetupCode("1".repeat(20))).toThrow(/^GATEHOUSE_SETUP_CODE is too easy to guess/);
    expect(() => parseSetupCode("abcdAbcdABCDabcdabcd")).toThrow(/^GATEHOUSE_SETUP_CODE is too easy to guess/);
  });

  it.each(["short", "K7QF2-9XW3M-PLT5V"])("is refused at start when it is too short: %s", (code) => {
    expect(() => parseSetupCode(code)).toThrow(/^GATEHOUSE_SETUP_CODE is too short/);
    expect(parseSetupCode(undefined)).toBeUndefined();
    expect(parseSetupCode(CODE)).toBe(CODE);
  });
});

describe("setup", () => {
  const registerUser = async (groups: readonly string[]) => {
    const user = createIdentity();
    await members.registerSubject({ ...user, groups, seenMs: Date.now() });
    return user;
  };

  async function expectClosed(): Promise<void> {
    expect(await createTestSetup().isOpen()).toBe(false);
    const refused = createIdentity();
    await expect(createTestSetup().enterCode(refused, CODE)).rejects.toMatchObject({ code: "not_allowed" });
    expect(await members.find(refused.email)).toBeUndefined();
  }

  it("closes for good when a user who has signed in is in a group with an administering role", async () => {
    await registerUser(["admins"]);
    // The code must be refused even when the page was not opened first.
    await expect(createTestSetup().enterCode(createIdentity(), CODE)).rejects.toMatchObject({ code: "not_allowed" });
    await expectClosed();
  });

  it("stays closed after that user has left the group", async () => {
    const boss = await registerUser(["admins"]);
    expect(await createTestSetup().isOpen()).toBe(false);
    await members.registerSubject({ ...boss, groups: [], seenMs: Date.now() });
    await expectClosed();
  });

  it("stays open when users are only in groups without an administering role", async () => {
    await registerUser(["readers", "Admins", "admins2"]);
    expect(await createTestSetup().isOpen()).toBe(true);
  });

  it("closes for good when the user who enters the code has an administering role from a group", async () => {
    const boss = { ...createIdentity(), groups: ["admins"] };
    await expect(createTestSetup().enterCode(boss, CODE)).rejects.toMatchObject({ code: "not_allowed" });
    await env.GATEHOUSE_DB.prepare("UPDATE subject SET groups = '[]'").run();
    await expectClosed();
  });

  it("stays closed after the only member with an administering role was removed", async () => {
    await members.applyChange(addRole("boss@x.example", "admin", { by: "operator", nowMs: 1 }));
    expect(await createTestSetup().isOpen()).toBe(false);
    await members.applyChange(removeMember("boss@x.example", { by: "operator", nowMs: 2 }));
    await expectClosed();
  });

  it.each(["admins", "readers"])(
    "closes at sign-in and renewal only when the user's group administers: %s",
    async (group) => {
      const setupStore = openSetupStore(env.GATEHOUSE_DB);
      const createCloser = () =>
        createSetupCloser({ setupStore, policy, now: Date.now, onError: () => expect.unreachable() });
      const claims = {
        issuer: "https://id.example",
        subject: newId(),
        email: requireEmailAddress(`${newId()}@x.example`),
        groups: [group],
      };
      const signIn = () =>
        observeSignIns(
          {
            findRefusal: () => undefined,
            start: expect.unreachable,
            finish: async () => ({ claims, renewal: undefined }),
            renew: async () => ({ kind: "current", signedIn: { claims, renewal: undefined } }),
          },
          async (identity) => createCloser()(resolveSubject(policy, identity, NO_MEMBER_RECORD)),
        );
      await signIn().finish(new Request(ORIGIN), undefined);
      expect(await createTestSetup().isOpen()).toBe(group === "readers");
      await env.GATEHOUSE_DB.prepare("DELETE FROM setup").run();
      await signIn().renew(undefined);
      expect(await setupStore.isClosed()).toBe(group === "admins");
    },
  );

  it("closes for good when an operator voids the code", async () => {
    const { sql, values } = closeSetup({ by: "operator", nowMs: 1, reason: "voided" });
    await members.applyChange({ sql, values });
    await expectClosed();
  });

  it("closes for good at the first tool call of a user with an administering role", async () => {
    expect(await openSetupStore(env.GATEHOUSE_DB).isClosed()).toBe(false);
    await callTool(await tokenOf("analyst"), "describe", {});
    expect(await openSetupStore(env.GATEHOUSE_DB).isClosed()).toBe(false);
    await callTool(await tokenOf("owner"), "describe", {});
    expect(await openSetupStore(env.GATEHOUSE_DB).isClosed()).toBe(true);
  });
});

describe("the setup page", () => {
  const store = createBrowserSessionStore(env.GATEHOUSE_DB);
  const sessions = createBrowserSessions({ store, idleSeconds: 600, maxSeconds: 600, now: Date.now });
  const app = createSetupRoutes({ sessions, setup: createTestSetup() });

  async function signInBrowser(identity = createIdentity()) {
    const [line = ""] = (await sessions.begin(identity)).getSetCookie();
    const [cookie = ""] = line.split(";");
    const browser = createBrowser(async (url, init) => app.request(url, { ...init, headers: { cookie } }));
    const post = async (form: Record<string, string>) =>
      app.request(`${ORIGIN}/set-up`, { method: "POST", headers: { cookie }, body: new URLSearchParams(form) });
    return { browser, post, identity };
  }

  it("redirects a user without a session to sign-in", async () => {
    const response = await app.request(`${ORIGIN}/set-up`);
    expect(response.headers.get("location")).toBe("/sign-in?to=%2Fset-up");
    const posted = await app.request(`${ORIGIN}/set-up`, { method: "POST", body: new URLSearchParams({ code: CODE }) });
    expect(posted.status).toBe(302);
    expect(await members.list()).toEqual([]);
  });

  it("accepts the code, and answers 404 afterwards", async () => {
    const { browser, identity, post } = await signInBrowser();
    const page = await browser.open(`${ORIGIN}/set-up`);
    const csrf = readForm(page.html).hidden.get("csrf") ?? "";
    expect(page.html).toContain(identity.email);
    expect(page.response.headers.get("x-frame-options")).toBe("DENY");
    expect(await (await post({ csrf, code: CODE })).text()).toContain("owner, admin");
    expect((await browser.open(`${ORIGIN}/set-up`)).response.status).toBe(404);
  });

  it("refuses a form without the session's CSRF token, and does not show a wrong code", async () => {
    const { post, browser } = await signInBrowser();
    expect((await post({ code: CODE })).status).toBe(403);
    expect((await post({ code: CODE, csrf: "0".repeat(64) })).status).toBe(403);
    expect(await members.list()).toEqual([]);
    const csrf = readForm((await browser.open(`${ORIGIN}/set-up`)).html).hidden.get("csrf") ?? "";
    const refused = await post({ csrf, code: "<b>wrong</b>" });
    expect(refused.status).toBe(403);
    const html = await refused.text();
    expect(html).toContain("This code does not work");
    expect(html).not.toContain("wrong");
  });
});
