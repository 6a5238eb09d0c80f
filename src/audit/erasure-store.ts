// The erasures in GATEHOUSE_DB: the command line stores them, and the Worker carries them out.
import { openStatements } from "../lib/statement-store.ts";
import * as z from "zod";
import { DELETE_TERMS_SQL } from "./audit-record-store.ts";
import type { RecordTerm } from "./audit-record-store.ts";
import { ERASABLE_FIELDS, MAX_ERASED_RANGES, MAX_ERASURE_REASON } from "./erasure.ts";
import type { ErasedLedger, LedgerErasure } from "./erasure.ts";

/** An erasure as the command line asks for it. */
export interface ErasureRequest extends LedgerErasure {
  readonly ledger: string;
  readonly nowMs: number;
}

/** A stored erasure. */
export interface StoredErasure extends ErasureRequest {
  /** The last record that it covers, and its own record; null until the ledger has recorded it. */
  readonly untilSeq: number | null;
  readonly recordedSeq: number | null;
  /** The last record whose copy in GATEHOUSE_DB was looked at. */
  readonly doneSeq: number;
  /** How many records lost values, and how many could not because an earlier version hashed them as a whole. */
  readonly erased: number;
  readonly kept: number;
  readonly isDone: boolean;
}

/** A stored record without its erased values. */
export interface ErasedRecord {
  readonly id: number;
  readonly hash: string;
  readonly body: string;
  readonly salts: string;
  /** The salts that were read. */
  readonly readSalts: string;
}

/** What became of some stored records. */
export interface ErasedPage {
  readonly records: readonly ErasedRecord[];
  /** The terms by which they can no longer be found. */
  readonly lostTerms: readonly RecordTerm[];
  /** The last record that was looked at. */
  readonly doneSeq: number;
  /** How many records could not lose values. */
  readonly kept: number;
}

/** Stores erasures. */
export interface ErasureStore {
  /** Whether the table exists: commands also open databases that no version with erasures has migrated. */
  isReady(): Promise<boolean>;
  request(erasures: readonly ErasureRequest[]): Promise<void>;
  /** Lists at most `limit` erasures that are not done, oldest first. Those that cannot be read are passed to `onInvalid`. */
  listPending(limit: number, onInvalid: (error: unknown) => void): Promise<readonly StoredErasure[]>;
  list(ids: readonly string[]): Promise<readonly StoredErasure[]>;
  /** Notes that the ledger has recorded the erasure. */
  setRecorded(id: string, recorded: Pick<ErasedLedger, "untilSeq" | "recordedSeq">): Promise<void>;
  /**
   * Replaces stored records by those without the erased values, and notes how far the erasure has come, in one transaction. A record that
   * has changed since it was read stays as it is, and the erasure stays where it was: another one may have taken other values out of it.
   * Throws then.
   */
  replace(id: string, page: ErasedPage): Promise<void>;
  markDone(id: string, nowMs: number): Promise<void>;
  /**
   * Forgets the address under which a user signed in, if they were removed as a member and the members table gives them nothing. Returns
   * whether it is forgotten.
   */
  forgetAddress(ledger: string): Promise<boolean>;
}

const rowSchema = z
  .object({
    id: z.string(),
    ledger: z.string(),
    fields: z.string(),
    ranges: z.string().nullable(),
    reason: z.string().max(MAX_ERASURE_REASON),
    requested_by: z.string(),
    requested_ms: z.number(),
    until_seq: z.number().nullable(),
    recorded_seq: z.number().nullable(),
    done_seq: z.number(),
    erased: z.number(),
    kept: z.number(),
    done_ms: z.number().nullable(),
  })
  .transform((row): StoredErasure => ({
    id: row.id,
    ledger: row.ledger,
    fields: fieldsSchema.parse(JSON.parse(row.fields)),
    ranges: row.ranges === null ? null : rangesSchema.parse(JSON.parse(row.ranges)),
    reason: row.reason,
    by: row.requested_by,
    nowMs: row.requested_ms,
    untilSeq: row.until_seq,
    recordedSeq: row.recorded_seq,
    doneSeq: row.done_seq,
    erased: row.erased,
    kept: row.kept,
    isDone: row.done_ms !== null,
  }));
const fieldsSchema = z.array(z.enum(ERASABLE_FIELDS));
const rangesSchema = z
  .array(z.tuple([z.int(), z.int()]))
  .min(1)
  .max(MAX_ERASED_RANGES);

/** The ids of the records of a JSON list of `ErasedRecord` that are stored without the erased values. */
const REPLACED_IDS = `SELECT r.id FROM json_each(?) JOIN audit_record AS r
  ON r.id = value ->> 'id' AND r.hash = value ->> 'hash' AND r.salts = value ->> 'salts'`;

/** Opens the store over GATEHOUSE_DB. */
export function openErasureStore(database: D1Database): ErasureStore {
  const { prepare, all, run, hasTable } = openStatements(database);
  const listRows = async (where: string, ...values: readonly unknown[]): Promise<readonly StoredErasure[]> => {
    const rows = await all(`SELECT * FROM audit_erasure WHERE ${where}`, ...values);
    return rows.map((row) => rowSchema.parse(row));
  };
  return {
    isReady: async () => hasTable("audit_erasure"),
    async request(erasures) {
      if (erasures.length === 0) return;
      await database.batch(
        erasures.map(({ id, ledger, fields, ranges, reason, by, nowMs }) =>
          prepare(
            `INSERT INTO audit_erasure (id, ledger, fields, ranges, reason, requested_by, requested_ms)
              VALUES (?, ?, ?, ?, ?, ?, ?)`,
            id,
            ledger,
            JSON.stringify(fields),
            ranges === null ? null : JSON.stringify(ranges),
            reason,
            by,
            nowMs,
          ),
        ),
      );
    },
    async listPending(limit, onInvalid) {
      const rows = await all(
        "SELECT * FROM audit_erasure WHERE done_ms IS NULL ORDER BY requested_ms, id LIMIT ?",
        limit,
      );
      return rows.flatMap((row) => {
        try {
          return [rowSchema.parse(row)];
        } catch (error) {
          onInvalid(error);
          return [];
        }
      });
    },
    list: async (ids) => listRows("id IN (SELECT value FROM json_each(?)) ORDER BY ledger, id", JSON.stringify(ids)),
    async setRecorded(id, { untilSeq, recordedSeq }) {
      await run(
        "UPDATE audit_erasure SET until_seq = ?, recorded_seq = ? WHERE id = ? AND until_seq IS NULL",
        untilSeq,
        recordedSeq,
        id,
      );
    },
    async replace(id, { records, lostTerms, doneSeq, kept }) {
      const json = JSON.stringify(records);
      const [replaced] = await database.batch([
        prepare(
          `UPDATE audit_record SET body = value ->> 'body', salts = value ->> 'salts' FROM json_each(?)
            WHERE audit_record.id = value ->> 'id' AND audit_record.hash = value ->> 'hash'
              AND audit_record.salts = value ->> 'readSalts'`,
          json,
        ),
        prepare(`${DELETE_TERMS_SQL} AND record_id IN (${REPLACED_IDS})`, JSON.stringify(lostTerms), json),
        prepare(
          `UPDATE audit_erasure SET done_seq = ?2, erased = erased + ?3, kept = kept + ?4
            WHERE id = ?5 AND done_seq < ?2 AND (SELECT count(*) FROM (${REPLACED_IDS.replace("?", "?1")})) = ?3`,
          json,
          doneSeq,
          records.length,
          kept,
          id,
        ),
      ]);
      if (replaced?.meta.changes !== records.length)
        throw new Error("audit records changed while values were erased from them; the next upkeep continues");
    },
    async markDone(id, nowMs) {
      await run("UPDATE audit_erasure SET done_ms = ? WHERE id = ? AND done_ms IS NULL", nowMs, id);
    },
    async forgetAddress(ledger) {
      await run(
        `UPDATE subject SET email = '' WHERE subject_id = ?1 AND owner_id IS NULL
          AND email IN (SELECT email FROM member_removal WHERE kind = 'removal' AND done_ms IS NOT NULL)
          AND email NOT IN (SELECT email FROM member WHERE roles <> '{}' OR attributes <> '{}')`,
        ledger,
      );
      return (await all("SELECT 1 FROM subject WHERE subject_id = ? AND email = ''", ledger)).length > 0;
    },
  };
}
