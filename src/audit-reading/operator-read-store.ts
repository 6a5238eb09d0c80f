// The table `audit_operator_read` in GATEHOUSE_DB: commands write here that they read the audit log, before they print anything, and the
// Worker moves what has ended into the operator's ledger.
import { openStatements } from "../lib/statement-store.ts";
import type { ClosedOperatorRead, OperatorRead, OperatorReadStore } from "./operator-reads.ts";

/** Opens the store over GATEHOUSE_DB. */
export function openOperatorReadStore(database: D1Database): OperatorReadStore {
  const { run, all } = openStatements(database);
  return {
    async begin({ id, operator, request }: OperatorRead, nowMs) {
      await run(
        `INSERT INTO audit_operator_read (id, operator, request, began_ms, touched_ms, rows, state)
          VALUES (?1, ?2, ?3, ?4, ?4, 0, 'running')`,
        id,
        operator,
        request,
        nowMs,
      );
    },
    addRows: async (id, rows, nowMs) =>
      (await run(
        `UPDATE audit_operator_read SET rows = rows + ?2, touched_ms = ?3 WHERE id = ?1 AND state = 'running'`,
        id,
        rows,
        nowMs,
      )) > 0,
    async end(id) {
      await run(`UPDATE audit_operator_read SET state = 'ended' WHERE id = ? AND state = 'running'`, id);
    },
    async interrupt(beforeMs) {
      await run(
        `UPDATE audit_operator_read SET state = 'interrupted' WHERE state = 'running' AND touched_ms < ?`,
        beforeMs,
      );
    },
    listClosed: async (limit) =>
      all<ClosedOperatorRead>(
        `SELECT id, operator, request, began_ms AS beganMs, rows, state FROM audit_operator_read
          WHERE state <> 'running' ORDER BY began_ms, id LIMIT ?`,
        limit,
      ),
    async delete(id) {
      await run("DELETE FROM audit_operator_read WHERE id = ?", id);
    },
  };
}
