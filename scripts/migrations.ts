// Brings databases up to date: local ones with the migrations of their folders, in the order of their names, each once (the
// table that remembers them is wrangler's, so that either tool can go on where the other stopped), and any with the tables
// that Gatehouse keeps beside the data.
import path from "node:path";
import { readD1Migrations } from "@cloudflare/vitest-plugin";
import type { Miniflare } from "miniflare";
import { unstable_readConfig } from "wrangler";
import type { Gatehouse } from "../src/config.ts";
import { TOKEN_TABLE } from "../src/policy/masks.ts";
import { tokenColumnsOf } from "../src/policy/tokens.ts";
import { TOKEN_TABLE_SQL } from "../src/sources/token-table.ts";
import { runTool } from "./build.ts";
import { withPrivateFiles } from "./private-files.ts";

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

/** A source's database that Gatehouse keeps tables in, and statements that make them and can be repeated. */
export interface OwnTables {
  readonly source: string;
  readonly binding: string;
  readonly tables: readonly string[];
  readonly sql: readonly string[];
}

export function ownTablesOf({ policy }: Gatehouse): readonly OwnTables[] {
  return policy.sources
    .filter(({ name }) => tokenColumnsOf(policy, name).length > 0)
    .map(({ name, binding }) => ({ source: name, binding, tables: [TOKEN_TABLE], sql: TOKEN_TABLE_SQL }));
}

/** Makes Gatehouse's tables in the local databases of sources that need some. */
export async function migrateOwnTables(miniflare: Miniflare, config: Gatehouse): Promise<void> {
  for (const { binding, sql } of ownTablesOf(config)) {
    const database = await miniflare.getD1Database(binding);
    await database.batch(sql.map((statement) => database.prepare(statement)));
  }
}

/** The same through wrangler, on this machine or in an account: of the configuration's top, or of one of its environments. */
export async function migrateByWrangler(
  wanted: readonly OwnTables[],
  configPath: string,
  where: "--local" | "--remote",
  environment?: string,
): Promise<void> {
  for (const { binding, sql } of wanted) {
    const command = `${sql.join("; ")};`;
    const options = ["--yes", "--config", configPath, "--env", environment ?? "", "--command", command];
    const execute = async () => runTool("wrangler", ["d1", "execute", binding, where, ...options]);
    await withPrivateFiles(execute);
  }
}
