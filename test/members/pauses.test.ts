// Pauses by an operator: they stop a user, a personal access token, a client or a source with the next request, also with a call that runs,
// lose nothing, and reach every ledger whatever fails meanwhile.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { INTERRUPTED_OUTCOME } from "../../src/audit/audit-record.ts";
import { findBrokenLink } from "../support/broken-link.ts";
import { newId } from "../../src/lib/ids.ts";
import { openMemberStore } from "../../src/members/member-store.ts";
import { createPauseChanges } from "../../src/members/pause-changes.ts";
import { openPauseStore } from "../../src/members/pause-store.ts";
import type { PauseRequest, PropagatedPause } from "../../src/members/pause-store.ts";
import { personAt } from "../support/browser.ts";
import { accessTokens, ledgerOf, members, subjectIdOf } from "../support/members.ts";
import { register, exchangeCode, signIn } from "../support/oauth.ts";
import { seedShop } from "../support/seed.ts";
import { ORIGIN, RESOURCE, callTool, flow, openSession, post, post2026, send, tokenOf } from "../support/worker.ts";

const QUERY = { source: "shop", sql: "SELECT id FROM customers ORDER BY id" };
const ANALYST = "analyst@harbor.example";
const pauses = openPauseStore(env.GATEHOUSE_DB);

type Target = Pick<PauseRequest, "kind" | "target"> & Partial<PauseRequest>;

const change = async (target: Target, isPaused = true): Promise<void> =>
  pauses.apply({ subjectIds: [], reason: "", untilMs: null, by: "operator", nowMs: Date.now(), ...target, isPaused });
const upkeep = async (): Promise<number> => (await send(`${ORIGIN}/api/upkeep`, { method: "POST" })).status;
const pause = async (target: Target): Promise<void> => {
  await change(target);
  expect(await upkeep()).toBe(204);
};
const resume = async (target: Target): Promise<void> => {
  await change(target, false);
  expect(await upkeep()).toBe(204);
};

/** Propagates pauses; the ledgers in `unreachable` do not answer. */
async function propagate(unreachable: ReadonlySet<string> = new Set()) {
  const [propagated, errors]: [PropagatedPause[], unknown[]] = [[], []];
  await createPauseChanges({
    pauses,
    openLedger: (subjectId) =>
      unreachable.has(subjectId)
        ? { applyPauses: async () => Promise.reject(new Error("no answer")) }
        : ledgerOf(subjectId),
    onPropagated: (pausedOrResumed) => propagated.push(pausedOrResumed),
    onError: (error) => errors.push(error),
  }).propagate();
  return { propagated, errors };
}

async function recordsOf(subjectId: string, operation: string) {
  const records = await ledgerOf(subjectId).listRecords(0, 1000);
  expect(findBrokenLink(records)).toBeNull();
  return records.map(({ body }) => JSON.parse(body)).filter(({ attempt }) => attempt.operation === operation);
}

const begin = async (subjectId: string, call: string, lockedSource: string | null = null) =>
  ledgerOf(subjectId).begin(
    { call, subjectId, owner: null, clientId: "c", operation: "query", asked: "" },
    { subjectId, email: `${subjectId}@x.example`, groups: [] },
    1,
    lockedSource,
  );
const ANSWERED = {
  ...INTERRUPTED_OUTCOME,
  result: "answered",
  code: null,
  datasets: ["shop.customers"],
  rows: 1,
} as const;
const AFTER = { queryLock: "freed", bookmark: null } as const;

beforeAll(seedShop);

afterEach(async () => {
  for (const { kind, target, isPaused, subjectIds } of await pauses.list())
    if (isPaused) await change({ kind, target, subjectIds }, false);
  await upkeep();
});

describe("a paused user", () => {
  it("gets the operator's words at the next request, loses nothing, and works again after the pause", async () => {
    const token = await tokenOf("analyst");
    await callTool(token, "query", QUERY);
    const person = await personAt(ANALYST);
    const { body } = await person.api("POST", "/tokens", { name: "ci", roles: ["analyst"], days: 1 });
    const pat = String(body["token"]);
    const target = { kind: "user", target: ANALYST, reason: "We are checking a report." } as const;
    await pause(target);
    for (const caller of [token, pat])
      for (const [tool, input] of [
        ["query", QUERY],
        ["describe", {}],
        ["search", { query: "customers" }],
        ["fetch", { id: "r1" }],
      ] as const) {
        const { wire, result } = await callTool(caller, tool, input);
        expect(wire).toContain("We are checking a report.");
        expect(result).toMatchObject({ isError: true, structuredContent: { error: { code: "paused" } } });
      }
    const read = await post2026(token, "resources/read", { uri: "gatehouse://result/r1" });
    expect(await read.text()).toContain("has paused your access");
    const completion = await post2026(token, "completion/complete", {
      ref: { type: "ref/resource", uri: "gatehouse://dataset/{source}/{table}" },
      argument: { name: "source", value: "" },
    });
    expect(await completion.text()).not.toContain("shop");
    expect(await (await send(ORIGIN, { headers: { cookie: person.cookie } })).text()).toContain(
      "has paused your access",
    );
    await resume(target);
    expect((await callTool(token, "fetch", { id: "r1" })).result["isError"]).toBeUndefined();
    expect((await callTool(pat, "query", QUERY)).result["isError"]).toBeUndefined();

    const subjectId = await subjectIdOf(ANALYST);
    const [paused] = await recordsOf(subjectId, "pause access");
    expect(JSON.parse(paused.attempt.asked)).toEqual({
      by: "operator",
      kind: "user",
      reason: "We are checking a report.",
      until: null,
    });
    const resumed = await recordsOf(subjectId, "resume access");
    expect(resumed.map(({ attempt }) => JSON.parse(attempt.asked))).toEqual([{ by: "operator", kind: "user" }]);
    expect(JSON.stringify([paused, resumed])).not.toContain(ANALYST);
    const refused = (await ledgerOf(subjectId).listRecords(0, 1000)).filter(({ body: text }) =>
      text.includes('"paused"'),
    );
    expect(refused).toHaveLength(1);
  });

  it("can still revoke personal access tokens, and creates none", async () => {
    const person = await personAt("reviewer@harbor.example");
    const { body } = await person.api("POST", "/tokens", { name: "ci", roles: ["analyst"], days: 1 });
    await pause({ kind: "user", target: "reviewer@harbor.example" });
    const refused = await person.api("POST", "/tokens", { name: "more", roles: ["analyst"], days: 1 });
    expect([refused.status, refused.body["error"]]).toMatchObject([403, { code: "paused" }]);
    expect((await person.api("GET", "/tokens")).status).toBe(200);
    expect((await person.api("DELETE", `/tokens/${String(body["id"])}`)).status).toBe(204);
  });

  it("gets no rows in a session of the 2025 era that has an open stream", async () => {
    const token = await tokenOf("analyst");
    const session = await openSession(token);
    const headers = { "mcp-session-id": session };
    const streamHeaders = { ...headers, authorization: `Bearer ${token}`, accept: "text/event-stream" };
    const stream = await send(RESOURCE, { headers: streamHeaders });
    expect(stream.status).toBe(200);
    const call = { jsonrpc: "2.0", id: 7, method: "tools/call", params: { name: "query", arguments: QUERY } };
    expect(await (await post(token, call, headers)).text()).toContain('"result":"r');
    await pause({ kind: "user", target: ANALYST });
    const after = await (await post(token, { ...call, id: 8 }, headers)).text();
    expect(after).toContain("paused:");
    expect(after).not.toContain('"rows"');
    await post(token, { jsonrpc: "2.0", id: 9, method: "ping" }, headers);
    await send(RESOURCE, { method: "DELETE", headers: streamHeaders });
    expect(await stream.text()).not.toMatch(/"(?:result|rows)"/);
  });

  it("does not escape by another address of the same account", async () => {
    const subjectId = newId();
    await begin(subjectId, newId());
    await pause({ kind: "user", target: `${subjectId}@x.example`, subjectIds: [subjectId] });
    const renamed = { subjectId, email: `${newId()}@x.example`, groups: [] };
    const attempt = { call: newId(), subjectId, owner: null, clientId: "c", operation: "query", asked: "" };
    expect(await ledgerOf(subjectId).begin(attempt, renamed, 1, null)).toMatchObject({ reason: "paused" });
    await members.registerSubject({ ...renamed, seenMs: 1 });
    expect(await ledgerOf(subjectId).begin(attempt, renamed, 1, null)).toMatchObject({ reason: "paused" });
  });

  it("works again when the time of the pause has passed by the ledger's clock", async () => {
    const subjectId = newId();
    await begin(subjectId, newId());
    const target = { kind: "user", target: `${subjectId}@x.example` } as const;
    await pause({ ...target, untilMs: Date.now() + 3_600_000 });
    expect(await begin(subjectId, newId())).toMatchObject({ reason: "paused" });
    await pause({ ...target, untilMs: Date.now() - 1 });
    expect(await begin(subjectId, newId())).toMatchObject({ ok: true });
  });
});

describe("a paused personal access token", () => {
  it("is refused, while its owner and their other tokens work", async () => {
    const person = await personAt("owner@harbor.example");
    const make = async () => (await person.api("POST", "/tokens", { name: "ci", roles: ["owner"], days: 1 })).body;
    const [paused, other] = [await make(), await make()];
    const ownerId = await subjectIdOf("owner@harbor.example");
    await pause({ kind: "token", target: String(paused["id"]), subjectIds: [ownerId] });
    expect((await callTool(String(paused["token"]), "query", QUERY)).wire).toContain(
      "has paused this personal access token",
    );
    expect((await callTool(String(other["token"]), "query", QUERY)).result["isError"]).toBeUndefined();
    const [recorded, ...others] = await recordsOf(ownerId, "pause access");
    expect(others).toEqual([]);
    expect(recorded.attempt.clientId).toBe(`access-token ${String(paused["id"])}`);
    expect(JSON.parse(recorded.attempt.asked)).toMatchObject({ kind: "token", target: paused["id"] });
    expect((await accessTokens.list(ownerId)).every(({ revokedMs }) => revokedMs === null)).toBe(true);
  });
});

describe("a paused admin", () => {
  it("does not get the list of members as an admin", async () => {
    const owner = await personAt("owner@harbor.example");
    expect((await owner.api("GET", "/members")).status).toBe(200);
    await pause({ kind: "user", target: "owner@harbor.example" });
    expect((await owner.api("GET", "/members")).status).toBe(403);
  });
});

describe("a paused client", () => {
  it("is refused for every user, and is not stopped when it registers again", async () => {
    const client = await register(flow);
    const { accessToken } = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
    expect((await callTool(accessToken, "query", QUERY)).result["isError"]).toBeUndefined();
    await pause({ kind: "client", target: client.clientId });
    expect((await callTool(accessToken, "query", QUERY)).wire).toContain("has paused this client");
    const again = await register(flow);
    const renewed = await exchangeCode(flow, again, await signIn(flow, again, ANALYST));
    expect((await callTool(renewed.accessToken, "query", QUERY)).result["isError"]).toBeUndefined();
  });
});

describe("a paused source", () => {
  it("serves no rows, names, stored results or saved queries, and other sources go on", async () => {
    const token = await tokenOf("owner");
    const stored = (await callTool(token, "query", QUERY)).result;
    const id = String((stored["structuredContent"] as Record<string, unknown>)["result"]);
    await pause({ kind: "source", target: "shop", reason: "Maintenance" });
    for (const [tool, input] of [
      ["query", QUERY],
      ["query", { source: "workspace", sql: `SELECT * FROM ${id}` }],
      ["fetch", { id }],
      ["fetch", { id: "shop.customers" }],
      ["fetch", { id: "shop.customers/1" }],
      ["describe", { dataset: "shop" }],
      ["describe", { dataset: "shop.customers" }],
    ] as const) {
      const { wire } = await callTool(token, tool, input);
      expect(wire, `${tool} ${JSON.stringify(input)}`).toContain("has paused the source shop");
      expect(wire).toContain("Maintenance");
    }
    const search = (await callTool(token, "search", { query: "customers orders" })).wire;
    expect(search).not.toContain("shop.customers");
    expect(search).toContain("has paused shop");
    expect((await callTool(token, "describe", { dataset: "workspace" })).wire).not.toContain(`"${id}"`);
    expect((await callTool(token, "describe", { dataset: "ops" })).result["isError"]).toBeUndefined();
    await resume({ kind: "source", target: "shop" });
    expect((await callTool(token, "fetch", { id })).result["isError"]).toBeUndefined();
  });

  it("looks missing, not paused, to a user who may not read it", async () => {
    const token = await tokenOf("guest");
    const before = (await callTool(token, "query", QUERY)).wire;
    await pause({ kind: "source", target: "shop" });
    expect((await callTool(token, "query", QUERY)).wire).toBe(before);
  });
});

describe("a call that runs while a pause arrives", () => {
  it.each(["user", "client", "source"] as const)(
    "is not answered when its %s is paused, and is recorded",
    async (kind) => {
      const [subjectId, call] = [newId(), newId()];
      expect(await begin(subjectId, call)).toMatchObject({ ok: true });
      const target = { user: `${subjectId}@x.example`, client: "c", source: "shop" }[kind];
      await pause({ kind, target });
      expect(await ledgerOf(subjectId).commit(call, ANSWERED, AFTER)).toMatchObject({ ok: false, reason: "paused" });
      // The reply may have been lost.
      expect(await ledgerOf(subjectId).commit(call, ANSWERED, AFTER)).toEqual({ ok: false, reason: "no_lease" });
      expect(await recordsOf(subjectId, "query")).toMatchObject([
        { outcome: { result: "denied", code: "paused", rows: 0 } },
      ]);
    },
  );

  it("does not begin after it has waited for its query lock", async () => {
    const [subjectId, first] = [newId(), newId()];
    expect(await begin(subjectId, first, "shop")).toMatchObject({ ok: true });
    const waiting = begin(subjectId, newId(), "shop");
    await pause({ kind: "user", target: `${subjectId}@x.example` });
    await ledgerOf(subjectId).release(first);
    expect(await waiting).toMatchObject({ ok: false, reason: "paused" });
  });
});

describe("the propagation of pauses", () => {
  it("goes on with the ledgers that did not answer, and is done when all have the pause", async () => {
    const [reached, lost] = [newId(), newId()];
    for (const subjectId of [reached, lost]) await begin(subjectId, newId());
    await upkeep();
    await change({ kind: "source", target: "ops" });
    const first = await propagate(new Set([lost]));
    expect([first.errors.length, first.propagated]).toEqual([1, []]);
    expect(await pauses.list({ kind: "source", target: "ops" })).toMatchObject([{ waitingLedgers: 1 }]);
    expect(await begin(reached, newId())).toMatchObject({ ok: true, pausedSources: [{ target: "ops" }] });
    expect(await begin(lost, newId())).toMatchObject({ ok: true, pausedSources: [] });

    const second = await propagate();
    expect(second.propagated).toMatchObject([{ kind: "source", target: "ops", isPaused: true }]);
    expect(await begin(lost, newId())).toMatchObject({ ok: true, pausedSources: [{ target: "ops" }] });
    expect((await propagate()).propagated).toEqual([]);
    expect(await recordsOf(reached, "pause access")).toHaveLength(1);
  });

  it("repeats nothing in the records when a crash lost what a ledger has answered", async () => {
    const subjectId = newId();
    await begin(subjectId, newId());
    await change({ kind: "user", target: `${subjectId}@x.example` });
    const [waiting] = (await pauses.listWaiting("", 1000)).filter((ledger) => ledger.subjectId === subjectId);
    if (waiting === undefined) expect.unreachable("the ledger waits for the pause");
    await ledgerOf(subjectId).applyPauses(waiting.snapshot);
    await propagate();
    expect(await recordsOf(subjectId, "pause access")).toHaveLength(1);
  });

  it("ignores a pause that arrives after its end", async () => {
    const subjectId = newId();
    await begin(subjectId, newId());
    const target = { kind: "user", target: `${subjectId}@x.example` } as const;
    await change(target);
    const late = (await pauses.listWaiting("", 1000)).find((ledger) => ledger.subjectId === subjectId);
    if (late === undefined) expect.unreachable("the ledger waits for the pause");
    await resume(target);
    await ledgerOf(subjectId).applyPauses(late.snapshot);
    expect(await begin(subjectId, newId())).toMatchObject({ ok: true });
  });

  it("waits for no ledger whose user gets the paused address afterwards, and stops that user", async () => {
    const [subjectId, email] = [newId(), `${newId()}@x.example`];
    await begin(subjectId, newId());
    await pause({ kind: "user", target: email });
    await openMemberStore(env.GATEHOUSE_DB).registerSignIn({ subjectId, email, groups: [], seenMs: 1 });
    expect(await pauses.list({ kind: "user", target: email })).toMatchObject([{ waitingLedgers: 0 }]);
    const attempt = { call: newId(), subjectId, owner: null, clientId: "c", operation: "query", asked: "" };
    const renamed = { subjectId, email, groups: [] };
    expect(await ledgerOf(subjectId).begin(attempt, renamed, 1, null)).toMatchObject({ reason: "paused" });
  });

  it("reaches a ledger that is created while it runs", async () => {
    const [old, created] = [newId(), newId()];
    await begin(old, newId());
    await change({ kind: "client", target: "c" });
    await createPauseChanges({
      pauses,
      openLedger: (subjectId) => ({
        async applyPauses(snapshot) {
          if (subjectId === old) expect(await begin(created, newId())).toMatchObject({ reason: "paused" });
          return ledgerOf(subjectId).applyPauses(snapshot);
        },
      }),
      onPropagated: () => {},
      onError: (error) => expect.unreachable(String(error)),
    }).propagate();
    expect(await begin(created, newId())).toMatchObject({ reason: "paused" });
    expect(await begin(old, newId())).toMatchObject({ reason: "paused" });
  });

  it("is made good by the comparison after a minute, in both directions", async () => {
    const subjectId = newId();
    await begin(subjectId, newId());
    const target = { kind: "user", target: `${subjectId}@x.example` } as const;
    const age = async (): Promise<void> =>
      runInDurableObject(ledgerOf(subjectId), (_object, { storage }) => {
        storage.sql.exec("UPDATE cached_member SET compared_ms = 0");
      });
    // The object keeps its copy in memory, so the comparison is due in a new one.
    const compare = async (expected: object): Promise<void> => {
      await age();
      const stub = ledgerOf(subjectId);
      await runInDurableObject(stub, (_object, state) => state.abort("restart")).catch(() => {});
      await begin(subjectId, newId());
      await expect.poll(async () => begin(subjectId, newId())).toMatchObject(expected);
    };
    await change(target);
    await compare({ reason: "paused" });
    await change(target, false);
    await compare({ ok: true });
  });
});
