// The set-up code: who brings it becomes the owner, once, while there is none; guessing it is counted and recorded.
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { createRecorder } from "../../src/access/recorded.ts";
import { createSetUp, createSetupCloser, parseSetupCode } from "../../src/access/set-up.ts";
import type { SetUp } from "../../src/access/set-up.ts";
import { noticeSignIns } from "../../src/auth/noticed-sign-in.ts";
import { createBrowserSessions } from "../../src/auth/browser-session.ts";
import { defineGatehouse } from "../../src/config.ts";
import { newId } from "../../src/lib/ids.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import { NO_RECORD } from "../../src/policy/model.ts";
import { requireEmailAddress } from "../../src/policy/names.ts";
import { createBrowserSessionStore } from "../../src/storage/browser-sessions.ts";
import { addRole, removeMember } from "../../src/storage/member-statements.ts";
import { closeSetup } from "../../src/storage/setup-statements.ts";
import { openSetup } from "../../src/storage/setup.ts";
import { createSetUpRoutes } from "../../src/web/set-up.tsx";
import { createBrowser, readForm } from "../support/forms.ts";
import { ledgerOf, members, roleChanges } from "../support/members.ts";
import { ORIGIN, callTool, tokenOf } from "../support/worker.ts";

const CODE = "K7QF2-9XW3M-PLT5V-H8R4D-CN6YB";

const { policy } = defineGatehouse({
  organisation: { name: "T", contact: "T" },
  sources: {},
  roles: {
    owner: { description: "o", administers: true, rules: [] },
    admin: { description: "a", administers: true, rules: [] },
    reader: { description: "r", rules: [] },
  },
  members: [],
  groups: { admins: ["owner"], readers: ["reader"] },
});

interface World {
  readonly code?: string | undefined;
  readonly nowMs?: number;
  readonly of?: typeof policy;
}

function setUpOf({ code = CODE, nowMs = Date.now(), of = policy }: World = {}): SetUp {
  return createSetUp({
    record: createRecorder({ policy: of, ledgerOf, newId, waitUntil: () => {} }),
    policy: of,
    setup: openSetup(env.GATEHOUSE_DB),
    changes: roleChanges(of),
    code: code === "" ? undefined : code,
    onError: (error) => {
      throw error;
    },
    now: () => nowMs,
  });
}

const person = () => ({ subjectId: newId(), email: `${newId()}@x.example`, groups: [] });

beforeEach(async () => {
  for (const table of ["setup", "setup_try", "member", "subject"])
    await env.GATEHOUSE_DB.prepare(`DELETE FROM ${table}`).run();
});

async function recordsOf(subjectId: string) {
  return (await ledgerOf(subjectId).records(0, 100)).map(({ body }) => JSON.parse(body));
}

describe("the set-up code", () => {
  it("makes who brings it the owner, at once and on the record, without the code in it", async () => {
    const ann = person();
    expect(await setUpOf().isOpen()).toBe(true);
    expect(await setUpOf().enter(ann, ` ${CODE.toLowerCase()}\n`)).toEqual(["owner", "admin"]);
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
    expect(await setUpOf().isOpen()).toBe(false);
  });

  it("works once, also when its owner is gone", async () => {
    const [ann, bob] = [person(), person()];
    await setUpOf().enter(ann, CODE);
    await expect(setUpOf().enter(bob, CODE)).rejects.toMatchObject({ code: "not_allowed" });
    await members.apply(removeMember(ann.email, { by: "operator", nowMs: 1 }));
    await expect(setUpOf().enter(bob, CODE)).rejects.toMatchObject({ code: "not_allowed" });
    expect(await members.find(bob.email)).toBeUndefined();
  });

  it("makes one owner of many who bring it at once", async () => {
    const many = Array.from({ length: 8 }, person);
    const entered = await Promise.allSettled(many.map(async (one) => setUpOf().enter(one, CODE)));
    expect(entered.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await members.list()).toHaveLength(1);
  });

  it("does not work where somebody administers already, by the table or by the file", async () => {
    await members.apply(addRole("boss@x.example", "admin", { by: "operator", nowMs: 1 }));
    expect(await setUpOf().isOpen()).toBe(false);
    await expect(setUpOf().enter(person(), CODE)).rejects.toMatchObject({ code: "not_allowed" });
    await members.apply(removeMember("boss@x.example", { by: "operator", nowMs: 1 }));
    const declared = { ...policy, members: [{ email: "b@x.example", name: "B", roles: ["owner"], attributes: {} }] };
    await expect(setUpOf({ of: declared }).enter(person(), CODE)).rejects.toMatchObject({ code: "not_allowed" });
  });

  it("is none where there is no secret or no role that administers", async () => {
    for (const entered of ["", CODE]) {
      await expect(setUpOf({ code: "" }).enter(person(), entered)).rejects.toMatchObject({ code: "not_allowed" });
    }
    const plain = { ...policy, roles: policy.roles.map((role) => ({ ...role, administers: false })) };
    await expect(setUpOf({ of: plain }).enter(person(), CODE)).rejects.toMatchObject({ code: "not_allowed" });
    expect(await members.list()).toEqual([]);
  });

  it("lets one person enter five wrong codes in an hour", async () => {
    const [ann, nowMs] = [person(), Date.now()];
    for (let count = 0; count < 5; count += 1)
      await expect(setUpOf({ nowMs }).enter(ann, `wrong ${count}`)).rejects.toMatchObject({ code: "not_allowed" });
    await expect(setUpOf({ nowMs }).enter(ann, CODE)).rejects.toMatchObject({ code: "limit_reached" });
    expect((await recordsOf(ann.subjectId)).map(({ outcome }) => outcome.result)).toEqual([
      ...Array.from({ length: 5 }, () => "denied"),
      "failed",
    ]);
    expect(await setUpOf({ nowMs: nowMs + 3_600_000 }).enter(ann, CODE)).toEqual(["owner", "admin"]);
  });

  it("works for the deployer however many wrong codes others have entered", async () => {
    const nowMs = Date.now();
    for (let people = 0; people < 11; people += 1) {
      const one = person();
      for (let count = 0; count < 5; count += 1)
        await expect(setUpOf({ nowMs }).enter(one, "wrong")).rejects.toMatchObject({
          code: people < 10 ? "not_allowed" : "limit_reached",
        });
    }
    expect(await setUpOf({ nowMs }).enter(person(), CODE)).toEqual(["owner", "admin"]);
  });

  it("counts five wrong codes of one person also when they come at once", async () => {
    const ann = person();
    const tries = Array.from({ length: 12 }, async (_value, count) => setUpOf().enter(ann, `wrong ${count}`));
    const codes = (await Promise.allSettled(tries)).map((one) => one.status === "rejected" && one.reason.code);
    expect(codes.filter((code) => code === "not_allowed")).toHaveLength(5);
    expect(codes.filter((code) => code === "limit_reached")).toHaveLength(7);
  });

  it("is not for access tokens", async () => {
    const identity = { ...person(), token: { id: "t", ownerId: "o", roles: ["owner"] } };
    await expect(setUpOf().enter(identity, CODE)).rejects.toMatchObject({ code: "not_allowed" });
    expect(await setUpOf().isOpen()).toBe(true);
  });

  it("is refused at start when it repeats a few characters", () => {
    expect(() => parseSetupCode("1".repeat(20))).toThrow(/^GATEHOUSE_SETUP_CODE is too easy to guess/);
    expect(() => parseSetupCode("abcdAbcdABCDabcdabcd")).toThrow(/^GATEHOUSE_SETUP_CODE is too easy to guess/);
  });

  it.each(["short", "K7QF2-9XW3M-PLT5V"])("is refused at start when it can be guessed: %s", (code) => {
    expect(() => parseSetupCode(code)).toThrow(/^GATEHOUSE_SETUP_CODE is too short/);
    expect(parseSetupCode(undefined)).toBeUndefined();
    expect(parseSetupCode(CODE)).toBe(CODE);
  });
});

describe("set-up is closed for good", () => {
  const known = async (groups: readonly string[]) => {
    const someone = person();
    await members.know({ ...someone, groups, seenMs: Date.now() });
    return someone;
  };

  async function expectClosed(): Promise<void> {
    expect(await setUpOf().isOpen()).toBe(false);
    const refused = person();
    await expect(setUpOf().enter(refused, CODE)).rejects.toMatchObject({ code: "not_allowed" });
    expect(await members.find(refused.email)).toBeUndefined();
  }

  it("when a person who has signed in is in a group with an administering role", async () => {
    await known(["admins"]);
    // The code alone must not open what the page does not show.
    await expect(setUpOf().enter(person(), CODE)).rejects.toMatchObject({ code: "not_allowed" });
    await expectClosed();
  });

  it("also after that person has left the group", async () => {
    const boss = await known(["admins"]);
    expect(await setUpOf().isOpen()).toBe(false);
    await members.know({ ...boss, groups: [], seenMs: Date.now() });
    await expectClosed();
  });

  it("by no group without an administering role", async () => {
    await known(["readers", "Admins", "admins2"]);
    expect(await setUpOf().isOpen()).toBe(true);
  });

  it("when the person who enters the code has an administering role by a group", async () => {
    const boss = { ...person(), groups: ["admins"] };
    await expect(setUpOf().enter(boss, CODE)).rejects.toMatchObject({ code: "not_allowed" });
    await env.GATEHOUSE_DB.prepare("UPDATE subject SET groups = '[]'").run();
    await expectClosed();
  });

  it("also after the only member with an administering role was removed", async () => {
    await members.apply(addRole("boss@x.example", "admin", { by: "operator", nowMs: 1 }));
    expect(await setUpOf().isOpen()).toBe(false);
    await members.apply(removeMember("boss@x.example", { by: "operator", nowMs: 2 }));
    await expectClosed();
  });

  it.each(["admins", "readers"])(
    "only by an administering group of a person who signs in or is renewed: %s",
    async (group) => {
      const setup = openSetup(env.GATEHOUSE_DB);
      const closer = () => createSetupCloser({ setup, policy, now: Date.now, onError: () => expect.unreachable() });
      const claims = {
        issuer: "https://id.example",
        subject: newId(),
        email: requireEmailAddress(`${newId()}@x.example`),
        groups: [group],
      };
      const signIn = () =>
        noticeSignIns(
          {
            refusal: () => undefined,
            start: expect.unreachable,
            finish: async () => ({ claims, renewal: undefined }),
            renew: async () => ({ kind: "current", signedIn: { claims, renewal: undefined } }),
          },
          async (identity) => closer()(resolveSubject(policy, identity, NO_RECORD)),
        );
      await signIn().finish(new Request(ORIGIN), undefined);
      expect(await setUpOf().isOpen()).toBe(group === "readers");
      await env.GATEHOUSE_DB.prepare("DELETE FROM setup").run();
      await signIn().renew(undefined);
      expect(await setup.isClosed()).toBe(group === "admins");
    },
  );

  it("when an operator voids the code", async () => {
    const { sql, values } = closeSetup({ by: "operator", nowMs: 1, reason: "voided" });
    await members.apply({ sql, values });
    await expectClosed();
  });

  it("by the first call of the product that an administering person makes", async () => {
    expect(await openSetup(env.GATEHOUSE_DB).isClosed()).toBe(false);
    await callTool(await tokenOf("analyst"), "describe", {});
    expect(await openSetup(env.GATEHOUSE_DB).isClosed()).toBe(false);
    await callTool(await tokenOf("owner"), "describe", {});
    expect(await openSetup(env.GATEHOUSE_DB).isClosed()).toBe(true);
  });
});

describe("its page", () => {
  const store = createBrowserSessionStore(env.GATEHOUSE_DB);
  const sessions = createBrowserSessions({ store, idleSeconds: 600, maxSeconds: 600, now: Date.now });
  const app = createSetUpRoutes({ sessions, setUp: setUpOf() });

  async function browserOf(identity = person()) {
    const [line = ""] = (await sessions.begin(identity)).getSetCookie();
    const [cookie = ""] = line.split(";");
    const browser = createBrowser(async (url, init) => app.request(url, { ...init, headers: { cookie } }));
    const post = async (form: Record<string, string>) =>
      app.request(`${ORIGIN}/set-up`, { method: "POST", headers: { cookie }, body: new URLSearchParams(form) });
    return { browser, post, identity };
  }

  it("asks who comes without a session to sign in first", async () => {
    const response = await app.request(`${ORIGIN}/set-up`);
    expect(response.headers.get("location")).toBe("/sign-in?to=%2Fset-up");
    const posted = await app.request(`${ORIGIN}/set-up`, { method: "POST", body: new URLSearchParams({ code: CODE }) });
    expect(posted.status).toBe(302);
    expect(await members.list()).toEqual([]);
  });

  it("takes the code, and is closed afterwards", async () => {
    const { browser, identity, post } = await browserOf();
    const page = await browser.open(`${ORIGIN}/set-up`);
    const csrf = readForm(page.html).hidden.get("csrf") ?? "";
    expect(page.html).toContain(identity.email);
    expect(page.response.headers.get("x-frame-options")).toBe("DENY");
    expect(await (await post({ csrf, code: CODE })).text()).toContain("owner, admin");
    expect((await browser.open(`${ORIGIN}/set-up`)).response.status).toBe(404);
  });

  it("takes no form of another site, and says nothing of the code that it refuses", async () => {
    const { post, browser } = await browserOf();
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
