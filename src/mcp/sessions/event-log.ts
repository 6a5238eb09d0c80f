// Stores the events of a session's streams in the session object's SQLite. Events are written before they are sent, so that a
// client can resume a stream after any of them. The log is bounded, and the oldest events are deleted first.
import { parseAnswerGrants } from "../../lib/answer-grants.ts";
import type { StreamPosition } from "./session-protocol.ts";
import type { EventGrants } from "./stream-replays.ts";

/** The bounds of an event log. */
interface EventLogLimits {
  readonly maxEvents: number;
  /** Total size of the messages, in UTF-16 units. */
  readonly maxLogBytes: number;
}

/** One event of a stream. */
export interface LoggedEvent {
  /** The event's sequence number in the session. */
  readonly seq: number;
  /** The message as JSON. */
  readonly message: string;
  readonly grants: EventGrants;
}

/** The event log of one session. */
export interface EventLog {
  /** Appends an event and returns its sequence number. */
  append(stream: number, message: string, grants: EventGrants): number;
  /** Lists the events of the stream after a position, in order. */
  listAfter(position: StreamPosition): readonly LoggedEvent[];
  remove(seq: number): void;
  /** Returns the sequence number of the newest event of any stream; 0 before the first. */
  lastSeq(): number;
}

/** Creates the event log over the session's tables, which the session store creates. */
export function createEventLog(sql: SqlStorage, limits: EventLogLimits): EventLog {
  // Summed once per object in memory, then updated with every change.
  let storedBytes: number | undefined;

  function trim(newestSeq: number): void {
    sql.exec("DELETE FROM event WHERE seq <= ?", newestSeq - limits.maxEvents);
    while ((storedBytes ?? 0) > limits.maxLogBytes) {
      const [oldest] = sql
        .exec<{ bytes: number }>("DELETE FROM event WHERE seq = (SELECT min(seq) FROM event) RETURNING bytes")
        .toArray();
      if (oldest === undefined) return;
      storedBytes = (storedBytes ?? 0) - oldest.bytes;
    }
  }

  return {
    append(stream, message, grants) {
      storedBytes ??= sql.exec<{ bytes: number }>("SELECT coalesce(sum(bytes), 0) AS bytes FROM event").one().bytes;
      // UTF-16 units approximate bytes: exact enough for a bound, and free to compute.
      const { seq } = sql
        .exec<{ seq: number }>(
          "INSERT INTO event (stream, message, bytes, grants) VALUES (?, ?, ?, ?) RETURNING seq",
          stream,
          message,
          message.length,
          JSON.stringify(grants),
        )
        .one();
      storedBytes += message.length;
      trim(seq);
      return seq;
    },
    listAfter: ({ stream, afterSeq }) =>
      sql
        .exec<{ seq: number; message: string; grants: string }>(
          "SELECT seq, message, grants FROM event WHERE stream = ? AND seq > ? ORDER BY seq",
          stream,
          afterSeq,
        )
        .toArray()
        .map((event) => ({
          ...event,
          grants: event.grants === "null" ? null : parseAnswerGrants(JSON.parse(event.grants)),
        })),
    remove(seq) {
      const rows = sql.exec<{ bytes: number }>("DELETE FROM event WHERE seq = ? RETURNING bytes", seq).toArray();
      if (storedBytes !== undefined) storedBytes -= rows[0]?.bytes ?? 0;
    },
    lastSeq: () =>
      sql
        .exec<{ seq: number }>("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0) AS seq")
        .one().seq,
  };
}
