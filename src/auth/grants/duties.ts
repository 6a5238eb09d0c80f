// What an object owes to other objects: written together with what caused it, done at once, and done again by the alarm until it
// succeeded. Everything owed may be done twice.
import type { Note } from "./notes.ts";
import type { Tables } from "./tables.ts";

export type Duty =
  /** The grant is over: its sessions, streams and listeners must end. */
  | { readonly kind: "end"; readonly subjectId: string; readonly grantId: string }
  /** A record belongs into a ledger. */
  | { readonly kind: "note"; readonly note: Note };

export interface OwedDuty {
  readonly id: number;
  readonly duty: Duty;
  readonly tries: number;
}

export interface Duties {
  owe(duty: Duty, nowMs: number): void;
  /** Those to be done now, oldest first. */
  due(nowMs: number): readonly OwedDuty[];
  done(id: number): void;
  /** It did not succeed: it is due again, later each time. */
  postpone(owed: OwedDuty, nowMs: number): void;
  nextDueMs(): number | undefined;
}

export const DUTY_SCHEMA = `
  CREATE TABLE IF NOT EXISTS duty (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, due_ms INTEGER NOT NULL, tries INTEGER NOT NULL);
`;

const FIRST_RETRY_MS = 2000;
const LONGEST_RETRY_MS = 600_000;
const BATCH = 100;

export function createDuties({ existing, ensured }: Pick<Tables, "existing" | "ensured">): Duties {
  return {
    owe: (duty, nowMs) =>
      void ensured().exec("INSERT INTO duty (body, due_ms, tries) VALUES (?, ?, 0)", JSON.stringify(duty), nowMs),
    due: (nowMs) =>
      existing()
        ?.exec<{ id: number; body: string; tries: number }>(
          "SELECT id, body, tries FROM duty WHERE due_ms <= ? ORDER BY id LIMIT ?",
          nowMs,
          BATCH,
        )
        .toArray()
        .map(({ id, body, tries }) => ({ id, duty: JSON.parse(body) as Duty, tries })) ?? [],
    done: (id) => void existing()?.exec("DELETE FROM duty WHERE id = ?", id),
    postpone({ id, tries }, nowMs) {
      const dueMs = nowMs + Math.min(FIRST_RETRY_MS * 2 ** tries, LONGEST_RETRY_MS);
      existing()?.exec("UPDATE duty SET due_ms = ?, tries = tries + 1 WHERE id = ?", dueMs, id);
    },
    nextDueMs: () =>
      existing()?.exec<{ next: number | null }>("SELECT min(due_ms) AS next FROM duty").toArray()[0]?.next ?? undefined,
  };
}
