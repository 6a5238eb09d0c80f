// The records of one subject, with what is reserved for calls under way: the hash chain, leases and the day's rows. Callers hold
// the transaction, and give the time.
import { byteLength } from "../lib/bytes.ts";
import { GENESIS, linkHash } from "./chain.ts";
import { INTERRUPTED } from "./record.ts";
import type { Attempt, BeginResult, CommitResult, LedgerRecord, NoteResult, Outcome, Room } from "./record.ts";
import { OUTCOME_BYTES, boundAttempt, boundOutcome } from "./record-size.ts";

export interface RecordLimits {
  /** Bytes of records that may wait here; calls may fill three quarters of them. */
  readonly outboxBytes: number;
  /** Rows that may leave for one subject per UTC day. */
  readonly rowsPerDay: number;
  /** How long a call may take between begin and commit before it counts as interrupted. */
  readonly leaseSeconds: number;
}

export type Refused = Extract<BeginResult, { ok: false }>;

export interface Records {
  /** Reserves room for the record and rows of the day; why not, if there is none. Closes what outlived its lease. */
  reserve(attempt: Attempt, maxRows: number, room: Room, nowMs: number): Refused | undefined;
  /** Writes the record of a call that reserved. Repeated with the same outcome it changes nothing. */
  settle(call: string, outcome: Outcome, nowMs: number): CommitResult;
  /** Writes a record of something that happened `atMs` elsewhere, once. */
  note(attempt: Attempt, outcome: Outcome, atMs: number, nowMs: number): NoteResult;
  /** Writes one of the ledger's own, for which there is always room. */
  add(attempt: Attempt, outcome: Outcome, nowMs: number): void;
  /** Bytes of all records. */
  bytes(): number;
  /** In order, from `afterSeq` on. */
  list(afterSeq: number, limit: number): readonly LedgerRecord[];
}

/** The part of a ledger's room that each kind of record may fill. */
const FILLS: Readonly<Record<Room, number>> = { call: 3 / 4, event: 7 / 8, listing: 15 / 16, revocation: 1 };
/** The part at which the operator is warned. */
const WARN_AT = 1 / 2;
const BUDGET_DAYS_MS = 7 * 86_400_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY, call TEXT NOT NULL UNIQUE, body TEXT NOT NULL, hash TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL, bytes INTEGER NOT NULL);
  INSERT OR IGNORE INTO head (id, seq, hash, bytes) VALUES (1, 0, '${GENESIS}', 0);
  CREATE TABLE IF NOT EXISTS lease (call TEXT PRIMARY KEY, attempt TEXT NOT NULL, began_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, day TEXT NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS budget (day TEXT PRIMARY KEY, rows INTEGER NOT NULL);
`;

interface Lease {
  readonly call: string;
  readonly attempt: string;
  readonly beganMs: number;
  readonly day: string;
}

/** `onHalfFull` is called once, with the bytes held, each time that the records come to fill half of the room. */
export function createRecords(
  sql: SqlStorage,
  { outboxBytes, rowsPerDay, leaseSeconds }: RecordLimits,
  onHalfFull: (bytes: number) => void,
): Records {
  sql.exec(SCHEMA);

  const leases = (where: string, value: string | number): readonly Lease[] =>
    sql
      .exec<{ call: string; attempt: string; beganMs: number; day: string }>(
        `SELECT call, attempt, began_ms AS beganMs, day FROM lease WHERE ${where}`,
        value,
      )
      .toArray();

  function append(lease: Lease, outcome: Outcome, nowMs: number): number {
    const head = sql.exec<{ seq: number; hash: string; bytes: number }>("SELECT seq, hash, bytes FROM head").one();
    const seq = head.seq + 1;
    const attempt: unknown = JSON.parse(lease.attempt);
    const times = { began: new Date(lease.beganMs).toISOString(), ended: new Date(nowMs).toISOString() };
    const body = JSON.stringify({ attempt, outcome: boundOutcome(outcome), ...times });
    const hash = linkHash(head.hash, body);
    sql.exec("INSERT INTO record (seq, call, body, hash) VALUES (?, ?, ?, ?)", seq, lease.call, body, hash);
    const bytes = head.bytes + byteLength(body);
    sql.exec("UPDATE head SET seq = ?, hash = ?, bytes = ?", seq, hash, bytes);
    if (head.bytes < outboxBytes * WARN_AT && bytes >= outboxBytes * WARN_AT) onHalfFull(bytes);
    sql.exec("DELETE FROM lease WHERE call = ?", lease.call);
    sql.exec(
      "INSERT INTO budget (day, rows) VALUES (?1, ?2) ON CONFLICT (day) DO UPDATE SET rows = rows + ?2",
      lease.day,
      outcome.rows,
    );
    sql.exec("DELETE FROM budget WHERE day < ?", dayOf(nowMs - BUDGET_DAYS_MS));
    return seq;
  }

  const appendNew = (attempt: Attempt, outcome: Outcome, atMs: number, nowMs: number): number =>
    append(
      { call: attempt.call, attempt: JSON.stringify(boundAttempt(attempt)), beganMs: atMs, day: dayOf(nowMs) },
      outcome,
      nowMs,
    );

  /** The record of a call, if there is one. */
  const seqOf = (call: string): number | undefined =>
    sql.exec<{ seq: number }>("SELECT seq FROM record WHERE call = ?", call).toArray()[0]?.seq;

  function repeated(seq: number, outcome: Outcome): CommitResult {
    const [record] = sql.exec<{ body: string }>("SELECT body FROM record WHERE seq = ?", seq);
    const { outcome: written } = JSON.parse(record?.body ?? "{}") as { outcome?: Outcome };
    return JSON.stringify(written) === JSON.stringify(boundOutcome(outcome)) ? { ok: true, seq } : NO_LEASE;
  }

  const hasRoom = (bytes: number, room: Room): boolean => {
    const held = sql
      .exec<{ bytes: number }>("SELECT (SELECT bytes FROM head) + (SELECT coalesce(sum(bytes), 0) FROM lease) AS bytes")
      .one().bytes;
    return held + bytes <= outboxBytes * FILLS[room];
  };

  const rowsHeld = (day: string): number =>
    sql
      .exec<{ rows: number }>(
        "SELECT coalesce((SELECT rows FROM budget WHERE day = ?1), 0) + (SELECT coalesce(sum(rows), 0) FROM lease WHERE day = ?1) AS rows",
        day,
      )
      .one().rows;

  return {
    reserve(attempt, maxRows, room, nowMs) {
      // A call whose process died, or that outlived its lease, left no answer; its attempt is recorded all the same.
      for (const lease of leases("deadline_ms <= ?", nowMs)) append(lease, INTERRUPTED, nowMs);
      const body = JSON.stringify(boundAttempt(attempt));
      const bytes = byteLength(body) + OUTCOME_BYTES;
      if (!hasRoom(bytes, room)) return { ok: false, reason: "record_full" };
      const day = dayOf(nowMs);
      if (maxRows > 0 && rowsHeld(day) + maxRows > rowsPerDay) return { ok: false, reason: "rows_spent", rowsPerDay };
      sql.exec(
        "INSERT INTO lease (call, attempt, began_ms, deadline_ms, day, rows, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
        attempt.call,
        body,
        nowMs,
        nowMs + leaseSeconds * 1000,
        day,
        maxRows,
        bytes,
      );
      return undefined;
    },
    settle(call, outcome, nowMs) {
      const [lease] = leases("call = ?", call);
      if (lease !== undefined) return { ok: true, seq: append(lease, outcome, nowMs) };
      // Swept already as interrupted, or committed by an earlier try of the same call.
      const known = seqOf(call);
      return known === undefined ? NO_LEASE : repeated(known, outcome);
    },
    note(attempt, outcome, atMs, nowMs) {
      if (seqOf(attempt.call) !== undefined) return { ok: true };
      if (!hasRoom(byteLength(JSON.stringify(boundAttempt(attempt))) + OUTCOME_BYTES, "event"))
        return { ok: false, reason: "record_full" };
      appendNew(attempt, outcome, atMs, nowMs);
      return { ok: true };
    },
    add: (attempt, outcome, nowMs) => void appendNew(attempt, outcome, nowMs, nowMs),
    bytes: () => sql.exec<{ bytes: number }>("SELECT bytes FROM head").one().bytes,
    list: (afterSeq, limit) =>
      sql
        .exec<{ seq: number; body: string; hash: string }>(
          "SELECT seq, body, hash FROM record WHERE seq > ? ORDER BY seq LIMIT ?",
          afterSeq,
          limit,
        )
        .toArray(),
  };
}

const NO_LEASE = { ok: false, reason: "no_lease" } as const;

/** The UTC day, `2026-11-21`. */
function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
