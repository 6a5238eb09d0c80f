// The single-use handles of one subject, in the ledger's SQLite database. A handle is opened when the user is asked, spent by the
// answer, and stored with its outcome until it expires, so that an answer sent twice acts once. The functions do not open a transaction;
// their callers do.
import type { NewHandle, OpenedHandle, SpentHandle } from "../lib/handle.ts";

/** The ledger as the protocol layer uses it: handles of questions that the subject was asked. */
export interface HandleLedger {
  /** Stores a handle and returns it. Returns the earlier handle when the same call opened one. Undefined when there are too many. */
  openHandle(opened: NewHandle): Promise<string | undefined>;
  /** Finds the handle that a call has opened, also when it has expired within a day. */
  findHandle(call: string): Promise<OpenedHandle | undefined>;
  /** Spends a handle. Only the first use gets its state. */
  spendHandle(handle: string, binding: string): Promise<SpentHandle>;
  /** Stores the outcome of a spent handle together with the next handle. Returns false and stores neither when there are too many. */
  recordHandleOutcome(handle: string, outcome: string, next: NewHandle | undefined): Promise<boolean>;
}

/** The table of handles. */
export interface HandleTable {
  /** Stores a handle, as `HandleLedger.openHandle` does. */
  open(opened: NewHandle, nowMs: number): string | undefined;
  /** Finds a handle, as `HandleLedger.findHandle` does. */
  find(call: string): OpenedHandle | undefined;
  /** Spends a handle, as `HandleLedger.spendHandle` does. */
  spend(handle: string, binding: string, nowMs: number): SpentHandle;
  /** Stores the outcome of a spent handle, unless it already has one. */
  recordOutcome(handle: string, outcome: string): void;
  /** Stores an outcome and the next handle, as `HandleLedger.recordHandleOutcome` does. */
  goOn(handle: string, outcome: string, next: NewHandle | undefined, nowMs: number): boolean;
  /** Deletes handles that no call needs any more, and returns when the next one can go; undefined when none is left. */
  deleteOld(nowMs: number): number | undefined;
  /** Counts the questions that may still be answered. */
  countOpen(nowMs: number): number;
  /** Deletes all handles, so that no answer is accepted. */
  clear(): void;
}

/** The maximum number of unexpired handles of one subject. */
const MAX_HANDLES = 200;

interface HandleRow extends Record<string, SqlStorageValue> {
  readonly state: string;
  readonly is_spent: number;
  readonly outcome: string | null;
}

/** A call that runs again after its handle has expired must find it, or it would ask anew. */
const CALL_RETENTION_MS = 86_400_000;
/** When a handle is deleted. */
const OVER_MS = `expires_ms + CASE WHEN call IS NULL THEN 0 ELSE ${CALL_RETENTION_MS} END`;

/** Opens the handles in the SQLite database of a ledger. */
export function createHandleTable(sql: SqlStorage): HandleTable {
  const open: HandleTable["open"] = ({ handle, call, binding, state, ttlSeconds }, nowMs) => {
    const [openHandle] = sql.exec<{ handle: string }>("SELECT handle FROM handle WHERE call = ?", call ?? null);
    if (openHandle !== undefined) return openHandle.handle;
    const { held } = sql
      .exec<{ held: number }>("SELECT count(*) AS held FROM handle WHERE expires_ms > ?", nowMs)
      .one();
    if (held >= MAX_HANDLES) return undefined;
    sql.exec(
      "INSERT INTO handle (handle, call, binding, state, expires_ms) VALUES (?, ?, ?, ?, ?)",
      handle,
      call ?? null,
      binding,
      state,
      nowMs + ttlSeconds * 1000,
    );
    return handle;
  };
  const recordOutcome: HandleTable["recordOutcome"] = (handle, outcome) =>
    void sql.exec(
      "UPDATE handle SET outcome = ? WHERE handle = ? AND is_spent = 1 AND outcome IS NULL",
      outcome,
      handle,
    );
  return {
    open,
    find(call) {
      const [row] = sql.exec<HandleRow & { handle: string }>("SELECT * FROM handle WHERE call = ?", call);
      return row && { handle: row.handle, state: row.state, isSpent: row.is_spent === 1 };
    },
    spend(handle, binding, nowMs) {
      const [row] = sql.exec<HandleRow>(
        "SELECT state, is_spent, outcome FROM handle WHERE handle = ? AND binding = ? AND expires_ms > ?",
        handle,
        binding,
        nowMs,
      );
      if (row === undefined) return { kind: "unknown" };
      if (row.is_spent === 1) return { kind: "spent", state: row.state, outcome: row.outcome };
      sql.exec("UPDATE handle SET is_spent = 1 WHERE handle = ?", handle);
      return { kind: "fresh", state: row.state };
    },
    recordOutcome,
    goOn(handle, outcome, next, nowMs) {
      if (next !== undefined && open(next, nowMs) === undefined) return false;
      recordOutcome(handle, outcome);
      return true;
    },
    deleteOld(nowMs) {
      sql.exec(`DELETE FROM handle WHERE ${OVER_MS} <= ?`, nowMs);
      return sql.exec<{ next: number | null }>(`SELECT min(${OVER_MS}) AS next FROM handle`).one().next ?? undefined;
    },
    countOpen: (nowMs) =>
      sql
        .exec<{ open: number }>("SELECT count(*) AS open FROM handle WHERE is_spent = 0 AND expires_ms > ?", nowMs)
        .one().open,
    clear: () => void sql.exec("DELETE FROM handle"),
  };
}
