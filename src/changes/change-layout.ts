// The table layout of a ChangeObject. docs/storage.md says what each column holds.
import type { StorageLayout } from "../lib/storage-layout.ts";

/** The tables of a ChangeObject. */
export const CHANGE_LAYOUT: StorageLayout = {
  holder: "ChangeObject",
  schema: `
    CREATE TABLE IF NOT EXISTS change (id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS due_task (task TEXT PRIMARY KEY, due_ms INTEGER NOT NULL, tries INTEGER NOT NULL) WITHOUT ROWID;
  `,
  upgrades: [],
};
