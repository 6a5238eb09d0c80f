// `npm run introspect -- <binding or file>`: reads a local database and writes its declaration, with everything hidden until the
// operator opens it. Run again, it updates the declaration.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { experimental_patchConfig, unstable_readConfig } from "wrangler";
import { INTERNAL_DATABASE_BINDING } from "../src/policy/check-policy.ts";
import { findReservedPrefix } from "../src/sql/identifier.ts";
import { root, runTool } from "./build.ts";
import { RefusedFile } from "./introspection/file-authorizer.ts";
import { FileProblem, readSourceFile, sourceFile, writeSourceFile } from "./introspection/files.ts";
import { guessTables } from "./introspection/guess.ts";
import { loadInto, openFile } from "./introspection/load.ts";
import { mergeTables } from "./introspection/merge.ts";
import type { Merged } from "./introspection/merge.ts";
import { humanised } from "./introspection/words.ts";
import { readDatabase } from "./introspection/schema.ts";
import type { FoundDatabase } from "./introspection/schema.ts";
import { openStorage } from "./local.ts";
import { openStateFolder } from "./private-files.ts";
import { migrateLocal } from "./migrations.ts";
import { print, printDefect, printFailure, printLines } from "./terminal.ts";

const USAGE =
  "Give a binding of wrangler.jsonc or a file: npm run introspect -- CRM_DB, or npm run introspect -- crm.sqlite (.db, .sql).";
const configPath = path.join(root, "wrangler.jsonc");
const policyPath = path.join(root, "src/gatehouse.config.ts");

/** A problem that the operator can fix; printed without a stack. */
class IntrospectProblem extends Error {}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { remote: { type: "boolean", default: false } },
  });
  const [target, ...others] = positionals;
  if (target === undefined || others.length > 0) throw new IntrospectProblem(USAGE);
  const isFile = /\.(?:sqlite3?|db|sql)$/i.test(target);
  if (values.remote) throw new IntrospectProblem(remoteText(target));
  const binding = isFile ? bindingOf(target) : target;
  if (binding === INTERNAL_DATABASE_BINDING)
    throw new IntrospectProblem(
      isFile
        ? `A database of this name would be Gatehouse's own. Give the file another name.`
        : `${INTERNAL_DATABASE_BINDING} is Gatehouse's own database, with members and audit data. It cannot be a source.`,
    );
  const source = sourceOf(binding);
  const before = readSourceFile(root, source);
  const opened = isFile ? openDump(path.resolve(process.env["INIT_CWD"] ?? process.cwd(), target)) : undefined;
  if (isFile) await declareBinding(binding, source);
  requireBinding(binding);

  const database = await readLocal(binding, opened);
  opened?.close();
  const merged = mergeTables(before?.tables ?? {}, guessTables(database.tables));
  const title = before?.title ?? humanised(source);
  writeSourceFile(root, source, {
    description: title,
    recursion: false,
    ...before,
    kind: "d1",
    binding,
    title,
    tables: merged.tables,
  });
  const written = [sourceFile(root, source), path.join(root, "src/introspected-schema.ts"), configPath];
  await runTool("prettier", ["--write", "--log-level", "warn", ...written]);
  report(source, database, merged, before !== undefined);
}

function sourceOf(binding: string): string {
  const name = binding
    .toLowerCase()
    .replace(/_?db$/, "")
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^[^a-z]+|_+$/g, "");
  if (name === "" || findReservedPrefix(name) !== undefined || /^(?:workspace|r[0-9]+)$/.test(name))
    throw new IntrospectProblem(
      `${binding} gives no valid source name. Choose another name for the binding, such as CRM_DB.`,
    );
  return name;
}

function bindingOf(file: string): string {
  const name = path
    .basename(file, path.extname(file))
    .toUpperCase()
    .replace(/[^A-Z0-9]+/g, "_");
  return `${name.replace(/^[^A-Z]+|_+$/g, "") || "DATA"}_DB`;
}

function remoteText(target: string): string {
  const dump = `${target.toLowerCase()}.sql`;
  return (
    `A deployed database is read through a local copy: npx wrangler d1 export <database name> --remote --output ${dump}, ` +
    `then npm run introspect -- ${dump}.`
  );
}

function listSourceBindings(): readonly string[] {
  return unstable_readConfig({ config: configPath })
    .d1_databases.map((database: { readonly binding: string }) => database.binding)
    .filter((binding: string) => binding !== INTERNAL_DATABASE_BINDING);
}

function requireBinding(binding: string): void {
  const declared = listSourceBindings();
  if (declared.includes(binding)) return;
  const choice = declared.length === 0 ? "It has none." : `It has: ${declared.join(", ")}.`;
  throw new IntrospectProblem(`wrangler.jsonc has no database ${binding}. ${choice} ${USAGE}`);
}

async function declareBinding(binding: string, source: string): Promise<void> {
  if (listSourceBindings().includes(binding)) return;
  const name = source.replaceAll("_", "-");
  experimental_patchConfig(configPath, {
    d1_databases: [{ binding, database_name: name, database_id: `local-${name}` }],
  });
  await runTool("wrangler", ["types", "--include-runtime=false", "--strict-vars=false"]);
  print(`wrangler.jsonc: added the database ${binding}. The first deployment creates it in the account.`);
}

/** Reads the local database, after loading the file into it if it is empty. */
async function readLocal(binding: string, opened: DatabaseSync | undefined): Promise<FoundDatabase> {
  const stateDir = path.resolve(root, process.env["GATEHOUSE_STATE"] ?? ".wrangler/state");
  openStateFolder(stateDir);
  const storage = await openStorage(configPath, stateDir);
  try {
    await migrateLocal(storage, configPath);
    const database = await storage.getD1Database(binding);
    const schema = await readDatabase(database);
    const isEmpty = schema.tables.length + schema.leftOut.length === 0;
    if (!isEmpty) {
      if (opened !== undefined)
        print(
          `The local database ${binding} already has tables, so the file was not loaded. ` +
            `To load it again, delete ${stateDir}, which holds all local data, and run this command again.`,
        );
      return schema;
    }
    if (opened === undefined)
      throw new IntrospectProblem(`The local database ${binding} has no tables. ${remoteText(binding)}`);
    const { rows, leftOut } = await loadInto(database, opened).catch((error: unknown) => {
      throw new IntrospectProblem(
        `The file could not be loaded: ${error instanceof Error ? error.message : "no reason given"}`,
      );
    });
    print(`Loaded ${rows} rows into the local database ${binding}.`);
    const loaded = await readDatabase(database);
    return { ...loaded, leftOut: [...loaded.leftOut, ...leftOut] };
  } finally {
    await storage.dispose();
  }
}

function openDump(file: string): DatabaseSync {
  if (!existsSync(file)) throw new IntrospectProblem(`There is no file ${file}.`);
  try {
    return openFile(file);
  } catch (error) {
    if (error instanceof RefusedFile)
      throw new IntrospectProblem(`${path.basename(file)} was not loaded: ${error.message}.`);
    throw new IntrospectProblem(
      `${path.basename(file)} is not a database: ${error instanceof Error ? error.message : "it cannot be read"}.`,
    );
  }
}

function report(source: string, { tables, leftOut }: FoundDatabase, merged: Merged, isUpdate: boolean): void {
  const file = path.relative(root, sourceFile(root, source));
  const columns = Object.values(merged.tables).flatMap((table) => Object.values(table.columns));
  const hiddenColumns = columns.filter(({ hidden }) => hidden === true).length;
  const lines = [
    `${file}: ${tables.length} tables with ${columns.length} columns, of which ${hiddenColumns} stay hidden when you open their table.`,
    ...leftOut.map(({ name, reason }) => `Skipped: ${name} ${reason}`),
    ...(isUpdate
      ? [
          listed("Added, and hidden", merged.added),
          listed("Removed, as the database no longer has them", merged.vanished),
        ]
      : []),
    ...useSchemaHint(),
    "",
    `Open the tables that users may query: remove "hidden": true from them in ${file}, and from columns that you want to show.`,
    "Then run npm start and sign in as owner@example.com.",
  ];
  printLines(lines.filter((line) => line !== undefined));
}

function listed(title: string, names: readonly string[]): string | undefined {
  return names.length === 0 ? undefined : `${title}: ${names.join(", ")}.`;
}

/** Says what to add to a policy file that does not use the introspected schema; Gatehouse's original file does. */
function useSchemaHint(): readonly string[] {
  if (readFileSync(policyPath, "utf8").includes("introspected.sources")) return [];
  return [
    [
      "src/gatehouse.config.ts does not use the introspected schema.",
      'Add: import * as introspected from "./introspected-schema.ts"; and in defineGatehouse:',
      "sources: { ...introspected.sources, … }, roles: { ...introspected.roles, … }, members: [...introspected.members, …].",
    ].join(" "),
  ];
}

await main().catch((error: unknown) => {
  if (error instanceof IntrospectProblem || error instanceof FileProblem) printFailure(error);
  else printDefect(error);
  process.exit(1);
});
