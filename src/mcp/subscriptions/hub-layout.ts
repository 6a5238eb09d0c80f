// The table layout of a hub object, with the upgrades from earlier layouts. docs/storage.md says what each column holds.
import { addColumn, renameTable } from "../../lib/storage-layout.ts";
import type { StorageLayout } from "../../lib/storage-layout.ts";

/** The tables of a HubObject in either role. */
export const HUB_LAYOUT: StorageLayout = {
  holder: "HubObject",
  schema: `
    CREATE TABLE IF NOT EXISTS session (id TEXT PRIMARY KEY, grant_id TEXT NOT NULL, used_ms INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE IF NOT EXISTS ended_grant (grant_id TEXT PRIMARY KEY, ended_ms INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS subscription (topic TEXT NOT NULL, listener TEXT NOT NULL, PRIMARY KEY (topic, listener));
    CREATE INDEX IF NOT EXISTS subscription_listener ON subscription (listener);
    CREATE TABLE IF NOT EXISTS shard_subscription (topic TEXT NOT NULL, shard TEXT NOT NULL, PRIMARY KEY (topic, shard));
  `,
  upgrades: [
    (sql) => {
      // A session without a time of use counts as never used, so it is the first that is asked to end when room is needed.
      addColumn(sql, "session", "used_ms", "INTEGER NOT NULL DEFAULT 0");
      renameTable(sql, "interest", "subscription");
      renameTable(sql, "care", "shard_subscription");
    },
  ],
};
