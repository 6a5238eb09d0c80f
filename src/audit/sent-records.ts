// Which records of a ledger were sent to GATEHOUSE_DB. Sent records stay in the ledger for a day, because calls, workspaces and repeated
// commits still ask for them; they no longer count as stored bytes.
import { byteLength } from "../lib/bytes.ts";
import { GENESIS } from "./record-chain.ts";
import type { ChainHead } from "./record-chain.ts";
import type { LedgerRecord } from "./audit-record.ts";

/** How long a sent record stays in the ledger. */
const SENT_RETENTION_MS = 86_400_000;
/** The most records and bytes of one batch: D1 takes at most 2 MB as one value. */
const MAX_BATCH_RECORDS = 200;
const MAX_BATCH_BYTES = 500_000;

/** A record and its size. */
export interface UnsentRecord extends LedgerRecord {
  readonly bytes: number;
}

/** The sent and unsent records of one ledger. The functions do not open a transaction. */
export interface SentRecords {
  /** Lists the next batch of records to send, in order; of at most `maxBytes`, unless a single record is larger. */
  listUnsent(maxBytes?: number): readonly UnsentRecord[];
  /** Reads when the oldest record that waits was written, in milliseconds since the epoch; undefined when none waits. */
  readOldestUnsentMs(): number | undefined;
  /** Lists a batch of sent records after `afterSeq` that are still here, in order. */
  listSent(afterSeq: number): readonly UnsentRecord[];
  /** Reads up to which record the chain was sent. */
  readHead(): ChainHead;
  /** Marks records as sent. `held` names those that GATEHOUSE_DB did not take: they stay in the ledger until they are sent again. */
  markSent(batch: readonly UnsentRecord[], held: readonly HeldRecord[], nowMs: number): void;
  /** Lists a batch of the records after `afterSeq` that GATEHOUSE_DB did not take, in order. */
  listHeld(afterSeq: number): readonly UnsentRecord[];
  /** Forgets that records were held, because they were sent. */
  release(sent: readonly UnsentRecord[]): void;
  /** Deletes records that were sent long ago. Returns when the next ones can be deleted; undefined when none wait. */
  deleteOld(nowMs: number): number | undefined;
}

/** A record that GATEHOUSE_DB did not take. */
export interface HeldRecord {
  readonly seq: number;
  /** `conflict`: another record is stored in its place. `refused`: the database refuses it while it takes others. */
  readonly reason: "conflict" | "refused";
  /** The database's error. */
  readonly cause?: unknown;
}

interface RecordRow extends Record<string, SqlStorageValue> {
  readonly seq: number;
  readonly body: string;
  readonly salts: string | null;
  readonly hash: string;
}

/** Creates them over the tables `record`, `head`, `sent_batch` and `held_record` of a ledger. */
export function createSentRecords(sql: SqlStorage): SentRecords {
  const readSentSeq = (): number =>
    sql.exec<{ seq: number }>("SELECT coalesce(max(until_seq), 0) AS seq FROM sent_batch").one().seq;
  const withBytes = (row: RecordRow): UnsentRecord => ({
    ...row,
    bytes: byteLength(row.body) + (row.salts?.length ?? 0),
  });
  const listBatch = (afterSeq: number, untilSeq: number, maxBytes = MAX_BATCH_BYTES): readonly UnsentRecord[] => {
    const batch: UnsentRecord[] = [];
    let bytes = 0;
    const rows = sql.exec<RecordRow>(
      "SELECT seq, body, salts, hash FROM record WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
      afterSeq,
      untilSeq,
      MAX_BATCH_RECORDS,
    );
    for (const row of rows) {
      const unsent = withBytes(row);
      bytes += unsent.bytes;
      if (bytes > maxBytes && batch.length > 0) break;
      batch.push(unsent);
    }
    return batch;
  };
  return {
    readOldestUnsentMs() {
      const [oldest] = sql
        .exec<{ ended: string }>(
          "SELECT body ->> '$.ended' AS ended FROM record WHERE seq > ? ORDER BY seq LIMIT 1",
          readSentSeq(),
        )
        .toArray();
      return oldest === undefined ? undefined : Date.parse(oldest.ended);
    },
    readHead: () =>
      sql
        .exec<{ seq: number; hash: string }>(
          "SELECT until_seq AS seq, hash FROM sent_batch ORDER BY until_seq DESC LIMIT 1",
        )
        .toArray()[0] ?? GENESIS,
    listUnsent: (maxBytes) => listBatch(readSentSeq(), Number.MAX_SAFE_INTEGER, maxBytes),
    listSent: (afterSeq) => listBatch(afterSeq, readSentSeq()),
    markSent(batch, held, nowMs) {
      const last = batch.at(-1);
      if (last === undefined) return;
      sql.exec("INSERT INTO sent_batch (until_seq, hash, sent_ms) VALUES (?, ?, ?)", last.seq, last.hash, nowMs);
      for (const { seq, reason } of held)
        sql.exec("INSERT OR REPLACE INTO held_record (seq, reason) VALUES (?, ?)", seq, reason);
      const heldSeqs = new Set(held.map(({ seq }) => seq));
      const bytes = batch.reduce((sum, unsent) => sum + (heldSeqs.has(unsent.seq) ? 0 : unsent.bytes), 0);
      sql.exec("UPDATE head SET bytes = max(0, bytes - ?)", bytes);
    },
    listHeld: (afterSeq) =>
      sql
        .exec<RecordRow>(
          `SELECT seq, body, salts, hash FROM record
            WHERE seq > ? AND seq IN (SELECT seq FROM held_record) ORDER BY seq LIMIT ?`,
          afterSeq,
          MAX_BATCH_RECORDS,
        )
        .toArray()
        .map(withBytes),
    release(sent) {
      for (const { seq, bytes } of sent) {
        sql.exec("DELETE FROM held_record WHERE seq = ?", seq);
        sql.exec("UPDATE head SET bytes = max(0, bytes - ?)", bytes);
      }
    },
    deleteOld(nowMs) {
      const oldMs = nowMs - SENT_RETENTION_MS;
      const oldSeq = sql
        .exec<{ seq: number | null }>("SELECT max(until_seq) AS seq FROM sent_batch WHERE sent_ms <= ?", oldMs)
        .one().seq;
      if (oldSeq !== null) {
        sql.exec("DELETE FROM record WHERE seq <= ? AND seq NOT IN (SELECT seq FROM held_record)", oldSeq);
        // The newest batch says up to where records were sent.
        sql.exec("DELETE FROM sent_batch WHERE until_seq < ?", oldSeq);
      }
      const next = sql
        .exec<{ sentMs: number | null }>(
          `SELECT min(sent_ms) AS sentMs FROM sent_batch
            WHERE EXISTS (SELECT 1 FROM record WHERE seq <= until_seq AND seq NOT IN (SELECT seq FROM held_record))`,
        )
        .one().sentMs;
      return next === null ? undefined : next + SENT_RETENTION_MS;
    },
  };
}
