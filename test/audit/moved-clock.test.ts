// Ledgers whose clock moves back by an hour, as after a correction of the machine's time: nothing waits for the clock to be there again.
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import { INTERRUPTED_OUTCOME } from "../../src/audit/audit-record.ts";
import type { Outcome } from "../../src/audit/audit-record.ts";
import { createBudgets } from "../../src/audit/budgets.ts";
import { createQueryLocks } from "../../src/audit/query-locks.ts";
import { createRefusedRequests } from "../../src/audit/refused-requests.ts";
import { createFillWarnings } from "../../src/audit/storage-warnings.ts";
import { verifyStoredChains } from "../../src/audit/verify-stored-chain.ts";
import { newId } from "../../src/lib/ids.ts";
import { MemberRoleCache } from "../../src/members/role-cache.ts";
import sample from "../../sample/gatehouse.config.ts";

const HOUR_MS = 3_600_000;
const NOON = Date.parse("2026-11-28T12:00:00Z");
const FREED = { queryLock: "freed", bookmark: null } as const;
const answered: Outcome = { ...INTERRUPTED_OUTCOME, result: "answered", code: null, rows: 3 };
const store = openAuditRecordStore(env.GATEHOUSE_DB);

/** The ledgers' clock is this much ahead. It is set before any ledger is created, because ledgers keep the function. */
const clock = { aheadMs: 0 };
const readClock = Date.now;
vi.spyOn(Date, "now").mockImplementation(() => readClock() + clock.aheadMs);

afterEach(() => void (clock.aheadMs = 0));

function openLedger() {
  const subjectId = newId();
  const ledger = env.LEDGER.get(env.LEDGER.idFromName(subjectId));
  const identity = { subjectId, email: `${subjectId}@x.example`, groups: [] };
  const build = () => ({ call: newId(), subjectId, owner: null, clientId: "c", operation: "query", asked: "SELECT 1" });
  return {
    subjectId,
    ledger,
    begin: async (rows = 10) => {
      const attempt = build();
      expect(await ledger.begin(attempt, identity, rows, null)).toMatchObject({ ok: true });
      return attempt.call;
    },
    commit: async (call: string) => ledger.commit(call, answered, FREED),
    /** Reads a number from the ledger's tables. */
    read: async (sql: string) =>
      runInDurableObject(ledger, (_object, { storage }) => Number([...storage.sql.exec(sql).raw()][0]?.[0])),
    runAlarm: async () => {
      await runInDurableObject(
        ledger,
        (_object, { storage }) => void storage.sql.exec("UPDATE due_task SET due_ms = 1"),
      );
      await runDurableObjectAlarm(ledger);
    },
    results: async () => (await ledger.listRecords(0, 100)).map(({ body }) => String(JSON.parse(body).outcome.result)),
  };
}

/** Runs over the tables of a new ledger. */
async function inTables<T>(work: (sql: SqlStorage) => T | Promise<T>): Promise<T> {
  return runInDurableObject(openLedger().ledger, async (_object, { storage }) => work(storage.sql));
}

describe("a ledger whose clock moves back by an hour", () => {
  it.each(["stays in memory", "restarts"])(
    "commits a running call, and its chain verifies, when it %s",
    async (what) => {
      const { subjectId, ledger, begin, commit, runAlarm, results } = openLedger();
      clock.aheadMs = HOUR_MS;
      await commit(await begin());
      await runAlarm();
      const running = await begin();
      if (what === "restarts") await evictDurableObject(ledger);
      clock.aheadMs = 0;
      expect(await commit(running)).toMatchObject({ ok: true, seq: 2 });
      await commit(await begin());
      expect(await results()).toEqual(["answered", "answered", "answered"]);
      await runAlarm();
      const head = await ledger.readSentHead();
      expect(head.seq).toBe(3);
      for (const [sinceMs, untilMs] of [
        [0, Number.MAX_SAFE_INTEGER],
        [readClock() - 60_000, readClock() + 60_000],
        [readClock() + HOUR_MS - 60_000, readClock() + HOUR_MS + 60_000],
      ] as const) {
        const spans = await store.listChains(sinceMs, untilMs, [subjectId]);
        const verdicts = await verifyStoredChains(store, spans, { heads: new Map([[subjectId, head]]) });
        expect(verdicts).toMatchObject([{ ledger: subjectId, fault: null }]);
      }
    },
  );

  it("records a call that died as interrupted after its lease, and frees its rows then", async () => {
    const { ledger, begin, read, results, runAlarm } = openLedger();
    const { leaseSeconds, rowsPerBurst } = sample.limits;
    clock.aheadMs = HOUR_MS;
    await begin(rowsPerBurst);
    await evictDurableObject(ledger);
    clock.aheadMs = 0;
    await begin(0);
    const alarmMs = await runInDurableObject(ledger, async (_object, { storage }) => storage.getAlarm());
    expect(alarmMs).toBeLessThanOrEqual(readClock() + leaseSeconds * 1000);
    expect(await read("SELECT max(deadline_ms) FROM lease")).toBeLessThanOrEqual(readClock() + leaseSeconds * 1000);
    // The ledger's clock goes on to the end of the lease.
    clock.aheadMs = leaseSeconds * 1000 + 1;
    await runAlarm();
    expect(await results()).toEqual(["interrupted", "interrupted"]);
    expect(await read("SELECT count(*) FROM lease")).toBe(0);
    await begin(rowsPerBurst);
  });

  it("sends records soon although a failed flush waits for a time that the clock has not reached", async () => {
    const { ledger, begin, commit } = openLedger();
    clock.aheadMs = HOUR_MS;
    await commit(await begin());
    await runInDurableObject(ledger, (_object, { storage }) => {
      storage.sql.exec("UPDATE due_task SET due_ms = ?, tries = 9 WHERE task = 'flush'", Date.now() + 500_000);
    });
    clock.aheadMs = 0;
    await commit(await begin());
    const alarmMs = await runInDurableObject(ledger, async (_object, { storage }) => storage.getAlarm());
    expect(alarmMs).toBeLessThanOrEqual(readClock() + 10_000);
  });

  it("lets a failed flush wait for its turn when the clock did not move", async () => {
    const { begin, commit, ledger, read } = openLedger();
    await commit(await begin());
    const dueMs = readClock() + 500_000;
    await runInDurableObject(ledger, (_object, { storage }) => {
      storage.sql.exec("UPDATE due_task SET due_ms = ?, tries = 9 WHERE task = 'flush'", dueMs);
    });
    await commit(await begin());
    expect(await read("SELECT due_ms FROM due_task WHERE task = 'flush'")).toBe(dueMs);
  });

  it("frees a query lock that was never released after its maximum time", () =>
    inTables(async (sql) => {
      const locks = createQueryLocks(sql, { queueSeconds: 5, maxHoldSeconds: 0.05 }, () => Date.now());
      clock.aheadMs = HOUR_MS;
      expect(await locks.acquire("shop", "died")).toBe(true);
      clock.aheadMs = 0;
      expect(await locks.acquire("shop", "next")).toBe(true);
    }));

  it("counts what was used later in its own five minutes, and in its day", () =>
    inTables((sql) => {
      const most = { rows: 100, bytes: 100, calls: 100, reveals: 100 };
      const limits = Object.fromEntries(
        Object.entries(most).flatMap(([kind, count]) => [
          [`${kind}PerDay`, count],
          [`${kind}PerBurst`, count / 2],
        ]),
      );
      const budgets = createBudgets(sql, { ...sample.limits, ...limits });
      const used = { rows: 50, bytes: 0, calls: 0, reveals: 0 };
      budgets.add(used, NOON + HOUR_MS);
      const row = { ...used, rows: 1 };
      expect(budgets.check(row, NOON).spent).toBeUndefined();
      budgets.add(used, NOON);
      expect(budgets.check(row, NOON).spent).toMatchObject({ limit: "rowsPerDay", used: 100 });
      expect(budgets.check(row, NOON + HOUR_MS).spent).toMatchObject({ limit: "rowsPerDay" });
    }));

  it("reports again that records wait", () =>
    inTables((sql) => {
      const lines: string[] = [];
      const warnings = createFillWarnings(sql, {
        subjectId: "s",
        maxAuditBytes: 100,
        warn: (code) => void lines.push(code),
      });
      for (const nowMs of [NOON + HOUR_MS, NOON, NOON + 1]) warnings.warnDelayed(1, NOON - 120_000, nowMs);
      for (const nowMs of [NOON + HOUR_MS, NOON, NOON + 1]) warnings.warnFull(1, nowMs);
      expect(lines).toEqual(["audit_delayed", "audit_delayed", "ledger_full", "ledger_full"]);
    }));

  it("compares its copy of the roles again", () =>
    inTables(async (sql) => {
      let nowMs = NOON + HOUR_MS;
      const read = async () => ({ version: 1, roles: [], attributes: {}, pauses: { version: 0, pauses: [] } });
      const directory = { registerSubject: read, readForLedger: read };
      const cache = new MemberRoleCache({ sql, directory, now: () => nowMs, applyPauses: () => {} });
      await cache.refresh({ subjectId: "s", email: "ann@x.example", groups: [] });
      expect(cache.isStale()).toBe(false);
      nowMs = NOON;
      expect(cache.isStale()).toBe(true);
    }));
});

describe("an isolate whose clock moves back by an hour", () => {
  it("writes its counts of refused requests at once", async () => {
    let nowMs = NOON + HOUR_MS;
    const written: number[] = [];
    const refused = createRefusedRequests({
      store: { add: async (counts) => void written.push(counts.length) },
      now: () => nowMs,
      waitUntil: () => {},
      onError: (error) => expect.unreachable(String(error)),
    });
    refused.count("invalid_target", "a");
    refused.flushIfDue();
    nowMs = NOON;
    refused.count("invalid_target", "b");
    refused.flushIfDue();
    expect(written).toEqual([1, 1]);
  });
});
