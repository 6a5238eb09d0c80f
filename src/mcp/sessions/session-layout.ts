// The table layout of a 2025-era session, with the upgrades from earlier layouts. docs/storage.md says what each column holds.
import { addColumn, renameTable } from "../../lib/storage-layout.ts";
import type { StorageLayout } from "../../lib/storage-layout.ts";

/** The tables of a SessionObject. */
export const SESSION_LAYOUT: StorageLayout = {
  holder: "SessionObject",
  schema: `
    CREATE TABLE IF NOT EXISTS session (
      id INTEGER PRIMARY KEY CHECK (id = 1), subject_id TEXT NOT NULL, grant_id TEXT NOT NULL,
      protocol_version TEXT NOT NULL, initialize TEXT NOT NULL, set_level TEXT, used_ms INTEGER NOT NULL,
      streams INTEGER NOT NULL DEFAULT 0, is_ended INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS event (
      seq INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL, message TEXT NOT NULL, bytes INTEGER NOT NULL,
      grants TEXT NOT NULL DEFAULT '[]'
    );
    CREATE INDEX IF NOT EXISTS event_stream ON event (stream, seq);
    CREATE TABLE IF NOT EXISTS call (
      stream INTEGER NOT NULL, request_id TEXT NOT NULL, message TEXT NOT NULL, caller TEXT NOT NULL,
      PRIMARY KEY (stream, request_id)
    );
    CREATE TABLE IF NOT EXISTS server_request (
      wire_id TEXT PRIMARY KEY, stream INTEGER NOT NULL, request_id TEXT NOT NULL, key TEXT NOT NULL, answer TEXT,
      UNIQUE (stream, request_id, key)
    );
  `,
  upgrades: [
    (sql) => {
      // The grants behind the events of an older session are unknown, so those events are never delivered again.
      addColumn(sql, "event", "grants", "TEXT NOT NULL DEFAULT '[]'");
      renameTable(sql, "pushed", "server_request");
    },
  ],
};
