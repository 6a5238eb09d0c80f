// How far the audit records in GATEHOUSE_DB were exported, and the records to export, in the order in which they arrived.
import { openStatements } from "../../lib/statement-store.ts";
import type { ListedRecord } from "../audit-record-store.ts";

/** Where records are exported to: the bucket or the stream. */
export type ExportName = "archive" | "pipeline";

/** The progress of an export, by `audit_record.id`. */
export interface ExportProgress {
  /** Records up to this id were exported; 0 when none were. */
  readonly exportedId: number;
  /** The records after them up to this id are being exported; null when none are. */
  readonly plannedId: number | null;
}

/** What a run needs to know of a record to plan with it. */
export interface RecordSize {
  readonly id: number;
  readonly endedMs: number;
  readonly bytes: number;
}

/** Stores the progress of exports. Runs may overlap: a change that another run made first has no effect. */
export interface ExportStore {
  readProgress(name: ExportName): Promise<ExportProgress>;
  /** Plans to export the records up to `plannedId`, unless others are planned. */
  plan(name: ExportName, exportedId: number, plannedId: number): Promise<void>;
  /** Stores that the planned records were exported. */
  finish(name: ExportName, plannedId: number): Promise<void>;
  /** Lists the sizes of at most `limit` records after `afterId`, in order. */
  listSizes(afterId: number, limit: number): Promise<readonly RecordSize[]>;
  /** Lists the records after `afterId` up to `untilId`, in order. */
  listRange(afterId: number, untilId: number): Promise<readonly ListedRecord[]>;
  /** Reads the id of the newest record; 0 when there is none. */
  readNewestId(): Promise<number>;
}

/** Opens the store over GATEHOUSE_DB. */
export function openExportStore(database: D1Database): ExportStore {
  const { all, run } = openStatements(database);
  return {
    async readProgress(name) {
      const [progress] = await all<ExportProgress>(
        "SELECT exported_id AS exportedId, planned_id AS plannedId FROM audit_export WHERE name = ?",
        name,
      );
      return progress ?? { exportedId: 0, plannedId: null };
    },
    async plan(name, exportedId, plannedId) {
      await run(
        `INSERT INTO audit_export (name, exported_id, planned_id) VALUES (?, ?, ?)
          ON CONFLICT (name) DO UPDATE SET planned_id = excluded.planned_id
            WHERE exported_id = excluded.exported_id AND planned_id IS NULL`,
        name,
        exportedId,
        plannedId,
      );
    },
    async finish(name, plannedId) {
      await run(
        "UPDATE audit_export SET exported_id = planned_id, planned_id = NULL WHERE name = ? AND planned_id = ?",
        name,
        plannedId,
      );
    },
    listSizes: async (afterId, limit) =>
      all(
        `SELECT id, ended_ms AS endedMs, octet_length(body) AS bytes FROM audit_record
          WHERE id > ? ORDER BY id LIMIT ?`,
        afterId,
        limit,
      ),
    listRange: async (afterId, untilId) =>
      all(
        `SELECT id, ledger, seq, ended_ms AS endedMs, body, hash FROM audit_record
          WHERE id > ? AND id <= ? ORDER BY id`,
        afterId,
        untilId,
      ),
    async readNewestId() {
      const [newest] = await all<{ id: number | null }>("SELECT max(id) AS id FROM audit_record");
      return newest?.id ?? 0;
    },
  };
}
