// Applies D1 migrations to local databases, in the order of their names, each once. The table that remembers them is
// wrangler's, so that either tool can go on where the other stopped.
import path from "node:path";
import { readD1Migrations } from "@cloudflare/vitest-plugin";
import type { Miniflare } from "miniflare";
import { unstable_readConfig } from "wrangler";

const MIGRATIONS_TABLE =
  "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)";

/** Brings every database of the configuration that has a migrations folder up to date. */
export async function migrateLocal(miniflare: Miniflare, configPath: string): Promise<void> {
  const { d1_databases: databases } = unstable_readConfig({ config: configPath });
  for (const { binding, migrations_dir: folder } of databases) {
    if (folder === undefined) continue;
    const database = await miniflare.getD1Database(binding);
    await database.prepare(MIGRATIONS_TABLE).run();
    const { results } = await database.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
    const applied = new Set(results.map((row) => row.name));
    for (const migration of await readD1Migrations(path.resolve(path.dirname(configPath), folder))) {
      if (applied.has(migration.name)) continue;
      // One batch is one transaction: a migration is applied and remembered, or neither.
      await database.batch([
        ...migration.queries.map((query) => database.prepare(query)),
        database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(migration.name),
      ]);
    }
  }
}
