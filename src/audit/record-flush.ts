// Sends the records of one ledger to GATEHOUSE_DB, batch by batch. A batch that was stored without an answer is sent again, which changes
// nothing. A record that the database does not take is held back, so that it stops no other.
import type { AuditRecordStore, SentRecord } from "./audit-record-store.ts";
import { isOutage } from "../sql/d1-messages.ts";
import { listTerms, readEndedMs, readEntry } from "./record-entry.ts";
import type { HeldRecord, SentRecords, UnsentRecord } from "./sent-records.ts";

/** What the flush of one ledger needs. */
export interface FlushDependencies {
  readonly ledger: string;
  readonly records: SentRecords;
  readonly store: Pick<AuditRecordStore, "append" | "ping">;
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

/** How often records are sent again that the database did not take. */
const HELD_RETRY_MS = 86_400_000;

/** Creates the tasks: `flush` sends records and deletes old ones, and `retry held` sends held ones again. */
export function createFlushTasks({ retryHeldAt, ...dependencies }: TaskDependencies): FlushTasks {
  const { records, transact, now, onHeld } = dependencies;
  return {
    flush: async () => {
      await flushRecords({
        ...dependencies,
        onHeld(held) {
          onHeld(held);
          retryHeldAt(now() + HELD_RETRY_MS);
        },
      });
      return transact(() => records.deleteOld(now()));
    },
    "retry held": async () => {
      await retryHeld(dependencies);
      return records.listHeld().length === 0 ? undefined : now() + HELD_RETRY_MS;
    },
  };
}

/** Sends all records that were not sent. Throws when the database does not answer; what was stored until then is marked as sent. */
export async function flushRecords(dependencies: FlushDependencies): Promise<void> {
  const { records, transact, now, onHeld } = dependencies;
  for (;;) {
    const batch = records.listUnsent();
    if (batch.length === 0) return;
    const held = await sendBatch(dependencies, batch);
    transact(() => records.markSent(batch, held, now()));
    if (held.length > 0) onHeld(held);
  }
}

/** Sends the held records again. Those that the database now takes are no longer held. Throws when it does not answer. */
export async function retryHeld(dependencies: FlushDependencies): Promise<void> {
  const { records, transact } = dependencies;
  const batch = records.listHeld();
  if (batch.length === 0) return;
  const held = new Set((await sendEach(dependencies, batch)).map(({ seq }) => seq));
  transact(() => records.release(batch.filter(({ seq }) => !held.has(seq))));
}

async function sendBatch(
  dependencies: FlushDependencies,
  batch: readonly UnsentRecord[],
): Promise<readonly HeldRecord[]> {
  const { ledger, store } = dependencies;
  try {
    const stored = await store.append(
      ledger,
      batch.map((record) => buildSent(ledger, record)),
    );
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
  dependencies: FlushDependencies,
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
