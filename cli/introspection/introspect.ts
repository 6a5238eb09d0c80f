// `npm run introspect -- <binding or file>`: reads a local database and writes its declaration, with everything hidden until the
// operator opens it. Run again, it updates the declaration.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { experimental_patchConfig, unstable_readConfig } from "wrangler";
import { INTERNAL_DATABASE_BINDING } from "../../src/policy/check-policy.ts";
import { findReservedPrefix } from "../../src/sql/identifier.ts";
import { CliError } from "../kit/cli-error.ts";
import { root, runTool } from "../project/tools.ts";
import { RefusedFile } from "./file-authorizer.ts";
import { readSourceFile, sourceFile, writeSourceFile } from "./files.ts";
import { guessTables } from "./guess.ts";
import { loadInto, openFile } from "./load.ts";
import { mergeTables } from "./merge.ts";
import type { Merged } from "./merge.ts";
import { humanised } from "./words.ts";
import { readDatabase } from "./schema.ts";
import type { FoundDatabase } from "./schema.ts";
import { openStorage } from "../local-server/local.ts";
import { openStateFolder } from "../project/private-files.ts";
import { stateFolder } from "../project/state-folder.ts";
import { migrateLocal } from "../local-server/migrations.ts";
import type { Output } from "../kit/output.ts";

type Say = (text: string) => void;

const USAGE =
  "Give a binding of wrangler.jsonc or a file: npm run introspect -- CRM_DB, or npm run introspect -- crm.sqlite (.db, .sql).";
const configPath = path.join(root, "wrangler.jsonc");
const policyPath = path.join(root, "src/gatehouse.config.ts");

/**
 * Introspects a binding of wrangler.jsonc, or a file after loading it into the local database. `say` tells what happens. Throws `CliError`
 * for what the operator can fix.
 */
export async function introspect(
  target: string,
  { remote, say }: { readonly remote: boolean; readonly say: Say },
): Promise<Output> {
  const isFile = /\.(?:sqlite3?|db|sql)$/i.test(target);
  if (remote) throw new CliError(remoteText(target));
  const binding = isFile ? bindingOf(target) : target;
  if (binding === INTERNAL_DATABASE_BINDING)
    throw new CliError(
      isFile
        ? `A database of this name would be Gatehouse's own. Give the file another name.`
        : `${INTERNAL_DATABASE_BINDING} is Gatehouse's own database, with members and audit data. It cannot be a source.`,
    );
  const source = sourceOf(binding);
  const before = readSourceFile(root, source);
  const opened = isFile ? openDump(path.resolve(process.env["INIT_CWD"] ?? process.cwd(), target)) : undefined;
  if (isFile) await declareBinding(binding, source, say);
  requireBinding(binding);

  const database = await readLocal(binding, opened, say);
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
  return report({ source, binding }, database, merged, before !== undefined);
}

function sourceOf(binding: string): string {
  const name = binding
    .toLowerCase()
    .replace(/_?db$/, "")
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^[^a-z]+|_+$/g, "");
  if (name === "" || findReservedPrefix(name) !== undefined || /^(?:workspace|r[0-9]+)$/.test(name))
    throw new CliError(`${binding} gives no valid source name. Choose another name for the binding, such as CRM_DB.`);
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
  throw new CliError(`wrangler.jsonc has no database ${binding}. ${choice} ${USAGE}`);
}

async function declareBinding(binding: string, source: string, say: Say): Promise<void> {
  if (listSourceBindings().includes(binding)) return;
  const name = source.replaceAll("_", "-");
  experimental_patchConfig(configPath, {
    d1_databases: [{ binding, database_name: name, database_id: `local-${name}` }],
  });
  await runTool("wrangler", ["types", "--include-runtime=false", "--strict-vars=false"]);
  say(`wrangler.jsonc: added the database ${binding}. The first deployment creates it in the account.`);
}

/** Reads the local database, after loading the file into it if it is empty. */
async function readLocal(binding: string, opened: DatabaseSync | undefined, say: Say): Promise<FoundDatabase> {
  const stateDir = stateFolder();
  openStateFolder(stateDir);
  const storage = await openStorage(configPath, stateDir);
  try {
    await migrateLocal(storage, configPath);
    const database = await storage.getD1Database(binding);
    const schema = await readDatabase(database);
    const isEmpty = schema.tables.length + schema.leftOut.length === 0;
    if (!isEmpty) {
      if (opened !== undefined)
        say(
          `The local database ${binding} already has tables, so the file was not loaded. ` +
            `To load it again, delete ${stateDir}, which holds all local data, and run this command again.`,
        );
      return schema;
    }
    if (opened === undefined) throw new CliError(`The local database ${binding} has no tables. ${remoteText(binding)}`);
    const { rows, leftOut } = await loadInto(database, opened).catch((error: unknown) => {
      throw new CliError(`The file could not be loaded: ${error instanceof Error ? error.message : "no reason given"}`);
    });
    say(`Loaded ${rows} rows into the local database ${binding}.`);
    const loaded = await readDatabase(database);
    return { ...loaded, leftOut: [...loaded.leftOut, ...leftOut] };
  } finally {
    await storage.dispose();
  }
}

function openDump(file: string): DatabaseSync {
  if (!existsSync(file)) throw new CliError(`There is no file ${file}.`);
  try {
    return openFile(file);
  } catch (error) {
    if (error instanceof RefusedFile) throw new CliError(`${path.basename(file)} was not loaded: ${error.message}.`);
    throw new CliError(
      `${path.basename(file)} is not a database: ${error instanceof Error ? error.message : "it cannot be read"}.`,
    );
  }
}

interface Introspected {
  readonly source: string;
  readonly binding: string;
}

function report(
  { source, binding }: Introspected,
  { tables, leftOut }: FoundDatabase,
  merged: Merged,
  isUpdate: boolean,
): Output {
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
  return {
    lines: lines.filter((line) => line !== undefined),
    data: {
      source,
      binding,
      file,
      tables: tables.length,
      columns: columns.length,
      hiddenColumns,
      added: isUpdate ? merged.added : [],
      removed: isUpdate ? merged.vanished : [],
      skipped: leftOut.map(({ name, reason }) => ({ name, reason })),
    },
  };
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
