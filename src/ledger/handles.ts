// The single-use handles of one subject, in the ledger's SQLite: opened when a person is asked, spent by the answer, kept
// with what became of it until they expire, so that an answer sent twice acts once. Callers hold the transaction.
import type { OpenedHandle, SpentHandle } from "../lib/handle.ts";

/** The ledger as the protocol layer sees it: handles of questions that the subject was asked. */
export interface HandleLedger {
  /** Keeps a handle. A call that opened one before gets that one. Undefined when there are too many. */
  openHandle(opened: OpenedHandle): Promise<string | undefined>;
  /** Uses a handle up, at most once. */
  spendHandle(handle: string, binding: string): Promise<SpentHandle>;
  /** Keeps what became of a spent handle, and the next one with it. False when there are too many; then neither. */
  settleHandle(handle: string, outcome: string, next: OpenedHandle | undefined): Promise<boolean>;
}

export interface HandleTable {
  /** The handle, or the one that the same call opened before. Undefined when the subject has too many. */
  open(opened: OpenedHandle, nowMs: number): string | undefined;
  spend(handle: string, binding: string, nowMs: number): SpentHandle;
  /** Keeps what became of a spent handle; the first outcome stays. */
  settle(handle: string, outcome: string): void;
}

/** Questions that may be open or remembered for one subject at once. */
const MAX_HANDLES = 200;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS handle (handle TEXT PRIMARY KEY, call TEXT UNIQUE, binding TEXT NOT NULL, state TEXT NOT NULL, expires_ms INTEGER NOT NULL, is_spent INTEGER NOT NULL DEFAULT 0, outcome TEXT);
`;

interface HandleRow extends Record<string, SqlStorageValue> {
  readonly state: string;
  readonly is_spent: number;
  readonly outcome: string | null;
}

export function createHandleTable(sql: SqlStorage): HandleTable {
  sql.exec(SCHEMA);
  return {
    open({ handle, call, binding, state, ttlSeconds }, nowMs) {
      sql.exec("DELETE FROM handle WHERE expires_ms <= ?", nowMs);
      const [known] = sql.exec<{ handle: string }>("SELECT handle FROM handle WHERE call = ?", call ?? null);
      if (known !== undefined) return known.handle;
      if (sql.exec<{ held: number }>("SELECT count(*) AS held FROM handle").one().held >= MAX_HANDLES) return undefined;
      sql.exec(
        "INSERT INTO handle (handle, call, binding, state, expires_ms) VALUES (?, ?, ?, ?, ?)",
        handle,
        call ?? null,
        binding,
        state,
        nowMs + ttlSeconds * 1000,
      );
      return handle;
    },
    spend(handle, binding, nowMs) {
      const [row] = sql.exec<HandleRow>(
        "SELECT state, is_spent, outcome FROM handle WHERE handle = ? AND binding = ? AND expires_ms > ?",
        handle,
        binding,
        nowMs,
      );
      if (row === undefined) return { kind: "unknown" };
      if (row.is_spent === 1) return { kind: "spent", outcome: row.outcome };
      sql.exec("UPDATE handle SET is_spent = 1 WHERE handle = ?", handle);
      return { kind: "fresh", state: row.state };
    },
    settle(handle, outcome) {
      sql.exec("UPDATE handle SET outcome = ? WHERE handle = ? AND is_spent = 1 AND outcome IS NULL", outcome, handle);
    },
  };
}
