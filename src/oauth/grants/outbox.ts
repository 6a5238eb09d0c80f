// The outbox of a GrantObject: messages to other objects, stored in the transaction of the change that caused them. They are delivered
// at once and retried by the alarm until they succeed, so a receiver must accept a message twice.
import type { AuditEvent, GrantEndReason } from "./audit-events.ts";
import type { LazyTables } from "../../lib/lazy-tables.ts";

/** A message to another object. */
export type OutboxMessage =
  /** The ledger must store the end of a grant or an access token, after which its entry `key` is removed. */
  | { readonly kind: "ending"; readonly key: string; readonly endReason: GrantEndReason }
  /** A grant has ended: its sessions, streams and listeners must end. */
  | { readonly kind: "end"; readonly subjectId: string; readonly grantId: string }
  /** An event must be appended to a ledger. */
  | { readonly kind: "note"; readonly note: AuditEvent };

/** A stored message. */
export interface OutboxEntry {
  readonly id: number;
  readonly message: OutboxMessage;
  readonly tries: number;
}

/** Stores the messages of one object. */
export interface Outbox {
  enqueue(message: OutboxMessage, nowMs: number): void;
  /** Whether the ledger is yet to store the end of this entry. */
  isEnding(key: string): boolean;
  /** Makes the message about the end of this entry due now; false when there is none. */
  expediteEnding(key: string, nowMs: number): boolean;
  /** Lists the messages that are due, oldest first. */
  listDue(nowMs: number): readonly OutboxEntry[];
  remove(id: number): void;
  /** Schedules the next attempt, with exponential backoff. */
  postpone(entry: OutboxEntry, nowMs: number): void;
  nextDueMs(): number | undefined;
}

const FIRST_RETRY_MS = 2000;
const MAX_RETRY_MS = 600_000;
const BATCH_SIZE = 100;
const IS_ENDING = "json_extract(body, '$.kind') = 'ending' AND json_extract(body, '$.key') = ?";

/** Creates the outbox over the tables of a GrantObject. */
export function createOutbox({
  getIfCreated,
  ensureCreated,
}: Pick<LazyTables, "getIfCreated" | "ensureCreated">): Outbox {
  return {
    enqueue: (message, nowMs) =>
      void ensureCreated().exec(
        "INSERT INTO outbox (body, due_ms, tries) VALUES (?, ?, 0)",
        JSON.stringify(message),
        nowMs,
      ),
    isEnding: (key) =>
      (getIfCreated()?.exec(`SELECT 1 FROM outbox WHERE ${IS_ENDING}`, key).toArray() ?? []).length > 0,
    expediteEnding: (key, nowMs) =>
      (getIfCreated()?.exec(`UPDATE outbox SET due_ms = ? WHERE ${IS_ENDING} RETURNING id`, nowMs, key).toArray() ?? [])
        .length > 0,
    listDue: (nowMs) =>
      getIfCreated()
        ?.exec<{ id: number; body: string; tries: number }>(
          "SELECT id, body, tries FROM outbox WHERE due_ms <= ? ORDER BY id LIMIT ?",
          nowMs,
          BATCH_SIZE,
        )
        .toArray()
        .map(({ id, body, tries }) => ({ id, message: JSON.parse(body) as OutboxMessage, tries })) ?? [],
    remove: (id) => void getIfCreated()?.exec("DELETE FROM outbox WHERE id = ?", id),
    postpone({ id, tries }, nowMs) {
      const dueMs = nowMs + Math.min(FIRST_RETRY_MS * 2 ** tries, MAX_RETRY_MS);
      getIfCreated()?.exec("UPDATE outbox SET due_ms = ?, tries = tries + 1 WHERE id = ?", dueMs, id);
    },
    nextDueMs: () =>
      getIfCreated()?.exec<{ next: number | null }>("SELECT min(due_ms) AS next FROM outbox").toArray()[0]?.next ??
      undefined,
  };
}
