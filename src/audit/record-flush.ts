// Sends the records of one ledger to GATEHOUSE_DB, batch by batch. A batch that was stored without an answer is sent again, which changes
// nothing. A record that the database does not take is held back, so that it stops no other.
import { byteLength } from "../lib/bytes.ts";
import type { AuditRecordStore, SentRecord } from "./audit-record-store.ts";
import { isOutage } from "../sql/d1-messages.ts";
import { listTerms, readEndedMs, readEntry } from "./record-entry.ts";
import type { HeldRecord, SentRecords, UnsentRecord } from "./sent-records.ts";

/** The store as a ledger sends to it. */
export type RecordReceiver = Pick<AuditRecordStore, "append" | "ping"> & {
  /** The most bytes of records that one run of a ledger's flush should send; without it, all of them. */
  readonly maxRunBytes?: number;
};

/** What the flush of one ledger needs. */
export interface FlushDependencies {
  readonly ledger: string;
  readonly records: SentRecords;
  readonly store: RecordReceiver;
  /** Runs the changes in one transaction. */
  readonly transact: <T>(change: () => T) => T;
  readonly now: () => number;
  /** Called with the records that the database did not take. */
  readonly onHeld: (held: readonly HeldRecord[]) => void;
}

/** What the flush's tasks need. */
interface TaskDependencies extends FlushDependencies {
  /** Makes the task `retry held` due. */
  readonly retryHeldAt: (dueMs: number) => void;
}

/** The tasks of the flush, by name; none where records stay in the ledger. A task returns when it is due again. */
export type FlushTasks = Readonly<Record<string, () => Promise<number | undefined>>>;

/** The most bytes of records that are sent at once, with the terms of their keys: D1 takes at most 2 MB as one value. */
const MAX_SENT_BYTES = 1_500_000;
/** How often records are sent again that the database did not take. */
const HELD_RETRY_MS = 86_400_000;

/** Creates the tasks: `flush` sends records and deletes old ones, and `retry held` sends held ones again. */
export function createFlushTasks({ retryHeldAt, ...dependencies }: TaskDependencies): FlushTasks {
  const { records, transact, now, onHeld } = dependencies;
  return {
    flush: async () => {
      const isDone = await flushRecords({
        ...dependencies,
        onHeld(held) {
          onHeld(held);
          retryHeldAt(now() + HELD_RETRY_MS);
        },
      });
      const deletionMs = transact(() => records.deleteOld(now()));
      return isDone ? deletionMs : now();
    },
    "retry held": async () => {
      await retryHeld(dependencies);
      return records.listHeld(0).length === 0 ? undefined : now() + HELD_RETRY_MS;
    },
  };
}

/**
 * Sends the records that were not sent, up to the store's `maxRunBytes` at once. Returns false when others may wait. Throws when the
 * database does not answer; what was stored until then is marked as sent.
 */
export async function flushRecords(dependencies: FlushDependencies): Promise<boolean> {
  const { records, store, transact, now, onHeld } = dependencies;
  const { maxRunBytes } = store;
  for (;;) {
    const batch = records.listUnsent(maxRunBytes);
    if (batch.length === 0) return true;
    const held = await sendBatch(dependencies, batch);
    transact(() => records.markSent(batch, held, now()));
    if (held.length > 0) onHeld(held);
    if (maxRunBytes !== undefined) return records.listUnsent(1).length === 0;
  }
}

/**
 * Sends again the sent records after `afterSeq` that are still in the ledger, because GATEHOUSE_DB lost them: it was restored to an
 * earlier time, or its end was cut. Nothing of the ledger changes, so what it says about the end of its chain stays. Throws when the
 * database does not answer.
 */
export async function sendAgain(
  dependencies: Pick<FlushDependencies, "ledger" | "records" | "store">,
  afterSeq: number,
): Promise<void> {
  const { records } = dependencies;
  for (let batch = records.listSent(afterSeq), last = batch.at(-1); last !== undefined; last = batch.at(-1)) {
    // Records that the database refuses are held already.
    await sendBatch(dependencies, batch);
    batch = records.listSent(last.seq);
  }
}

/** Sends the held records again. Those that the database now takes are no longer held. Throws when it does not answer. */
export async function retryHeld(dependencies: FlushDependencies): Promise<void> {
  const { records, transact } = dependencies;
  for (let batch = records.listHeld(0), last = batch.at(-1); last !== undefined; last = batch.at(-1)) {
    const sent = batch;
    const held = new Set((await sendEach(dependencies, sent)).map(({ seq }) => seq));
    transact(() => records.release(sent.filter(({ seq }) => !held.has(seq))));
    batch = records.listHeld(last.seq);
  }
}

async function sendBatch(
  dependencies: Pick<FlushDependencies, "ledger" | "store">,
  batch: readonly UnsentRecord[],
): Promise<readonly HeldRecord[]> {
  const { ledger, store } = dependencies;
  const records = batch.map((record) => buildSent(ledger, record));
  if (batch.length > 1 && byteLength(JSON.stringify(records)) > MAX_SENT_BYTES) {
    const half = Math.ceil(batch.length / 2);
    return [
      ...(await sendBatch(dependencies, batch.slice(0, half))),
      ...(await sendBatch(dependencies, batch.slice(half))),
    ];
  }
  try {
    const stored = await store.append(ledger, records);
    return batch.flatMap(({ seq, hash }) => (stored.get(seq) === hash ? [] : [{ seq, reason: "conflict" } as const]));
  } catch (error) {
    // One record may be the cause. When the database does not answer or takes nothing, none is.
    if (isOutage(error)) throw error;
    await store.ping();
    if (batch.length === 1) return batch.map(({ seq }) => ({ seq, reason: "refused", cause: error }));
    return sendEach(dependencies, batch);
  }
}

async function sendEach(
  dependencies: Pick<FlushDependencies, "ledger" | "store">,
  batch: readonly UnsentRecord[],
): Promise<readonly HeldRecord[]> {
  const held: HeldRecord[] = [];
  for (const record of batch) held.push(...(await sendBatch(dependencies, [record])));
  return held;
}

function buildSent(ledger: string, { seq, body, salts, hash }: UnsentRecord): SentRecord {
  const entry = readEntry(ledger, { seq, body, hash });
  return { seq, body, salts, hash, endedMs: readEndedMs(entry), terms: listTerms(entry) };
}
