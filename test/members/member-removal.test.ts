// The removal of a member: everything that the user has ends, whatever fails or runs meanwhile, and the removal is recorded.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { findBrokenLink } from "../support/broken-link.ts";
import type { Identity } from "../../src/lib/identity.ts";
import { newId } from "../../src/lib/ids.ts";
import { createHub } from "../../src/mcp/subscriptions/hub.ts";
import { addRole } from "../../src/members/member-statements.ts";
import { createMemberRemovals } from "../../src/members/member-removal.ts";
import { openRemovalStore } from "../../src/members/removal-store.ts";
import { createConnections } from "../../src/oauth/connections.ts";
import { derivePatSubjectId } from "../../src/personal-access-tokens/pat-text.ts";
import { personAt } from "../support/browser.ts";
import { accessTokens, ledgerOf, members, subjectIdOf } from "../support/members.ts";
import { exchangeCode, register, signIn } from "../support/oauth.ts";
import { seedShop } from "../support/seed.ts";
import { ORIGIN, callTool, flow, openSession, post, post2026, send, tokenOf } from "../support/worker.ts";

const QUERY = { source: "shop", sql: "SELECT id FROM customers ORDER BY id" };
const DESCRIBE = { name: "describe", arguments: {} };
const removals = openRemovalStore(env.GATEHOUSE_DB);
const workspaceOf = (subjectId: string) => env.WORKSPACE.get(env.WORKSPACE.idFromName(subjectId));
const statusOf = async (token: string): Promise<number> => (await post2026(token, "tools/call", DESCRIBE)).status;
const propagate = async (): Promise<number> => (await send(`${ORIGIN}/api/upkeep`, { method: "POST" })).status;
const requestOf = (email: string) => ({ id: newId(), email, by: "operator", nowMs: Date.now() });

/** The records of an operation in a user's ledger. */
async function recordsOf(email: string, operation: string) {
  const records = await ledgerOf(await subjectIdOf(email)).listRecords(0, 1000);
  expect(findBrokenLink(records)).toBeNull();
  return records.map(({ body }) => JSON.parse(body)).filter(({ attempt }) => attempt.operation === operation);
}

/** What a user has after a sign-in with a client, a session, a result, a browser session and a personal access token with a result. */
async function equip(name: "analyst" | "support" | "reviewer", roles: readonly string[]) {
  const email = `${name}@harbor.example`;
  const accessToken = await tokenOf(name);
  const session = await openSession(accessToken);
  await callTool(accessToken, "query", QUERY);
  const person = await personAt(email);
  const { body } = await person.api("POST", "/tokens", { name: "ci", roles, days: 1 });
  const [pat, patId] = [String(body["token"]), String(body["id"])];
  await callTool(pat, "query", QUERY);
  return { email, accessToken, session, person, pat, patId, subjectId: await subjectIdOf(email) };
}

beforeAll(seedShop);

describe("the removal of a member through the API", () => {
  it("ends everything that the user has, says what, and records it in both ledgers", async () => {
    const user = await equip("support", ["support"]);
    const owner = await personAt("owner@harbor.example");
    const reply = await owner.api("DELETE", `/members/${user.email}`);
    const ended = [
      "1 connection (Test client)",
      "1 personal access token (ci)",
      "1 browser session",
      "1 session",
      "2 results",
    ];
    expect(reply.body).toEqual({
      acts: "at the next request",
      ended,
      warnings: [
        `The policy file still gives ${user.email} the role support, the attribute region. Remove that in the policy file.`,
      ],
    });
    for (const token of [user.accessToken, user.pat]) expect(await statusOf(token)).toBe(401);
    const ping = await post(
      user.accessToken,
      { jsonrpc: "2.0", id: 1, method: "ping" },
      { "mcp-session-id": user.session },
    );
    expect(ping.status).toBe(401);
    expect((await user.person.api("GET", "/session")).status).toBe(401);
    expect(await createHub(env.HUB).countOpenSessions(user.subjectId)).toBe(0);
    for (const subjectId of [user.subjectId, await derivePatSubjectId(user.patId)])
      expect((await workspaceOf(subjectId).open([])).results).toEqual([]);
    const [record, ...others] = await recordsOf(user.email, "member removed");
    expect(others).toEqual([]);
    expect(JSON.parse(record.attempt.asked)).toEqual({ by: "owner@harbor.example", email: user.email, ended });
    expect((await recordsOf("owner@harbor.example", "remove member")).at(-1)).toMatchObject({
      attempt: { asked: user.email },
      outcome: { result: "answered" },
    });
    expect(await recordsOf(user.email, "end connection")).toMatchObject([
      { attempt: { asked: expect.stringContaining("the member was removed") } },
    ]);

    const again = await tokenOf("support");
    expect((await callTool(again, "query", QUERY)).wire).toContain('"result":"r2"');
    expect((await callTool(again, "fetch", { id: "r1" })).wire).toContain("There is no result r1");
  });

  it("answers an owner who removes their own access, and records both", async () => {
    const email = "guest@harbor.example";
    await members.applyChange(addRole(email, "owner", { by: "operator", nowMs: 1 }));
    await propagate();
    const guest = await personAt(email);
    const reply = await guest.api("DELETE", `/members/${email}`);
    expect([reply.status, reply.body["ended"]]).toEqual([200, ["1 browser session"]]);
    expect((await guest.api("GET", "/session")).status).toBe(401);
    expect(await recordsOf(email, "remove member")).toMatchObject([{ outcome: { result: "answered" } }]);
    expect(await recordsOf(email, "member removed")).toHaveLength(1);
  });

  it("is not allowed without an administering role, and ends nothing", async () => {
    const accessToken = await tokenOf("support");
    const analyst = await personAt("analyst@harbor.example");
    expect((await analyst.api("DELETE", "/members/support@harbor.example")).status).toBe(403);
    expect(await statusOf(accessToken)).toBe(200);
  });
});

describe("a removal that is stored", () => {
  it("ends personal access tokens and browser sessions before it is propagated", async () => {
    const user = await equip("reviewer", ["analyst"]);
    const request = requestOf(user.email);
    await removals.remove(request);
    expect(await statusOf(user.pat)).toBe(401);
    expect((await user.person.api("GET", "/session")).status).toBe(401);
    expect(await removals.find(request.id)).toMatchObject({ isDone: false, objects: undefined, browserSessions: 1 });
    expect(await propagate()).toBe(204);
    expect(await statusOf(user.accessToken)).toBe(401);
    expect(await removals.find(request.id)).toMatchObject({ isDone: true, objects: { results: 2, sessions: 1 } });
  });

  it("ends a sign-in without a call, a code that was not exchanged, and a browser session without a ledger", async () => {
    const email = "once@harbor.example";
    await members.applyChange(addRole(email, "analyst", { by: "operator", nowMs: 1 }));
    const client = await register(flow);
    const { accessToken } = await exchangeCode(flow, client, await signIn(flow, client, email));
    const callback = await signIn(flow, client, email);
    const person = await personAt(email);
    await env.GATEHOUSE_DB.prepare("DELETE FROM subject WHERE email = ?").bind(email).run();
    const request = requestOf(email);
    await removals.remove(request);
    await propagate();
    expect(await statusOf(accessToken)).toBe(401);
    await expect(exchangeCode(flow, client, callback)).rejects.toThrow("invalid_grant");
    expect((await person.api("GET", "/session")).status).toBe(401);
    expect((await removals.find(request.id))?.objects?.connections).toHaveLength(1);
  });

  it("finds a sign-in that has made no call", async () => {
    const email = "silent@harbor.example";
    await members.applyChange(addRole(email, "analyst", { by: "operator", nowMs: 1 }));
    const client = await register(flow);
    const { accessToken } = await exchangeCode(flow, client, await signIn(flow, client, email));
    await removals.remove(requestOf(email));
    await propagate();
    expect(await statusOf(accessToken)).toBe(401);
  });

  it("ends nothing when it is only a look", async () => {
    const user = await equip("analyst", ["analyst"]);
    const request = requestOf(user.email);
    await removals.look(request);
    await propagate();
    expect(await removals.find(request.id)).toMatchObject({
      isDone: true,
      browserSessions: expect.any(Number),
      objects: { results: 2 },
    });
    for (const token of [user.accessToken, user.pat]) expect(await statusOf(token)).toBe(200);
    expect((await user.person.api("GET", "/session")).status).toBe(200);
  });

  it("is recorded when the ledger of the user is full", async () => {
    const email = "analyst@harbor.example";
    const fill = async (change: string): Promise<void> =>
      runInDurableObject(ledgerOf(await subjectIdOf(email)), async (_object, { storage }) => {
        storage.sql.exec(`UPDATE head SET bytes = bytes ${change} 1000000000`);
      });
    await tokenOf("analyst");
    await fill("+");
    await removals.remove(requestOf(email));
    expect(await propagate()).toBe(204);
    await fill("-");
    expect(await recordsOf(email, "member removed")).toHaveLength(1);
  });
});

describe("work that runs while its user is removed", () => {
  /** A user with a ledger, who has no connection. */
  async function createUser() {
    const identity: Identity = { subjectId: newId(), email: `${newId()}@x.example`, groups: [] };
    const ledger = ledgerOf(identity.subjectId);
    const begin = async (call: string, caller: Identity = identity) =>
      ledger.begin(
        { call, subjectId: caller.subjectId, owner: null, clientId: "c", operation: "query", asked: "" },
        caller,
        1,
        "shop",
        "call",
        { mayStoreResult: true },
      );
    return { identity, ledger, begin };
  }

  const ANSWERED = {
    result: "answered",
    code: null,
    roles: [],
    datasets: [],
    rules: [],
    denials: [],
    masked: [],
    untrusted: [],
    rows: 1,
    cut: false,
    kept: "r1",
  } as const;
  const FREED = { queryLock: "freed", bookmark: null } as const;

  it("commits no running call, and stores no result of it afterwards", async () => {
    const { identity, ledger, begin } = await createUser();
    const call = newId();
    expect(await begin(call)).toMatchObject({ ok: true, results: { number: 1 } });
    const request = requestOf(identity.email);
    await removals.remove(request);
    await propagate();
    expect((await removals.find(request.id))?.objects?.calls).toBe(1);
    expect(await ledger.commit(call, ANSWERED, FREED)).toEqual({ ok: false, reason: "no_lease" });
    const rows = { columns: [], rows: ["[1]"], pages: [0], origin: "{}" };
    const late = { call, number: 1, ownerId: identity.subjectId, ...rows };
    expect(await workspaceOf(identity.subjectId).keep(late, [])).toEqual({ ok: false, lastNumber: 1 });
    // The lock is free again, and results go on behind the numbers that were used.
    expect(await begin(newId())).toMatchObject({ ok: true, results: { number: 2, committedCalls: [] } });
  });

  it("begins no call of a personal access token that waits for its query lock", async () => {
    const { identity, ledger, begin } = await createUser();
    const [first, patId] = [newId(), newId()];
    await begin(first);
    const times = { nowMs: Date.now(), expiresMs: Date.now() + 60_000 };
    const pat = {
      id: patId,
      hash: newId(),
      ownerId: identity.subjectId,
      name: "ci",
      roles: [],
      by: "operator",
      ...times,
    };
    await accessTokens.add(pat, { maxActive: 5, maxPerDay: 5 });
    const token = { id: patId, ownerId: identity.subjectId, roles: [] };
    const waiting = begin(newId(), { ...identity, subjectId: newId(), token });
    await removals.remove(requestOf(identity.email));
    await propagate();
    await ledger.release(first);
    expect(await waiting).toEqual({ ok: false, reason: "grant_ended" });
  });

  it("accepts no answer to a question that was asked before", async () => {
    const { identity, ledger, begin } = await createUser();
    await begin(newId());
    await ledger.openHandle({ handle: "h", call: "c", binding: "b", state: "s", ttlSeconds: 60 });
    const request = requestOf(identity.email);
    await removals.remove(request);
    await propagate();
    expect((await removals.find(request.id))?.objects?.questions).toBe(1);
    expect(await ledger.spendHandle("h", "b")).toEqual({ kind: "unknown" });
  });
});

describe("a removal that is cut off", () => {
  /** Creates the removal of members whose `failing`th step never happens. `steps.count` counts the steps. */
  function createFailing(failing: number, steps: { count: number }) {
    const step = async <T>(work: () => Promise<T>): Promise<T> => {
      steps.count += 1;
      if (steps.count === failing) throw new Error("the process ended");
      return work();
    };
    const watch = <T extends object>(target: T): T =>
      new Proxy(target, {
        get: (_target, name) => {
          const method: unknown = Reflect.get(target, name);
          return typeof method === "function"
            ? async (...args: unknown[]) => step(async () => Reflect.apply(method, target, args))
            : method;
        },
      });
    return createMemberRemovals({
      removals: watch(removals),
      members: watch(members),
      pats: watch(accessTokens),
      connections: watch(createConnections(env.GRANT)),
      sessions: watch(createHub(env.HUB)),
      openLedger: (subjectId) => watch(ledgerOf(subjectId)),
      openWorkspace: (subjectId) => watch(workspaceOf(subjectId)),
      now: Date.now,
    });
  }

  /** A new user with a connection, a session, a result and a personal access token. */
  async function createUser() {
    const email = `${newId()}@harbor.example`;
    await members.applyChange(addRole(email, "analyst", { by: "operator", nowMs: 1 }));
    const client = await register(flow);
    const { accessToken } = await exchangeCode(flow, client, await signIn(flow, client, email));
    await openSession(accessToken);
    await callTool(accessToken, "query", QUERY);
    const pat = {
      id: newId(),
      hash: newId(),
      ownerId: await subjectIdOf(email),
      name: "ci",
      roles: [],
      by: "operator",
    };
    const times = { nowMs: Date.now(), expiresMs: Date.now() + 60_000 };
    await accessTokens.add({ ...pat, ...times }, { maxActive: 5, maxPerDay: 5 });
    return { email, accessToken };
  }

  it("is completed by the next run, whichever step it ended at, with the numbers of the first", async () => {
    const steps = { count: 0 };
    for (let failing = 1; failing === 1 || steps.count >= failing - 1; failing += 1) {
      const user = await createUser();
      const request = requestOf(user.email);
      await removals.remove(request);
      steps.count = 0;
      const isCut = await createFailing(failing, steps)
        .carryOut()
        .then(
          () => false,
          () => true,
        );
      if (!isCut) {
        expect(steps.count).toBe(failing - 1);
        break;
      }
      expect(await removals.find(request.id)).toMatchObject({ isDone: false });
      await propagate();
      expect(await removals.find(request.id)).toMatchObject({
        isDone: true,
        objects: { connections: [{ clientName: "Test client" }], sessions: 1, results: 1 },
      });
      expect(await statusOf(user.accessToken)).toBe(401);
      const records = await recordsOf(user.email, "member removed");
      expect(records.filter(({ attempt }) => attempt.call === `member removed ${request.id}`)).toHaveLength(1);
    }
    expect(steps.count).toBeGreaterThan(10);
  }, 120_000);
});
