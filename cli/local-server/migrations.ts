// Migrates databases: local ones with the migrations of their folders, in the order of their names, each once; and sources' databases
// with the tables that Gatehouse keeps beside the data. Applied migrations are recorded in wrangler's own table, so that either tool
// can continue where the other stopped.
import path from "node:path";
import { readD1Migrations } from "@cloudflare/vitest-plugin";
import type { Miniflare } from "miniflare";
import { unstable_readConfig } from "wrangler";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { MASKING_TOKEN_TABLE } from "../../src/policy/masks.ts";
import { listMaskingTokenColumns } from "../../src/masking-tokens/masking-token-columns.ts";
import {
  SOURCE_LAYOUT_SQL,
  SOURCE_LAYOUT_TABLE,
  SOURCE_TABLES_SQL,
} from "../../src/masking-tokens/masking-token-table.ts";
import { CHANGE_TABLES, CHANGE_TABLES_SQL } from "../../src/tables/change-journal.ts";
import { runTool } from "../project/tools.ts";
import { withPrivateFiles } from "../project/private-files.ts";

const MIGRATIONS_TABLE =
  "CREATE TABLE IF NOT EXISTS d1_migrations " +
  "(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)";

/** Applies pending migrations to every local database of the configuration that has a migrations folder. */
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
      // A batch is a transaction: a migration is applied and recorded together.
      await database.batch([
        ...migration.queries.map((query) => database.prepare(query)),
        database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(migration.name),
      ]);
    }
  }
}

/** A source's database in which Gatehouse keeps tables, and idempotent statements that create them. */
export interface OwnTables {
  readonly source: string;
  readonly binding: string;
  readonly tables: readonly string[];
  readonly sql: readonly string[];
}

/** Lists the sources' databases that need tables of Gatehouse: for masking tokens, for changes, or for both. */
export function ownTablesOf({ policy }: Gatehouse): readonly OwnTables[] {
  return policy.sources.flatMap(({ name, binding }): readonly OwnTables[] => {
    const hasTokens = listMaskingTokenColumns(policy, name).length > 0;
    const hasChanges = policy.changeRules.some(({ dataset }) => dataset.startsWith(`${name}.`));
    if (!hasTokens && !hasChanges) return [];
    return [
      {
        source: name,
        binding,
        tables: [
          ...(hasTokens ? [MASKING_TOKEN_TABLE] : []),
          ...(hasChanges ? CHANGE_TABLES : []),
          SOURCE_LAYOUT_TABLE,
        ],
        sql: [...(hasTokens ? SOURCE_TABLES_SQL : SOURCE_LAYOUT_SQL), ...(hasChanges ? CHANGE_TABLES_SQL : [])],
      },
    ];
  });
}

/** Creates Gatehouse's tables in the local databases of the sources that need them. */
export async function migrateOwnTables(miniflare: Miniflare, config: Gatehouse): Promise<void> {
  for (const { binding, sql } of ownTablesOf(config)) {
    const database = await miniflare.getD1Database(binding);
    await database.batch([...sql, "PRAGMA optimize"].map((statement) => database.prepare(statement)));
  }
}

/** Creates the same tables through wrangler, locally or in an account. `environment` is undefined for the top level. */
export async function migrateByWrangler(
  ownTables: readonly OwnTables[],
  configPath: string,
  where: "--local" | "--remote",
  environment?: string,
): Promise<void> {
  for (const { binding, sql } of ownTables) {
    // The upgrade of an earlier layout copies rows, which `PRAGMA optimize` makes known to SQLite's planner.
    const command = `${sql.join("; ")}; PRAGMA optimize;`;
    const options = ["--yes", "--config", configPath, "--env", environment ?? "", "--command", command];
    const execute = async () => runTool("wrangler", ["d1", "execute", binding, where, ...options]);
    await withPrivateFiles(execute);
  }
}
