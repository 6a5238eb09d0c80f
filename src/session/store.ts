// A session's own SQLite: who owns it and how it began. The schema is made only when a session opens, so that asking
// for a session that is not there stores nothing.
import { parseJSONRPCMessage } from "@modelcontextprotocol/server";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";

export interface StoredSession {
  readonly subjectId: string;
  readonly protocolVersion: string;
  /** The `initialize` request, for restore. */
  readonly initialize: JSONRPCMessage;
  readonly usedMs: number;
}

export interface SessionStore {
  load(): StoredSession | undefined;
  create(session: StoredSession): void;
  touch(nowMs: number): void;
}

export function createSessionStore(sql: SqlStorage): SessionStore {
  return {
    load() {
      if (sql.exec("SELECT 1 FROM sqlite_schema WHERE name = 'session'").toArray().length === 0) return undefined;
      const [row] = sql
        .exec<{ subject_id: string; protocol_version: string; initialize: string; used_ms: number }>(
          "SELECT subject_id, protocol_version, initialize, used_ms FROM session",
        )
        .toArray();
      if (row === undefined) return undefined;
      const initialize = parseJSONRPCMessage(JSON.parse(row.initialize));
      return { subjectId: row.subject_id, protocolVersion: row.protocol_version, initialize, usedMs: row.used_ms };
    },
    create({ subjectId, protocolVersion, initialize, usedMs }) {
      sql.exec(
        "CREATE TABLE session (id INTEGER PRIMARY KEY CHECK (id = 1), subject_id TEXT NOT NULL, protocol_version TEXT NOT NULL, initialize TEXT NOT NULL, used_ms INTEGER NOT NULL)",
      );
      sql.exec(
        "INSERT INTO session (id, subject_id, protocol_version, initialize, used_ms) VALUES (1, ?, ?, ?, ?)",
        subjectId,
        protocolVersion,
        JSON.stringify(initialize),
        usedMs,
      );
    },
    touch(nowMs) {
      sql.exec("UPDATE session SET used_ms = ?", nowMs);
    },
  };
}
