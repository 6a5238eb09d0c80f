// The table layout of a shard of the grant store, with the upgrades from earlier layouts. docs/storage.md says what each column holds.
import { renameColumn, renameTable } from "../../lib/storage-layout.ts";
import type { StorageLayout } from "../../lib/storage-layout.ts";

/** The tables of a GrantObject. */
export const GRANT_LAYOUT: StorageLayout = {
  holder: "GrantObject",
  schema: `
    CREATE TABLE IF NOT EXISTS entry (
      key TEXT PRIMARY KEY, value TEXT NOT NULL, metadata TEXT, expires_ms INTEGER, written_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS entry_expiry ON entry (expires_ms) WHERE expires_ms IS NOT NULL;
    CREATE TABLE IF NOT EXISTS spent_refresh_token (
      hash TEXT PRIMARY KEY, grant_id TEXT NOT NULL, spent_ms INTEGER NOT NULL, answer BLOB
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS spent_refresh_token_grant ON spent_refresh_token (grant_id, spent_ms);
    CREATE INDEX IF NOT EXISTS spent_refresh_token_answer ON spent_refresh_token (spent_ms) WHERE answer IS NOT NULL;
    CREATE TABLE IF NOT EXISTS revoked_token (
      hash TEXT PRIMARY KEY, grant_id TEXT NOT NULL, client_id TEXT NOT NULL, refusal TEXT NOT NULL,
      is_reported INTEGER NOT NULL, until_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS revoked_token_until ON revoked_token (until_ms);
    CREATE TABLE IF NOT EXISTS outbox (
      id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, due_ms INTEGER NOT NULL, tries INTEGER NOT NULL
    );
  `,
  upgrades: [
    (sql) => {
      renameTable(sql, "spent", "spent_refresh_token");
      renameTable(sql, "past_token", "revoked_token");
      renameColumn(sql, "revoked_token", "is_told", "is_reported");
      renameTable(sql, "duty", "outbox");
    },
  ],
};
