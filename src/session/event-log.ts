// The events of a session's streams, in its SQLite: written before they are sent, so that a stream can go on after any
// of them. Bounded; the oldest go first.
import { parseAnswerGrants } from "../lib/answer-grants.ts";
import type { StreamPosition } from "./protocol.ts";
import type { EventGrants } from "./replays.ts";

export interface EventLogLimits {
  readonly maxEvents: number;
  readonly maxLogBytes: number;
}

export interface LoggedEvent {
  readonly seq: number;
  /** The message as JSON. */
  readonly message: string;
  readonly grants: EventGrants;
}

export interface EventLog {
  /** Returns the event's number in the session. */
  append(stream: number, message: string, grants: EventGrants): number;
  /** Events of the stream after a position, in order. */
  after(position: StreamPosition): readonly LoggedEvent[];
  /** Takes an event out of the log. */
  forget(seq: number): void;
  /** The number of the newest event of any stream; 0 before the first. */
  lastSeq(): number;
}

export function createEventLog(sql: SqlStorage, limits: EventLogLimits): EventLog {
  // Counted once per object in memory, then kept along.
  let bytesHeld: number | undefined;

  function trim(newestSeq: number): void {
    sql.exec("DELETE FROM event WHERE seq <= ?", newestSeq - limits.maxEvents);
    while ((bytesHeld ?? 0) > limits.maxLogBytes) {
      const [oldest] = sql
        .exec<{ bytes: number }>("DELETE FROM event WHERE seq = (SELECT min(seq) FROM event) RETURNING bytes")
        .toArray();
      if (oldest === undefined) return;
      bytesHeld = (bytesHeld ?? 0) - oldest.bytes;
    }
  }

  return {
    append(stream, message, grants) {
      bytesHeld ??= sql.exec<{ bytes: number }>("SELECT coalesce(sum(bytes), 0) AS bytes FROM event").one().bytes;
      // UTF-16 units stand for bytes: exact enough for a bound, and free.
      const { seq } = sql
        .exec<{ seq: number }>(
          "INSERT INTO event (stream, message, bytes, grants) VALUES (?, ?, ?, ?) RETURNING seq",
          stream,
          message,
          message.length,
          JSON.stringify(grants),
        )
        .one();
      bytesHeld += message.length;
      trim(seq);
      return seq;
    },
    after: ({ stream, after }) =>
      sql
        .exec<{ seq: number; message: string; grants: string }>(
          "SELECT seq, message, grants FROM event WHERE stream = ? AND seq > ? ORDER BY seq",
          stream,
          after,
        )
        .toArray()
        .map((event) => ({
          ...event,
          grants: event.grants === "null" ? null : parseAnswerGrants(JSON.parse(event.grants)),
        })),
    forget(seq) {
      const forgotten = sql.exec<{ bytes: number }>("DELETE FROM event WHERE seq = ? RETURNING bytes", seq).toArray();
      if (bytesHeld !== undefined) bytesHeld -= forgotten[0]?.bytes ?? 0;
    },
    lastSeq: () =>
      sql
        .exec<{ seq: number }>("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0) AS seq")
        .one().seq,
  };
}
