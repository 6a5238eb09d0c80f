// Pending results: stored while the audit record of their call is written, unusable until the ledger names the call as committed, and
// deleted when the call was not committed, wherever a crash comes between.
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { AppError } from "../../src/errors.ts";
import type { Gateway } from "../../src/gateway/gateway.ts";
import type { GatewayDependencies } from "../../src/gateway/gateway.ts";
import { WorkspaceObject } from "../../src/results/workspace-object.ts";
import { getOwnerId } from "../../src/lib/identity.ts";
import type { Caller } from "../../src/lib/identity.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { NUMBER, TEXT, allow, buildPolicy } from "../support/policy-builder.ts";
import { seedShop } from "../support/seed.ts";

const world = buildPolicy({
  tables: { customers: { id: NUMBER, name: TEXT, region: TEXT } },
  roles: { reader: [allow(["shop.*"])] },
  members: { reader: { roles: ["reader"] } },
});
const EMAIL = "reader@harbor.example";
const LEASE_MS = world.limits.leaseSeconds * 1000;

const ledgerOf = ({ identity }: Caller) => env.LEDGER.get(env.LEDGER.idFromName(getOwnerId(identity)));
const workspaceOf = ({ identity }: Caller) => env.WORKSPACE.get(env.WORKSPACE.idFromName(identity.subjectId));

const createGateway = (overrides: Partial<GatewayDependencies> = {}): Gateway => gatewayFor(world, () => {}, overrides);
const query = (gateway: Gateway, caller: Caller, sql = "SELECT id FROM customers", source = "shop") =>
  gateway.query(caller, { target: { source, sql }, params: [], rowLimit: undefined });

async function failure(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    (answer) => new Error(`answered ${JSON.stringify(answer)}`),
    (thrown: unknown) => thrown,
  );
  return error instanceof AppError ? error.code : String(error);
}

/** Lists the results that a user can see, by number. */
async function listResults(gateway: Gateway, caller: Caller): Promise<readonly string[]> {
  return (await gateway.listResources(caller))
    .flatMap(({ uri }) => /^gatehouse:\/\/result\/r(\d+)$/.exec(uri)?.[1] ?? [])
    .toSorted((left, right) => Number(left) - Number(right))
    .map((number) => `r${number}`);
}

/** Lists everything that a workspace stores. */
const listKeys = (caller: Caller): Promise<readonly string[]> =>
  runInDurableObject(workspaceOf(caller), (_object, { storage }) => [...storage.kv.list()].map(([key]) => key));

const listOutcomes = async (caller: Caller) =>
  (await ledgerOf(caller).listRecords(0, 100)).map(({ body }) => {
    const { attempt, outcome } = JSON.parse(body);
    return [String(attempt.operation), String(outcome.result), outcome.kept === null ? null : String(outcome.kept)];
  });

const unreachable = async () => Promise.reject(new Error("network connection lost"));

/** A gateway whose workspaces never get what is kept. */
const withoutKeep = (): Gateway =>
  createGateway({
    openWorkspace: (subjectId) => {
      const stub = env.WORKSPACE.get(env.WORKSPACE.idFromName(subjectId));
      return {
        open: async (...args) => stub.open(...args),
        run: async (statements) => stub.run(statements),
        drop: async (ids) => stub.drop(ids),
        keep: unreachable,
      };
    },
  });

/** A gateway whose ledgers never get a commit. */
const withoutCommit = (): Gateway =>
  createGateway({
    openLedger: (subjectId) => {
      const stub = env.LEDGER.get(env.LEDGER.idFromName(subjectId));
      return {
        begin: async (...args) => stub.begin(...args),
        release: async (call) => stub.release(call),
        reportUnstored: async (call, unstored) => stub.reportUnstored(call, unstored),
        commit: unreachable,
      };
    },
  });

/** Lets the lease of every running call end, and runs the alarm of the workspace. */
async function passLease(caller: Caller): Promise<void> {
  vi.setSystemTime(Date.now() + LEASE_MS + 1000);
  // The object reads the clock that it started with.
  await evictDurableObject(ledgerOf(caller));
  await runDurableObjectAlarm(workspaceOf(caller));
}

beforeAll(seedShop);
afterEach(() => vi.useRealTimers());

describe("a query whose result could not be stored", () => {
  it("fails without an answer, and its audit record says so", async () => {
    const caller = callerAs(EMAIL);
    expect(await failure(query(withoutKeep(), caller))).toBe("source_unavailable");
    expect(await listOutcomes(caller)).toEqual([
      ["query", "answered", "r1"],
      ["query", "failed", null],
    ]);
    const [, failed] = await ledgerOf(caller).listRecords(0, 10);
    expect(failed?.body).toContain("the result r1 of call");
    expect(await listResults(createGateway(), caller)).toEqual([]);
  });

  it("never gives its number to another result", async () => {
    const caller = callerAs(EMAIL);
    await failure(query(withoutKeep(), caller));
    expect((await query(createGateway(), caller)).result).toBe("r2");
    expect(await listResults(createGateway(), caller)).toEqual(["r2"]);
  });

  it("has no usable result when the workspace stored it and only the reply was lost", async () => {
    const caller = callerAs(EMAIL);
    const gateway = createGateway({
      openWorkspace: (subjectId) => {
        const stub = env.WORKSPACE.get(env.WORKSPACE.idFromName(subjectId));
        return {
          open: async (...args) => stub.open(...args),
          run: async (statements) => stub.run(statements),
          drop: async (ids) => stub.drop(ids),
          async keep(...args) {
            await stub.keep(...args);
            return unreachable();
          },
        };
      },
    });
    expect(await failure(query(gateway, caller))).toBe("source_unavailable");
    expect(await listKeys(caller)).toContain("result:r1");
    expect(await listResults(createGateway(), caller)).toEqual([]);
    expect(await listKeys(caller)).not.toContain("result:r1");
  });
});

describe("a query whose audit record could not be written", () => {
  it("fails without an answer, and its stored result never becomes usable", async () => {
    const caller = callerAs(EMAIL);
    expect(await failure(query(withoutCommit(), caller))).toBe("Error: network connection lost");
    expect(await listKeys(caller)).toContain("result:r1");
    const gateway = createGateway();
    expect(await listResults(gateway, caller)).toEqual([]);
    expect(await failure(gateway.fetch(caller, "r1", 1))).toBe("not_found");
    expect(await failure(query(gateway, caller, "SELECT * FROM r1", "workspace"))).toBe("query_failed");
    await passLease(caller);
    expect(await listKeys(caller)).not.toContain("result:r1");
    expect(await listOutcomes(caller)).toContainEqual(["query", "interrupted", null]);
    expect(await listResults(gateway, caller)).toEqual([]);
  });

  it("never gives its number to another result", async () => {
    const caller = callerAs(EMAIL);
    await failure(query(withoutCommit(), caller));
    // The query lock of the call that never ended.
    await passLease(caller);
    expect((await query(createGateway(), caller)).result).toBe("r2");
  });

  it("cannot be committed after the workspace was told that it was not", async () => {
    const caller = callerAs(EMAIL);
    let commitLate: (() => Promise<unknown>) | undefined;
    const gateway = createGateway({
      openLedger: (subjectId) => {
        const stub = env.LEDGER.get(env.LEDGER.idFromName(subjectId));
        return {
          begin: async (...args) => stub.begin(...args),
          release: async (call) => stub.release(call),
          reportUnstored: async (call, unstored) => stub.reportUnstored(call, unstored),
          async commit(...args) {
            commitLate = async () => stub.commit(...args);
            return unreachable();
          },
        };
      },
    });
    await failure(query(gateway, caller));
    await passLease(caller);
    expect(await commitLate?.()).toEqual({ ok: false, reason: "no_lease" });
  });
});

describe("a process that dies", () => {
  it("after both and before the answer leaves a result that is usable", async () => {
    const caller = callerAs(EMAIL);
    await query(createGateway(), caller);
    await evictDurableObject(workspaceOf(caller));
    await evictDurableObject(ledgerOf(caller));
    expect(await listResults(createGateway(), caller)).toEqual(["r1"]);
  });

  it("before keep and commit leaves nothing, and its number is not used again", async () => {
    const caller = callerAs(EMAIL);
    const attempt = { call: "dies", subjectId: caller.identity.subjectId, owner: null, clientId: "c" };
    const begun = await ledgerOf(caller).begin(
      { ...attempt, operation: "query", asked: "" },
      caller.identity,
      1,
      null,
      "call",
      { mayStoreResult: true },
    );
    expect(begun).toMatchObject({ ok: true, results: { number: 1, committedCalls: [] } });
    expect((await query(createGateway(), caller)).result).toBe("r2");
    await passLease(caller);
    expect((await query(createGateway(), caller)).result).toBe("r3");
    expect(await listResults(createGateway(), caller)).toEqual(["r2", "r3"]);
  });
});

describe("a committed result", () => {
  it("becomes usable by the alarm when no call follows within the lease, and stays as long as any result", async () => {
    const caller = callerAs(EMAIL);
    await query(createGateway(), caller);
    await passLease(caller);
    await runInDurableObject(workspaceOf(caller), async (_object, { storage }) => {
      expect(storage.kv.get("index")).toMatchObject({ entries: [{ id: "r1" }] });
      expect(storage.kv.get("pending")).toBeUndefined();
      expect(await storage.getAlarm()).toBeGreaterThan(Date.now() + LEASE_MS);
    });
    expect(await listResults(createGateway(), caller)).toEqual(["r1"]);
  });

  it("stays pending when the ledger cannot be asked, and the alarm asks again", async () => {
    const errors: unknown[] = [];
    await runInDurableObject(workspaceOf(callerAs(EMAIL)), async (_object, state) => {
      const options = {
        limits: world.limits,
        openLedger: () => ({ settleResults: unreachable }),
        onError: (error: unknown) => errors.push(error),
      };
      const workspace = new WorkspaceObject(state, env, options);
      await workspace.keep(buildResult("c1", 1), []);
      vi.setSystemTime(Date.now() + LEASE_MS + 1000);
      // The platform clears an alarm before it runs it.
      await state.storage.deleteAlarm();
      await workspace.alarm();
      expect(errors).toHaveLength(1);
      expect(await state.storage.getAlarm()).toBeGreaterThan(Date.now());
      expect((await workspace.open([])).results).toEqual([]);
      expect((await workspace.open([], ["c1"])).results).toMatchObject([{ id: "r1" }]);
    });
  });

  it("is usable by the next call also when more calls than the ledger names were committed meanwhile", async () => {
    const caller = callerAs(EMAIL);
    const gateway = createGateway();
    // The workspace gets the results only when all calls are committed, as when they run in parallel.
    const keeps: (() => Promise<unknown>)[] = [];
    const late = createGateway({
      openWorkspace: (subjectId) => {
        const stub = env.WORKSPACE.get(env.WORKSPACE.idFromName(subjectId));
        return {
          open: async (...args) => stub.open(...args),
          run: async (statements) => stub.run(statements),
          drop: async (ids) => stub.drop(ids),
          async keep(result) {
            keeps.push(async () => stub.keep(result, []));
            return { ok: true };
          },
        };
      },
    });
    for (let times = 0; times < 12; times += 1) await query(late, caller);
    for (const keep of keeps.toReversed()) await keep();
    const ids = Array.from({ length: 12 }, (_value, index) => `r${index + 1}`);
    expect(await listResults(gateway, caller)).toEqual(ids);
  });
});

describe("the number of a result", () => {
  it("continues the numbers of a workspace that an earlier version filled, whose results stay", async () => {
    const caller = callerAs(EMAIL);
    await runInDurableObject(workspaceOf(caller), (_object, { storage }) => {
      const expiresAtMs = Date.now() + 3_600_000;
      const entry = { id: "r57", call: "before", bytes: 3, parts: 1, expiresAtMs };
      storage.kv.put("layout", 1);
      storage.kv.put("index", { counter: 58, entries: [entry] });
      storage.kv.put("rows:r57:0", "[[1]]");
      storage.kv.put("result:r57", {
        id: "r57",
        columns: [{ name: "a", types: ["integer"] }],
        rows: 1,
        pages: [0],
        keptAtMs: 1,
        expiresAtMs,
        origin: JSON.stringify({ source: "shop", sql: "SELECT 1", ...ORIGIN }),
      });
    });
    const gateway = createGateway();
    expect((await query(gateway, caller)).result).toBe("r59");
    expect(await listResults(gateway, caller)).toEqual(["r57", "r59"]);
    expect((await query(gateway, caller, "SELECT a FROM r57", "workspace")).rows).toEqual([[1]]);
  });

  it("is given again only when its call ended without a result", async () => {
    const [gateway, caller] = [createGateway(), callerAs(EMAIL)];
    await failure(query(gateway, caller, "SELECT nothing FROM customers"));
    await gateway.fetch(caller, "shop.customers/1", 1).catch(() => {});
    expect((await query(gateway, caller)).result).toBe("r1");
    expect((await query(gateway, caller)).result).toBe("r2");
  });

  it("is refused when another result has had it, and the ledger goes on behind it", async () => {
    const [gateway, caller] = [createGateway(), callerAs(EMAIL)];
    await query(gateway, caller);
    await query(gateway, caller);
    await query(gateway, caller);
    // The ledger was recovered to an earlier time.
    await runInDurableObject(
      ledgerOf(caller),
      (_object, { storage }) => void storage.sql.exec("UPDATE result_number SET last = 1, committed_calls = '[]'"),
    );
    expect(await failure(query(gateway, caller))).toBe("interrupted");
    expect((await query(gateway, caller)).result).toBe("r4");
    expect(await listResults(gateway, caller)).toEqual(["r1", "r2", "r3", "r4"]);
  });

  it("may reach the workspace after a higher one, but only once and only while its call may run", async () => {
    const workspace = env.WORKSPACE.get(env.WORKSPACE.idFromName(crypto.randomUUID()));
    const keep = async (call: string, number: number) => workspace.keep(buildResult(call, number), []);
    expect(await keep("c3", 3)).toEqual({ ok: true });
    expect(await keep("c1", 1)).toEqual({ ok: true });
    expect(await keep("another", 1)).toEqual({ ok: false, lastNumber: 3 });
    expect(await keep("another", 3)).toEqual({ ok: false, lastNumber: 3 });
    vi.setSystemTime(Date.now() + LEASE_MS + 1000);
    expect(await keep("c2", 2)).toEqual({ ok: false, lastNumber: 3 });
    expect(await keep("c4", 4)).toEqual({ ok: true });
  });

  it("is counted apart for a personal access token, whose calls the owner's ledger commits", async () => {
    const gateway = createGateway();
    const owner = callerAs(EMAIL);
    const { subjectId: ownerId } = owner.identity;
    const subjectId = crypto.randomUUID();
    const pat = {
      ...owner,
      identity: { ...owner.identity, subjectId, token: { id: "t", ownerId, roles: ["reader"] } },
    };
    expect((await query(gateway, owner)).result).toBe("r1");
    expect((await query(gateway, pat)).result).toBe("r1");
    await passLease(pat);
    expect(await listResults(gateway, pat)).toEqual(["r1"]);
    expect((await query(gateway, owner)).result).toBe("r2");
  });
});

const ORIGIN = {
  lineage: [],
  rules: [],
  restricted: [],
  masked: [],
  untrusted: [],
  incomplete: [],
  inexact: [],
  read: 1,
  more: false,
};

function buildResult(call: string, number: number, ownerId = "owner") {
  return { call, number, ownerId, columns: [{ name: "a", types: [] }], rows: ["[1]"], pages: [0], origin: "{}" };
}
