// One query at a time per user and source: which calls wait, in which order, and what frees a lock that is never released.
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { createQueryLocks } from "../../src/audit/query-locks.ts";
import type { QueryLocks } from "../../src/audit/query-locks.ts";
import type { Attempt, Outcome } from "../../src/audit/audit-record.ts";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import { newId } from "../../src/lib/ids.ts";
import sample from "../../sample/gatehouse.config.ts";

const NOW = 1_700_000_000_000;
const ANN = { subjectId: "s", email: "ann@x.example", groups: [] };

/** Runs over the query locks of a new subject, with the test's clock. */
async function withQueryLocks(
  work: (locks: QueryLocks, clock: { ms: number }) => Promise<void>,
  limits = { queueSeconds: 5, maxHoldSeconds: 60 },
): Promise<void> {
  const clock = { ms: NOW };
  const ledger = env.LEDGER.get(env.LEDGER.newUniqueId());
  await runInDurableObject(ledger, async (_instance, { storage }) =>
    work(
      createQueryLocks(storage.sql, limits, () => clock.ms),
      clock,
    ),
  );
}

describe("a query lock", () => {
  it("belongs to one call, and then to the call that waited longest", () =>
    withQueryLocks(async (locks) => {
      expect(await locks.acquire("shop", "a")).toBe(true);
      const order: string[] = [];
      const waiting = ["b", "c", "d"].map(async (call) => {
        expect(await locks.acquire("shop", call)).toBe(true);
        order.push(call);
      });
      for (const call of ["a", "b", "c"]) {
        locks.release(call);
        await Promise.resolve();
      }
      await Promise.all(waiting);
      expect(order).toEqual(["b", "c", "d"]);
    }));

  it("is freed when the process of its call has ended, and stays with calls of the current process", () =>
    withQueryLocks(async (locks, clock) => {
      expect(await locks.acquire("shop", "a")).toBe(true);
      clock.ms += 10;
      expect(await locks.acquire("ops", "b")).toBe(true);
      locks.releaseHeldBefore(NOW + 5);
      expect(await locks.acquire("shop", "c")).toBe(true);
      const waiting = locks.acquire("ops", "d");
      locks.release("b");
      expect(await waiting).toBe(true);
      locks.releaseHeldBefore(NOW + 10);
      expect(await Promise.race([locks.acquire("ops", "e"), Promise.resolve("waits")])).toBe("waits");
      locks.release("d");
    }));

  it("of one source does not block another source", () =>
    withQueryLocks(async (locks) => {
      expect(await locks.acquire("shop", "a")).toBe(true);
      expect(await locks.acquire("ops", "b")).toBe(true);
    }));

  it("is refused to calls that wait too long, and at once when too many calls wait", () =>
    withQueryLocks(
      async (locks) => {
        await locks.acquire("shop", "a");
        const waiting = Array.from({ length: 20 }, async (_value, index) => locks.acquire("shop", `w${index}`));
        expect(await locks.acquire("shop", "one more")).toBe(false);
        expect(new Set(await Promise.all(waiting))).toEqual(new Set([false]));
        locks.release("a");
        expect(await locks.acquire("shop", "b")).toBe(true);
      },
      { queueSeconds: 0.05, maxHoldSeconds: 60 },
    ));

  it("that is never released is freed after the maximum time", () =>
    withQueryLocks(async (locks, clock) => {
      await locks.acquire("shop", "a");
      clock.ms += 60_000;
      expect(await locks.acquire("shop", "b")).toBe(true);
      locks.release("a");
      const waiting = locks.acquire("shop", "c");
      locks.release("b");
      expect(await waiting).toBe(true);
    }));
});

describe("the ledger", () => {
  const outcome: Outcome = {
    result: "answered",
    code: null,
    roles: ["analyst"],
    datasets: [],
    rules: [],
    denials: [],
    masked: [],
    untrusted: [],
    rows: 0,
    cut: false,
    kept: null,
  };
  const attempt = (): Attempt => ({
    call: newId(),
    subjectId: "s",
    clientId: "c",
    owner: null,
    operation: "query",
    asked: "",
  });

  it("starts the next query when the previous one was committed, and not while that one still runs", async () => {
    const object = env.LEDGER.get(env.LEDGER.idFromName(newId()));
    const [first, second, third] = [attempt(), attempt(), attempt()];
    expect(await object.begin(first, ANN, 0, "shop")).toMatchObject({ ok: true });
    const secondBegin = object.begin(second, ANN, 0, "shop");
    await object.commit(first.call, outcome, { queryLock: "freed", bookmark: null });
    expect(await secondBegin).toMatchObject({ ok: true });
    await object.commit(second.call, outcome, { queryLock: "kept", bookmark: null });
    const thirdBegin = object.begin(third, ANN, 0, "shop");
    expect(await Promise.race([thirdBegin, object.begin(attempt(), ANN, 0, null)])).toMatchObject({ ok: true });
    expect(await object.listRecords(0, 10)).toHaveLength(2);
    await object.release(second.call);
    expect(await thirdBegin).toMatchObject({ ok: true });
  });

  it("frees the locks of a process that died when workerd starts again with the same variables", async () => {
    const object = env.LEDGER.get(env.LEDGER.idFromName(newId()));
    const handover = { startedMs: Date.now() - 60_000, refused: [] };
    const local = { ...env, GATEHOUSE_SUPERVISOR: JSON.stringify(handover) };
    const running = attempt();
    await object.begin(running, ANN, 0, "shop");
    const listLocks = async (work: (state: DurableObjectState) => void): Promise<readonly unknown[]> =>
      runInDurableObject(object, (_instance, state) => {
        // The call began two seconds ago.
        state.storage.sql.exec("UPDATE query_lock SET until_ms = until_ms - 2000");
        work(state);
        return state.storage.sql.exec("SELECT call FROM query_lock").toArray();
      });
    const { LedgerObject } = createGatehouse(sample);
    const restart = (state: DurableObjectState): void => void new LedgerObject(state, local);
    expect(await listLocks(() => {})).toEqual([{ call: running.call }]);
    expect(await listLocks(restart)).toEqual([]);
    // The same isolate creates the object again, as after an eviction: a call of this process still runs.
    const next = attempt();
    await object.begin(next, ANN, 0, "shop");
    expect(
      await runInDurableObject(object, (_instance, state) => {
        restart(state);
        return state.storage.sql.exec("SELECT call FROM query_lock").toArray();
      }),
    ).toEqual([{ call: next.call }]);
  });

  it("keeps query locks when the object restarts", async () => {
    const object = env.LEDGER.get(env.LEDGER.idFromName(newId()));
    const [first, second] = [attempt(), attempt()];
    await object.begin(first, ANN, 0, "shop");
    await evictDurableObject(object);
    const secondBegin = object.begin(second, ANN, 0, "shop");
    await object.commit(first.call, outcome, { queryLock: "freed", bookmark: null });
    expect(await secondBegin).toMatchObject({ ok: true });
  });
});

describe("a bookmark", () => {
  it("is stored per source, and only by the call that holds the lock", () =>
    withQueryLocks(async (locks) => {
      await locks.acquire("shop", "a");
      await locks.acquire("ops", "b");
      expect(locks.readBookmark("shop")).toBeNull();
      locks.storeBookmark("a", "one");
      locks.release("a");
      locks.storeBookmark("a", "too late");
      expect(locks.readBookmark("shop")).toBe("one");
      expect(locks.readBookmark("ops")).toBeNull();
    }));
});
