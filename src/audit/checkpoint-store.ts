// The checkpoints in GATEHOUSE_DB, and the removal of the records that they stand for.
import { openStatements } from "../lib/statement-store.ts";
import { DELETE_TERMS_SQL, KNOWN_LEDGERS_SQL } from "./audit-record-store.ts";
import type { RecordTerm, StoredRecord } from "./audit-record-store.ts";
import type { Checkpoint } from "./head-signature.ts";

/** A checkpoint with the Worker's signature. */
export interface SignedCheckpoint extends Checkpoint {
  readonly signature: string;
  /** The public key that verifies the signature. */
  readonly key: string;
}

/** Records of the beginning of a chain, and their terms. */
export interface RemovedRecords {
  readonly records: readonly Pick<StoredRecord, "id" | "seq">[];
  readonly terms: readonly RecordTerm[];
}

/** Stores checkpoints. */
export interface CheckpointStore {
  /** Finds the checkpoint of a ledger; null when nothing of it was removed. */
  find(ledger: string): Promise<SignedCheckpoint | null>;
  /** Lists all checkpoints, by ledger. */
  list(): Promise<readonly SignedCheckpoint[]>;
  /** Whether there is a record that ended before a time. */
  hasRecordsBefore(untilMs: number): Promise<boolean>;
  /** Lists the ledgers whose first stored record ended before a time and has an id of at most `maxId`. */
  listLedgersBefore(untilMs: number, maxId: number): Promise<readonly string[]>;
  /** Stores a checkpoint in place of the ledger's earlier one, and deletes the records, in one transaction. */
  remove(checkpoint: SignedCheckpoint, removed: RemovedRecords): Promise<void>;
}

const CHECKPOINT_COLUMNS = "ledger, seq, hash, until_ms AS untilMs, made_ms AS madeMs, signature, key";

/** Opens the store over GATEHOUSE_DB. */
export function openCheckpointStore(database: D1Database): CheckpointStore {
  const { prepare, all } = openStatements(database);
  return {
    find: async (ledger) =>
      prepare(`SELECT ${CHECKPOINT_COLUMNS} FROM audit_checkpoint WHERE ledger = ?`, ledger).first<SignedCheckpoint>(),
    list: async () => all(`SELECT ${CHECKPOINT_COLUMNS} FROM audit_checkpoint ORDER BY ledger`),
    hasRecordsBefore: async (untilMs) =>
      (await prepare("SELECT 1 FROM audit_record WHERE ended_ms < ? LIMIT 1", untilMs).first()) !== null,
    async listLedgersBefore(untilMs, maxId) {
      const rows = await all<{ ledger: string }>(
        `WITH RECURSIVE known (ledger) AS (${KNOWN_LEDGERS_SQL})
          SELECT ledger FROM known WHERE ledger IS NOT NULL
            AND (SELECT ended_ms < ? AND id <= ? FROM audit_record AS r WHERE r.ledger = known.ledger ORDER BY seq LIMIT 1)`,
        untilMs,
        maxId,
      );
      return rows.map(({ ledger }) => ledger);
    },
    async remove({ ledger, seq, hash, untilMs, madeMs, signature, key }, { records, terms }) {
      await database.batch([
        prepare(
          `INSERT INTO audit_checkpoint (ledger, seq, hash, until_ms, made_ms, signature, key) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (ledger) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, until_ms = excluded.until_ms,
              made_ms = excluded.made_ms, signature = excluded.signature, key = excluded.key WHERE excluded.seq > seq`,
          ledger,
          seq,
          hash,
          untilMs,
          madeMs,
          signature,
          key,
        ),
        prepare(DELETE_TERMS_SQL, JSON.stringify(terms)),
        prepare(
          "DELETE FROM audit_record WHERE id IN (SELECT value FROM json_each(?))",
          JSON.stringify(records.map(({ id }) => id)),
        ),
      ]);
    },
  };
}
