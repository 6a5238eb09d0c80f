// The table layout of a ledger, with the upgrades from earlier layouts. docs/storage.md says what each column holds.
import { renameColumn, renameTable } from "../lib/storage-layout.ts";
import type { StorageLayout } from "../lib/storage-layout.ts";
import { GENESIS } from "./record-chain.ts";

/** The tables of a LedgerObject. */
export const LEDGER_LAYOUT: StorageLayout = {
  holder: "LedgerObject",
  schema: `
    CREATE TABLE IF NOT EXISTS record (
      seq INTEGER PRIMARY KEY, call TEXT NOT NULL UNIQUE, body TEXT NOT NULL, hash TEXT NOT NULL, salts TEXT
    );
    CREATE TABLE IF NOT EXISTS head (
      id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL, bytes INTEGER NOT NULL
    );
    INSERT OR IGNORE INTO head (id, seq, hash, bytes) VALUES (1, 0, '${GENESIS.hash}', 0);
    CREATE TABLE IF NOT EXISTS lease (
      call TEXT PRIMARY KEY, attempt TEXT NOT NULL, began_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL,
      rows INTEGER NOT NULL, bytes INTEGER NOT NULL, reveals INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS usage (
      slice_ms INTEGER PRIMARY KEY, rows INTEGER NOT NULL, bytes INTEGER NOT NULL, calls INTEGER NOT NULL,
      reveals INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS query_lock (source TEXT PRIMARY KEY, call TEXT NOT NULL, until_ms INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS bookmark (source TEXT PRIMARY KEY, bookmark TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS flag (name TEXT PRIMARY KEY, at_ms INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS cached_member (
      id INTEGER PRIMARY KEY CHECK (id = 1), email TEXT NOT NULL, version INTEGER NOT NULL, roles TEXT NOT NULL,
      attributes TEXT NOT NULL, groups TEXT NOT NULL, compared_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS handle (
      handle TEXT PRIMARY KEY, call TEXT UNIQUE, binding TEXT NOT NULL, state TEXT NOT NULL,
      expires_ms INTEGER NOT NULL, is_spent INTEGER NOT NULL DEFAULT 0, outcome TEXT
    );
  `,
  additions: `
    CREATE TABLE IF NOT EXISTS result_number (
      subject_id TEXT PRIMARY KEY, last INTEGER NOT NULL, committed_calls TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS result_lease (
      call TEXT PRIMARY KEY, subject_id TEXT NOT NULL, number INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS ended_grant (id TEXT PRIMARY KEY, until_ms INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS due_task (task TEXT PRIMARY KEY, due_ms INTEGER NOT NULL, tries INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS sent_batch (until_seq INTEGER PRIMARY KEY, hash TEXT NOT NULL, sent_ms INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS held_record (seq INTEGER PRIMARY KEY, reason TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS pause (
      kind TEXT NOT NULL, target TEXT NOT NULL, reason TEXT NOT NULL, until_ms INTEGER, changed_by TEXT NOT NULL,
      version INTEGER NOT NULL, PRIMARY KEY (kind, target)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS pause_copy (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS used_dataset (dataset TEXT PRIMARY KEY, first_ms INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS day_of_use (day_ms INTEGER PRIMARY KEY, rows INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS signal (
      name TEXT PRIMARY KEY, day_ms INTEGER NOT NULL, count INTEGER NOT NULL
    ) WITHOUT ROWID;
  `,
  upgrades: [
    (sql) => {
      renameTable(sql, "slot", "query_lock");
      renameColumn(sql, "query_lock", "slot", "source");
      renameColumn(sql, "bookmark", "slot", "source");
      renameTable(sql, "mark", "flag");
      renameTable(sql, "member", "cached_member");
    },
    (sql) => {
      sql.exec(`
        ALTER TABLE record ADD COLUMN salts TEXT;
        ALTER TABLE lease DROP COLUMN day;
        ALTER TABLE lease ADD COLUMN reveals INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE usage (
          slice_ms INTEGER PRIMARY KEY, rows INTEGER NOT NULL, bytes INTEGER NOT NULL, calls INTEGER NOT NULL,
          reveals INTEGER NOT NULL
        );
        INSERT INTO usage SELECT unixepoch(day) * 1000, rows, 0, 0, 0 FROM budget WHERE unixepoch(day) IS NOT NULL;
        DROP TABLE budget;
      `);
    },
  ],
};
