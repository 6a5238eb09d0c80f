// The way of audit records from their ledger to GATEHOUSE_DB: nothing is lost or stored twice, whatever fails.
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import type { AuditRecordStore } from "../../src/audit/audit-record-store.ts";
import { INTERRUPTED_OUTCOME } from "../../src/audit/audit-record.ts";
import type { Outcome } from "../../src/audit/audit-record.ts";
import type { LedgerObject } from "../../src/audit/ledger-object.ts";
import { findBrokenLink } from "../support/broken-link.ts";
import { flushRecords, retryHeld } from "../../src/audit/record-flush.ts";
import type { FlushDependencies } from "../../src/audit/record-flush.ts";
import { createSentRecords } from "../../src/audit/sent-records.ts";
import type { HeldRecord } from "../../src/audit/sent-records.ts";
import { verifyStoredChains } from "../../src/audit/verify-stored-chain.ts";
import { newId } from "../../src/lib/ids.ts";

const store = openAuditRecordStore(env.GATEHOUSE_DB);
const DAY_MS = 86_400_000;
const outcome: Outcome = { ...INTERRUPTED_OUTCOME, result: "answered", code: null, datasets: ["shop.orders"], rows: 3 };

function openLedger(subjectId = newId()) {
  return { subjectId, ledger: env.LEDGER.get(env.LEDGER.idFromName(subjectId)) };
}

async function makeCall(
  ledger: DurableObjectStub<LedgerObject<Env>>,
  subjectId: string,
  asked = "SELECT 1",
  ended = outcome,
) {
  const attempt = { call: newId(), subjectId, owner: null, clientId: "c", operation: "query", asked };
  await ledger.begin(attempt, { subjectId, email: `${subjectId}@x.example`, groups: [] }, 10, null);
  await ledger.commit(attempt.call, ended, { queryLock: "freed", bookmark: null });
  return attempt.call;
}

/** Runs the ledger's flush now instead of at its alarm. */
async function flush(
  ledger: DurableObjectStub<LedgerObject<Env>>,
  subjectId: string,
  options: Partial<FlushDependencies> = {},
  run: (dependencies: FlushDependencies) => Promise<unknown> = flushRecords,
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

/** Counts the index entries by which a user's records are found. */
const countTerms = async (subjectId: string) =>
  env.GATEHOUSE_DB.prepare("SELECT count(*) AS n FROM audit_term WHERE term = ?").bind(`user ${subjectId}`).first("n");

/** Has the ledger's alarm run one of its tasks. */
async function runTask(ledger: DurableObjectStub<LedgerObject<Env>>, task: string): Promise<void> {
  await runInDurableObject(ledger, async (_instance, state) => {
    expect(state.storage.sql.exec("UPDATE due_task SET due_ms = 1 WHERE task = ?", task).rowsWritten).toBe(1);
  });
  expect(await runDurableObjectAlarm(ledger)).toBe(true);
}

describe("the flush of a ledger", () => {
  it("sends the records unchanged by the alarm that a call sets", async () => {
    const { subjectId, ledger } = openLedger();
    const calls = [await makeCall(ledger, subjectId), await makeCall(ledger, subjectId)];
    await runInDurableObject(ledger, async (_instance, state) => {
      state.storage.sql.exec("UPDATE due_task SET due_ms = 1");
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
    expect(await countTerms(subjectId)).toBe(1);
  });

  it("stores a batch once when the process died before it was marked, and other records came since", async () => {
    const { subjectId, ledger } = openLedger();
    await makeCall(ledger, subjectId);
    const died = async (): Promise<never> => Promise.reject(new Error("the process died"));
    const transact = (): never => {
      throw new Error("the process died");
    };
    await expect(flush(ledger, subjectId, { store: { ...store, ping: died }, transact })).rejects.toThrow("died");
    expect(await listStored(subjectId)).toHaveLength(1);
    await evictDurableObject(ledger);
    await makeCall(ledger, subjectId);
    expect(await ledger.readSentHead()).toMatchObject({ seq: 0 });
    expect(await flush(ledger, subjectId)).toEqual([]);
    expect((await listStored(subjectId)).map(({ seq }) => seq)).toEqual([1, 2]);
    expect(await countTerms(subjectId)).toBe(2);
  });

  it("reports a record that the database refuses, sends all others, and sends it a day later", async () => {
    const { subjectId, ledger } = openLedger();
    for (const asked of ["a", "poison", "b"]) await makeCall(ledger, subjectId, asked);
    await env.GATEHOUSE_DB.prepare(
      `CREATE TRIGGER refuse_poison BEFORE INSERT ON audit_record WHEN NEW.body ->> '$.attempt.asked' = 'poison'
        BEGIN SELECT RAISE(ABORT, 'refused by a test'); END`,
    ).run();
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    await runTask(ledger, "flush");
    expect(warn.mock.calls.map(([line]) => String(line)).filter((line) => line.includes(subjectId))).toEqual([
      expect.stringMatching(/^audit_held: .*did not take 1 record .*: 2 \(refused: .*refused by a test/),
    ]);
    expect((await listStored(subjectId)).map(({ seq }) => seq)).toEqual([1, 3]);
    // Calls go on, and the chain shows the gap.
    await makeCall(ledger, subjectId, "c");
    await runTask(ledger, "flush");
    const spans = await store.listChains(0, Number.MAX_SAFE_INTEGER, [subjectId]);
    expect(await verifyStoredChains(store, spans, { heads: undefined })).toMatchObject([
      { fault: { kind: "missing", seq: 2, toSeq: 2 } },
    ]);
    await env.GATEHOUSE_DB.prepare("DROP TRIGGER refuse_poison").run();
    await runTask(ledger, "retry held");
    expect(await verifyStoredChains(store, spans, { heads: undefined })).toMatchObject([{ fault: null, records: 4 }]);
    warn.mockRestore();
  });

  it.each([
    ["a NUL", "a\u0000b"],
    ["half a surrogate pair", "a\ud83db"],
    ["a line feed and quotes", `a\n"'b`],
    ["characters that JSON and SQL read", "%_\\u0000$.x]"],
  ])("sends a record with %s in every text of its user", async (_name, text) => {
    const { subjectId, ledger } = openLedger();
    const attempt = {
      call: newId(),
      subjectId,
      owner: null,
      clientId: text,
      operation: text,
      asked: text,
      resource: text,
    };
    await ledger.begin(attempt, { subjectId, email: `${subjectId}@x.example`, groups: [] }, 10, null);
    const lists = { datasets: [text], columns: [text], denials: [text], masked: [text] };
    await ledger.commit(attempt.call, { ...outcome, ...lists }, { queryLock: "freed", bookmark: null });
    await makeCall(ledger, subjectId);
    expect((await flush(ledger, subjectId)).map(({ reason, cause }) => `${reason} ${String(cause)}`)).toEqual([]);
    const spans = await store.listChains(0, Number.MAX_SAFE_INTEGER, [subjectId]);
    const [verdict] = await verifyStoredChains(store, spans, { heads: undefined });
    // As JSON, because the terminal cannot show these texts.
    expect(JSON.stringify(verdict?.fault)).toBe("null");
  });

  it("sends again what the database lost, without a change to the ledger", async () => {
    const { subjectId, ledger } = openLedger();
    for (const asked of ["a", "b", "c"]) await makeCall(ledger, subjectId, asked);
    await flush(ledger, subjectId);
    const [before, head] = [await listStored(subjectId), await ledger.readSentHead()];
    await env.GATEHOUSE_DB.prepare("DELETE FROM audit_record WHERE ledger = ? AND seq > 1").bind(subjectId).run();
    await ledger.sendAgain(1);
    const dropIds = (records: typeof before) => records.map(({ id: _id, ...record }) => record);
    expect(dropIds(await listStored(subjectId))).toEqual(dropIds(before));
    expect(await ledger.readSentHead()).toEqual(head);
  });

  it("sends records whose many keys make more text than the database takes at once in parts", async () => {
    const { subjectId, ledger } = openLedger();
    const values = Array.from({ length: 500 }, (_value, at) => String(at));
    const keys = { [`shop.${"t".repeat(100)}`]: { values, complete: true } };
    for (let count = 0; count < 40; count += 1) await makeCall(ledger, subjectId, "SELECT 1", { ...outcome, keys });
    const sizes: number[] = [];
    const append: AuditRecordStore["append"] = async (name, records) => {
      sizes.push(JSON.stringify(records).length);
      return store.append(name, records);
    };
    expect(await flush(ledger, subjectId, { store: { ...store, append } })).toEqual([]);
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThan(2_000_000);
    expect(await listStored(subjectId)).toHaveLength(40);
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
      expect(records.listHeld(0)).toHaveLength(1);
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
      state.storage.sql.exec("UPDATE due_task SET due_ms = 1");
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
