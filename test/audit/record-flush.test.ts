// The way of audit records from their ledger to GATEHOUSE_DB: nothing is lost or stored twice, whatever fails.
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import type { AuditRecordStore } from "../../src/audit/audit-record-store.ts";
import { INTERRUPTED_OUTCOME } from "../../src/audit/audit-record.ts";
import type { Outcome } from "../../src/audit/audit-record.ts";
import type { LedgerObject } from "../../src/audit/ledger-object.ts";
import { findBrokenLink } from "../../src/audit/record-chain.ts";
import { flushRecords, retryHeld } from "../../src/audit/record-flush.ts";
import type { FlushDependencies } from "../../src/audit/record-flush.ts";
import { createSentRecords } from "../../src/audit/sent-records.ts";
import type { HeldRecord } from "../../src/audit/sent-records.ts";
import { newId } from "../../src/lib/ids.ts";

const store = openAuditRecordStore(env.GATEHOUSE_DB);
const DAY_MS = 86_400_000;
const outcome: Outcome = { ...INTERRUPTED_OUTCOME, result: "answered", code: null, datasets: ["shop.orders"], rows: 3 };

function openLedger(subjectId = newId()) {
  return { subjectId, ledger: env.LEDGER.get(env.LEDGER.idFromName(subjectId)) };
}

async function makeCall(ledger: DurableObjectStub<LedgerObject<Env>>, subjectId: string, asked = "SELECT 1") {
  const attempt = { call: newId(), subjectId, owner: null, clientId: "c", operation: "query", asked };
  await ledger.begin(attempt, { subjectId, email: `${subjectId}@x.example`, groups: [] }, 10, null);
  await ledger.commit(attempt.call, outcome, { queryLock: "freed", bookmark: null });
  return attempt.call;
}

/** Runs the ledger's flush now instead of at its alarm. */
async function flush(
  ledger: DurableObjectStub<LedgerObject<Env>>,
  subjectId: string,
  options: Partial<FlushDependencies> = {},
  run = flushRecords,
): Promise<readonly HeldRecord[]> {
  return runInDurableObject(ledger, async (_instance, state) => {
    const held: HeldRecord[] = [];
    await run({
      ledger: subjectId,
      records: createSentRecords(state.storage.sql),
      store,
      transact: (change) => state.storage.transactionSync(change),
      now: Date.now,
      onHeld: (records) => held.push(...records),
      ...options,
    });
    return held;
  });
}

const listStored = (subjectId: string) => store.listChain(subjectId, 0, 1000);

describe("the flush of a ledger", () => {
  it("sends the records unchanged by the alarm that a call sets", async () => {
    const { subjectId, ledger } = openLedger();
    const calls = [await makeCall(ledger, subjectId), await makeCall(ledger, subjectId)];
    await runInDurableObject(ledger, async (_instance, state) => {
      state.storage.sql.exec("UPDATE due_task SET due_ms = 0");
    });
    expect(await runDurableObjectAlarm(ledger)).toBe(true);
    const stored = await listStored(subjectId);
    expect(stored.map(({ seq, body, salts, hash }) => ({ seq, body, salts, hash }))).toEqual(
      await ledger.listRecords(0, 10),
    );
    expect(stored.map(({ body }) => JSON.parse(body).attempt.call)).toEqual(calls);
    expect(findBrokenLink(stored)).toBeNull();
    expect(await ledger.readSentHead()).toEqual({ seq: 2, hash: stored[1]?.hash });
    expect(stored.every(({ endedMs, body }) => endedMs === Date.parse(JSON.parse(body).ended))).toBe(true);
  });

  it("keeps the records when the database does not answer, and sends them once it does", async () => {
    const { subjectId, ledger } = openLedger();
    await makeCall(ledger, subjectId);
    const down = async (): Promise<never> => Promise.reject(new Error("D1 is down"));
    await expect(flush(ledger, subjectId, { store: { append: down, ping: down } })).rejects.toThrow("D1 is down");
    expect(await listStored(subjectId)).toEqual([]);
    await makeCall(ledger, subjectId);
    await flush(ledger, subjectId);
    expect(await listStored(subjectId)).toHaveLength(2);
  });

  it("stores a batch once when its answer was lost and it is sent again", async () => {
    const { subjectId, ledger } = openLedger();
    await makeCall(ledger, subjectId);
    const lost: AuditRecordStore["append"] = async (...batch) => {
      await store.append(...batch);
      throw new Error("the answer was lost");
    };
    const down = async (): Promise<never> => Promise.reject(new Error("D1 is down"));
    await expect(flush(ledger, subjectId, { store: { append: lost, ping: down } })).rejects.toThrow("D1 is down");
    expect(await flush(ledger, subjectId)).toEqual([]);
    expect(await listStored(subjectId)).toHaveLength(1);
    const terms = env.GATEHOUSE_DB.prepare("SELECT count(*) AS n FROM audit_term WHERE term = ?").bind(
      `user ${subjectId}`,
    );
    expect(await terms.first("n")).toBe(1);
  });

  it("holds back a record that the database refuses, sends all others, and sends it later", async () => {
    const { subjectId, ledger } = openLedger();
    for (const asked of ["a", "poison", "b"]) await makeCall(ledger, subjectId, asked);
    const picky: AuditRecordStore["append"] = async (name, records) => {
      if (records.some(({ body }) => body.includes("poison"))) throw new Error("refused");
      return store.append(name, records);
    };
    const held = await flush(ledger, subjectId, { store: { ...store, append: picky } });
    expect(held).toMatchObject([{ seq: 2, reason: "refused" }]);
    expect((await listStored(subjectId)).map(({ seq }) => seq)).toEqual([1, 3]);
    await makeCall(ledger, subjectId, "c");
    await flush(ledger, subjectId);
    expect((await listStored(subjectId)).map(({ seq }) => seq)).toEqual([1, 3, 4]);
    await flush(ledger, subjectId, {}, retryHeld);
    expect((await listStored(subjectId)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
  });

  it("keeps a record whose place in the database another one has taken", async () => {
    const { subjectId, ledger } = openLedger();
    await makeCall(ledger, subjectId);
    const forged = { seq: 1, body: "{}", salts: "[]", hash: "f".repeat(64), endedMs: 1, terms: [] };
    await store.append(subjectId, [forged]);
    expect(await flush(ledger, subjectId)).toMatchObject([{ seq: 1, reason: "conflict" }]);
    await runInDurableObject(ledger, async (_instance, state) => {
      const records = createSentRecords(state.storage.sql);
      expect(records.deleteOld(Date.now() + 2 * DAY_MS)).toBeUndefined();
      expect(records.listHeld()).toHaveLength(1);
    });
    expect(await ledger.listRecords(0, 10)).toHaveLength(1);
  });

  it("frees the room of sent records at once and deletes them after a day", async () => {
    const { subjectId, ledger } = openLedger();
    const readBytes = async () =>
      runInDurableObject(
        ledger,
        async (_instance, state) => state.storage.sql.exec("SELECT bytes FROM head").one()["bytes"],
      );
    await makeCall(ledger, subjectId);
    expect(await readBytes()).toBeGreaterThan(500);
    await flush(ledger, subjectId);
    expect(await readBytes()).toBe(0);
    await runInDurableObject(ledger, async (_instance, state) => {
      const records = createSentRecords(state.storage.sql);
      const dueMs = records.deleteOld(Date.now()) ?? 0;
      expect(dueMs).toBeGreaterThan(Date.now() + DAY_MS - 60_000);
      expect(records.deleteOld(dueMs)).toBeUndefined();
    });
    expect(await ledger.listRecords(0, 10)).toEqual([]);
    // The chain goes on where it was.
    await makeCall(ledger, subjectId);
    await flush(ledger, subjectId);
    expect(findBrokenLink(await listStored(subjectId))).toBeNull();
    expect(await listStored(subjectId)).toHaveLength(2);
  });

  it("records a call that died without another call of its user", async () => {
    const { subjectId, ledger } = openLedger();
    const attempt = { call: newId(), subjectId, owner: null, clientId: "c", operation: "query", asked: "SELECT 1" };
    await ledger.begin(attempt, { subjectId, email: `${subjectId}@x.example`, groups: [] }, 10, null);
    await runInDurableObject(ledger, async (_instance, state) => {
      state.storage.sql.exec("UPDATE lease SET deadline_ms = 0");
      state.storage.sql.exec("UPDATE due_task SET due_ms = 0");
    });
    await runDurableObjectAlarm(ledger);
    expect((await ledger.listRecords(0, 10)).map(({ body }) => JSON.parse(body).outcome.result)).toEqual([
      "interrupted",
    ]);
  });

  it("sends the records of an earlier version, which have no salts", async () => {
    const { subjectId, ledger } = openLedger();
    await makeCall(ledger, subjectId);
    await runInDurableObject(ledger, async (_instance, state) => {
      state.storage.sql.exec("UPDATE record SET salts = NULL");
    });
    await flush(ledger, subjectId);
    expect(await listStored(subjectId)).toMatchObject([{ seq: 1, salts: null }]);
  });
});
