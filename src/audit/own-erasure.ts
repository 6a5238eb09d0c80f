// The part of an erasure in the ledger itself: it erases the records that are still there, and writes the record of the erasure.
import { byteLength } from "../lib/bytes.ts";
import { buildErasureRecord, eraseRecord, formatErasureCall, readCoveredRanges } from "./erasure.ts";
import type { ErasedLedger, LedgerErasure, SeqRange } from "./erasure.ts";
import type { LedgerRecord } from "./audit-record.ts";
import type { Records } from "./records.ts";

/** What the erasure of a ledger's records needs. The caller opens the transaction. */
interface OwnErasureDependencies {
  readonly sql: SqlStorage;
  readonly records: Pick<Records, "appendAlways">;
  /** The subject id of the ledger's user. */
  readonly ledger: string;
  readonly nowMs: number;
}

/** Erases the records, and records it unless that is done already. */
export function eraseOwnRecords(
  { sql, records, ledger, nowMs }: OwnErasureDependencies,
  erasure: LedgerErasure,
): Pick<ErasedLedger, "untilSeq" | "recordedSeq"> {
  const ranges = findRecorded(sql, erasure.id) ?? erasure.ranges ?? listAll(sql);
  for (const range of ranges) eraseRange(sql, range, erasure);
  const { attempt, outcome } = buildErasureRecord(ledger, erasure, ranges);
  records.appendAlways(attempt, outcome, nowMs);
  const { seq: recordedSeq } = sql.exec<{ seq: number }>("SELECT seq FROM record WHERE call = ?", attempt.call).one();
  return { untilSeq: ranges.at(-1)?.[1] ?? 0, recordedSeq };
}

/** Finds what an earlier try has covered: the ledger has had new records since. */
function findRecorded(sql: SqlStorage, id: string): readonly SeqRange[] | undefined {
  const [row] = sql
    .exec<{ asked: string }>(
      "SELECT body ->> '$.attempt.asked' AS asked FROM record WHERE call = ?",
      formatErasureCall(id),
    )
    .toArray();
  return row === undefined ? undefined : readCoveredRanges(row.asked);
}

function listAll(sql: SqlStorage): readonly SeqRange[] {
  const { seq } = sql.exec<{ seq: number }>("SELECT seq FROM head").one();
  return seq === 0 ? [] : [[1, seq]];
}

function eraseRange(sql: SqlStorage, [first, last]: SeqRange, { fields }: LedgerErasure): void {
  const rows = sql
    .exec<Record<string, SqlStorageValue> & LedgerRecord>(
      "SELECT seq, body, salts, hash FROM record WHERE seq BETWEEN ? AND ? ORDER BY seq",
      first,
      last,
    )
    .toArray();
  for (const row of rows) {
    const erased = eraseRecord(row, fields);
    if (erased === null || erased === "whole") continue;
    sql.exec("UPDATE record SET body = ?, salts = ? WHERE seq = ?", erased.body, erased.salts, row.seq);
    // Only records that were not sent count as stored bytes; the bytes of the new texts are subtracted when they are sent.
    sql.exec(
      `UPDATE head SET bytes = max(0, bytes + ?1) WHERE ?2 > (SELECT coalesce(max(until_seq), 0) FROM sent_batch)
        OR ?2 IN (SELECT seq FROM held_record)`,
      countBytes(erased) - countBytes(row),
      row.seq,
    );
  }
}

const countBytes = ({ body, salts }: Pick<LedgerRecord, "body" | "salts">): number =>
  byteLength(body) + (salts?.length ?? 0);
