// Brings the deployed databases up to date before the code that needs it: Gatehouse's own by their migrations folder, those of
// sources by the tables that Gatehouse keeps beside the data. What is up to date already is not touched.
import { existsSync, readdirSync } from "node:fs";
import type { Gatehouse } from "../../src/config.ts";
import { runTool } from "../build.ts";
import { migrateByWrangler, ownTablesOf } from "../migrations.ts";
import type { StoreContext } from "./databases.ts";
import { configPath } from "./settings.ts";
import type { Binding } from "./settings.ts";

/** Migrates all of them. The old code goes on running over what this makes. */
export async function migrateStores(context: StoreContext, config: Gatehouse): Promise<void> {
  const { settings, sourceBindings, say } = context;
  const own = settings.bindings.filter(({ kind, binding }) => kind === "d1" && !sourceBindings.includes(binding));
  for (const store of own) await migrateOwn(context, store);
  for (const wanted of ownTablesOf(config)) {
    const there = await tablesOf(context, wanted.binding);
    if (wanted.tables.every((table) => there.includes(table))) continue;
    await migrateByWrangler([wanted], configPath, "--remote", settings.environment);
    say(`${wanted.binding}: made ${wanted.tables.join(", ")}.`);
  }
}

async function migrateOwn(context: StoreContext, store: Binding): Promise<void> {
  const { environment } = context.settings;
  const { binding } = store;
  const files = migrationFiles(store);
  const applied = await appliedIn(context, binding);
  const pending = files.filter((file) => !applied.includes(file));
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

/** Of the table that wrangler remembers them in. */
async function appliedIn(context: StoreContext, binding: string): Promise<readonly string[]> {
  if (!(await tablesOf(context, binding)).includes("d1_migrations")) return [];
  const rows = await queryStore(context, binding, "SELECT name FROM d1_migrations");
  return rows.map(({ name }) => String(name));
}

/** The tables of a bound database. */
export async function tablesOf(context: StoreContext, binding: string): Promise<readonly string[]> {
  const rows = await queryStore(context, binding, "SELECT name FROM sqlite_schema WHERE type = 'table'");
  return rows.map(({ name }) => String(name));
}

/** Runs SQL in a bound database that is there. */
export async function queryStore(
  { platform, account, settings }: StoreContext,
  binding: string,
  sql: string,
): ReturnType<StoreContext["platform"]["query"]> {
  const id = settings.bindings.find((one) => one.kind === "d1" && one.binding === binding)?.id;
  if (id === undefined) throw new TypeError(`${binding} has no database yet`);
  return platform.query(account, id, sql);
}
