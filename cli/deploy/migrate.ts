// Migrates the deployed databases before the code that needs the change is uploaded: Gatehouse's own by their migrations folder, and
// sources' databases by the tables that Gatehouse keeps beside the data. It does not touch a database that is up to date.
import { existsSync, readdirSync } from "node:fs";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { runTool } from "../project/tools.ts";
import {
  LAYOUT_0_TABLE,
  SOURCE_LAYOUT_NUMBER,
  SOURCE_LAYOUT_TABLE,
} from "../../src/masking-tokens/masking-token-table.ts";
import { migrateByWrangler, ownTablesOf } from "../local-server/migrations.ts";
import type { OwnTables } from "../local-server/migrations.ts";
import type { StoreContext } from "./databases.ts";
import { configPath } from "./settings.ts";
import type { Binding } from "./settings.ts";

/** Migrates every database. The old code keeps running on the new schema until the upload, so each migration must suit both. */
export async function migrateStores(context: StoreContext, config: Gatehouse): Promise<void> {
  const { settings, sourceBindings, say } = context;
  const internalStores = settings.bindings.filter(
    ({ kind, binding }) => kind === "d1" && !sourceBindings.includes(binding),
  );
  for (const store of internalStores) await migrateInternal(context, store);
  for (const ownTables of ownTablesOf(config)) {
    if (await isUpToDate(context, ownTables)) continue;
    await migrateByWrangler([ownTables], configPath, "--remote", settings.environment);
    say(`${ownTables.binding}: created ${ownTables.tables.join(", ")}.`);
  }
}

/** Whether a source's database has all tables of this layout, or a later one, and none of layout 0. */
export async function isUpToDate(context: StoreContext, { binding, tables }: OwnTables): Promise<boolean> {
  const existing = await listTables(context, binding);
  if (existing.includes(LAYOUT_0_TABLE) || !tables.every((table) => existing.includes(table))) return false;
  const [layout] = await queryStore(context, binding, `SELECT number FROM ${SOURCE_LAYOUT_TABLE}`);
  return Number(layout?.["number"] ?? 0) >= SOURCE_LAYOUT_NUMBER;
}

/** Lists the migrations that a database lacks; all of them when it does not exist yet. */
export async function listPendingMigrations(context: StoreContext, store: Binding): Promise<readonly string[]> {
  const files = migrationFiles(store);
  const { bindings } = context.settings;
  const exists = bindings.some(({ binding, id }) => binding === store.binding && id !== undefined);
  const applied = exists ? await listAppliedMigrations(context, store.binding) : [];
  return files.filter((file) => !applied.includes(file));
}

async function migrateInternal(context: StoreContext, store: Binding): Promise<void> {
  const { environment } = context.settings;
  const { binding } = store;
  const pending = await listPendingMigrations(context, store);
  if (pending.length === 0) return context.say(`${binding}: up to date.`);
  await runTool("wrangler", [
    "d1",
    "migrations",
    "apply",
    binding,
    "--remote",
    "--config",
    configPath,
    "--env",
    environment ?? "",
  ]);
  context.say(`${binding}: applied ${pending.join(", ")}.`);
}

function migrationFiles({ migrationsDir: folder }: Binding): readonly string[] {
  if (folder === undefined || !existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".sql"))
    .toSorted();
}

/** The names of the applied migrations, from wrangler's own table. */
async function listAppliedMigrations(context: StoreContext, binding: string): Promise<readonly string[]> {
  if (!(await listTables(context, binding)).includes("d1_migrations")) return [];
  const rows = await queryStore(context, binding, "SELECT name FROM d1_migrations");
  return rows.map(({ name }) => String(name));
}

/** The tables of a bound database. */
async function listTables(context: StoreContext, binding: string): Promise<readonly string[]> {
  const rows = await queryStore(context, binding, "SELECT name FROM sqlite_schema WHERE type = 'table'");
  return rows.map(({ name }) => String(name));
}

/** Runs SQL in a bound database and returns its rows. Throws `TypeError` when the database does not exist yet. */
export async function queryStore(
  { platform, account, settings }: StoreContext,
  binding: string,
  sql: string,
): ReturnType<StoreContext["platform"]["query"]> {
  const id = settings.bindings.find((store) => store.kind === "d1" && store.binding === binding)?.id;
  if (id === undefined) throw new TypeError(`${binding} has no database yet`);
  return platform.query(account, id, sql);
}
