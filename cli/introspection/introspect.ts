// `gatehouse introspect <binding or file>`: reads a local database and writes its declaration, with everything hidden until the
// operator opens it. Run again, it updates the declaration.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { unstable_readConfig } from "wrangler";
import { INTERNAL_DATABASE_BINDING } from "../../src/policy/check-policy.ts";
import { findReservedPrefix } from "../../src/sql/identifier.ts";
import { CliError, usageError } from "../kit/cli-error.ts";
import type { Output } from "../kit/output.ts";
import { findRunningPid, openStorage } from "../local-server/local.ts";
import { migrateLocal } from "../local-server/migrations.ts";
import { openStateFolder } from "../project/private-files.ts";
import { loadOwnConfig, requireReadablePolicy } from "../project/policy-file.ts";
import { stateFolder } from "../project/state-folder.ts";
import { root, runTool } from "../project/tools.ts";
import { addDatabase, replaceFile, restoreOnFailure } from "./configuration.ts";
import type { DatabaseEntry } from "./configuration.ts";
import { RefusedFile } from "./file-authorizer.ts";
import { SCHEMA_FOLDER, listWrittenFiles, readSourceFile, sourceFile, writeSourceFile } from "./files.ts";
import { guessTables } from "./guess.ts";
import { loadInto, openFile } from "./load.ts";
import type { OpenedFile } from "./load.ts";
import { messageOf } from "./load-problem.ts";
import { discardLoad, identifyFile, isSameFile, readLoadRecord } from "./load-record.ts";
import type { LoadRecord, LoadedFile } from "./load-record.ts";
import { mergeTables } from "./merge.ts";
import type { Merged } from "./merge.ts";
import { readDatabase } from "./schema.ts";
import type { FoundDatabase, FoundTable, LeftOut } from "./schema.ts";
import { humanised } from "./words.ts";

type Say = (text: string) => void;

const USAGE =
  "Give a binding of wrangler.jsonc or a file: npm run introspect -- CRM_DB, or npm run introspect -- crm.sqlite (.db, .sql).";
const configPath = path.join(root, "wrangler.jsonc");
const policyPath = path.join(root, "src/gatehouse.config.ts");

/** A file to load, and what identifies it. */
interface SourceFile extends OpenedFile {
  readonly identity: LoadedFile;
}

/** The schema of a local database, and what differs between it and the file that was loaded. */
interface ReadDatabase extends FoundDatabase {
  readonly notes: readonly LeftOut[];
}

/** How to introspect. */
interface IntrospectOptions {
  /** Says how to read a deployed database. */
  readonly remote: boolean;
  /** The binding of a file, in place of the one that its name gives. */
  readonly as: string | undefined;
  /** Whether the file replaces the data that was loaded before. */
  readonly reload: boolean;
  /** Tells what happens. */
  readonly say: Say;
}

/** Introspects a binding of wrangler.jsonc, or a file after loading it into the local database. Throws `CliError`. */
export async function introspect(target: string, { remote, as, reload, say }: IntrospectOptions): Promise<Output> {
  const isFile = /\.(?:sqlite3?|db|sql)$/i.test(target);
  if (remote) throw new CliError(remoteText(target));
  if (as !== undefined && (!isFile || !/^[A-Z][A-Z0-9_]*_DB$/.test(as)))
    throw usageError("--as names the binding of a file, in capitals and with _DB at its end: --as CRM_DB.");
  if (reload && !isFile)
    throw usageError("--reload takes the file to load: npm run introspect -- crm.sqlite --reload.");
  const binding = isFile ? (as ?? bindingOf(target)) : target;
  if (binding === INTERNAL_DATABASE_BINDING)
    throw new CliError(
      isFile
        ? `A database of this name would be Gatehouse's own. Give the file another name. Or name the binding: --as CRM_DB.`
        : `${INTERNAL_DATABASE_BINDING} is Gatehouse's own database, with members and audit data. It cannot be a source.`,
    );
  const source = sourceOf(binding);
  const before = readSourceFile(root, source);
  if (before !== undefined && before.binding !== binding)
    throw new CliError(`The source ${source} is ${before.binding} already. ${chooseName(target)}`);
  const file = isFile ? await openSource(path.resolve(process.env["INIT_CWD"] ?? process.cwd(), target)) : undefined;
  if (file !== undefined) requireDeclaredTables(source, Object.keys(before?.tables ?? {}), file, target);
  const added = isFile ? newEntry(binding, source, target) : undefined;
  if (!isFile) requireBinding(binding);
  requireReadablePolicy(path.join(root, `${SCHEMA_FOLDER}.ts`));

  const database = await readLocal({ binding, added, file, reload, say });
  file?.database.close();
  const merged = mergeTables(before?.tables ?? {}, guessTables(database.tables));
  const title = before?.title ?? humanised(source);
  const data = {
    recursion: false,
    ...before,
    kind: "d1" as const,
    binding,
    title,
    tables: merged.tables,
  };
  const typesFile = path.join(root, "worker-configuration.d.ts");
  await restoreOnFailure([configPath, typesFile, ...listWrittenFiles(root, source)], async () => {
    // The binding comes first: without its source it is harmless, but a source without its binding stops the Worker.
    if (added !== undefined) await declareBinding(added, say);
    await writeSourceFile(root, source, data);
    await requireUsablePolicy(binding, merged, before !== undefined);
  });
  return report({ source, binding }, database, merged, before !== undefined);
}

/**
 * Loads the policy with the new declaration. What it refuses, such as a rule for a table that is gone, is the operator's to correct, who
 * gets to know what has changed.
 */
async function requireUsablePolicy(binding: string, merged: Merged, isUpdate: boolean): Promise<void> {
  try {
    await loadOwnConfig();
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const changes = isUpdate ? listChanges(merged) : [];
    const title = `The local database ${binding} is loaded, but no file was changed: the policy does not fit its tables.`;
    throw new CliError([title, ...changes, error.message].join("\n"), {
      hint: error.hint ?? "Correct the policy, then run the command again.",
      cause: error,
    });
  }
}

function listChanges({ added, vanished }: Merged): readonly string[] {
  const lines = [listed("Added, and hidden", added), listed("Removed, as the database no longer has them", vanished)];
  return lines.filter((line) => line !== undefined);
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

/** The entry for a binding that wrangler.jsonc does not have; undefined if it has it. */
function newEntry(binding: string, source: string, target: string): DatabaseEntry | undefined {
  if (listSourceBindings().includes(binding)) return undefined;
  const name = source.replaceAll("_", "-");
  const entry = { binding, database_name: name, database_id: `local-${name}` };
  const { d1_databases: databases } = unstable_readConfig({ config: configPath });
  const other = databases.find(
    ({ database_name, database_id }: Partial<DatabaseEntry>) =>
      database_name === entry.database_name || database_id === entry.database_id,
  );
  if (other === undefined) return entry;
  throw new CliError(`The database ${name} has the binding ${other.binding} already. ${chooseName(target)}`);
}

/** Refuses a file that has none of the declared tables: it is another database, and its declaration would replace the first one's. */
function requireDeclaredTables(
  source: string,
  declared: readonly string[],
  { database }: SourceFile,
  target: string,
): void {
  const present = database.prepare("SELECT name FROM sqlite_schema").all();
  if (declared.length === 0 || present.some(({ name }) => declared.includes(String(name)))) return;
  const declaration = path.relative(root, sourceFile(root, source));
  throw new CliError(`None of the tables in ${declaration} is in ${path.basename(target)}. ${chooseName(target)}`);
}

async function declareBinding(entry: DatabaseEntry, say: Say): Promise<void> {
  replaceFile(configPath, addDatabase(readFileSync(configPath, "utf8"), entry));
  await runTool("wrangler", ["types", "--include-runtime=false", "--strict-vars=false"]);
  say(`wrangler.jsonc: added the database ${entry.binding}. The first deployment creates it in the account.`);
}

/** Says how to load a file under another name than the one that its own name gives. */
function chooseName(target: string): string {
  const folder = path.basename(path.dirname(path.resolve(process.env["INIT_CWD"] ?? process.cwd(), target)));
  return `Load this file under another name: npm run introspect -- ${target} --as ${bindingOf(`${folder}_${path.basename(target)}`)}.`;
}

/** Reads the local database, after loading the file into it if it is empty. */
interface LocalRead {
  readonly binding: string;
  /** The entry of a binding that the configuration does not have yet. */
  readonly added: DatabaseEntry | undefined;
  readonly file: SourceFile | undefined;
  readonly reload: boolean;
  readonly say: Say;
}

async function readLocal({ binding, added, file, reload, say }: LocalRead): Promise<ReadDatabase> {
  const stateDir = stateFolder();
  openStateFolder(stateDir);
  const databases = added === undefined ? {} : { [added.binding]: added.database_id };
  const storage = await openStorage(configPath, stateDir, { added: databases });
  try {
    await migrateLocal(storage, configPath);
    const database = await storage.getD1Database(binding);
    const record = await readLoadRecord(database);
    if (record?.isComplete === false && file === undefined)
      throw new CliError(
        `The load of ${record.path} into ${binding} did not end. Start it again: npm run introspect -- ${record.path} --as ${binding}.`,
      );
    // When the binding is not declared yet, a run has failed after its load, and nothing uses the data.
    const isUnfinished = record !== undefined && (!record.isComplete || added !== undefined);
    if (file !== undefined && record !== undefined && (isUnfinished || reload)) {
      if (isUnfinished)
        say(`The last load into ${binding} did not end. Removing what it loaded, and starting from the beginning.`);
      else requireStopped(stateDir);
      await discardLoad(database, record);
      return await loadFile(database, binding, file, say);
    }
    const schema = await readDatabase(database);
    if (schema.tables.length + schema.leftOut.length === 0) {
      if (file !== undefined) return await loadFile(database, binding, file, say);
      throw new CliError(`The local database ${binding} has no tables. ${remoteText(binding)}`);
    }
    if (file !== undefined) say(explainKept(binding, record, file));
    return { ...schema, notes: [] };
  } finally {
    await storage.dispose();
  }
}

/** Says that the data of an unchanged file is kept. Throws `CliError` with the way on when the database holds anything else. */
function explainKept(binding: string, record: LoadRecord | undefined, { identity }: SourceFile): string {
  if (record === undefined)
    throw new CliError(
      `The local database ${binding} has tables that no file was loaded into, so the file was not loaded.`,
      {
        hint: chooseName(identity.path),
      },
    );
  if (!isSameFile(record, identity))
    throw new CliError(`${binding} holds the data of another file, ${record.path}. ${chooseName(identity.path)}`, {
      hint: `To put this file in its place: npm run introspect -- ${identity.path} --as ${binding} --reload`,
    });
  if (record.fingerprint !== identity.fingerprint)
    throw new CliError(`${identity.path} has changed since it was loaded into ${binding}.`, {
      hint: `To load it again: npm run introspect -- ${identity.path} --as ${binding} --reload. Sign-ins, members, records and your policy stay.`,
    });
  return `The file is loaded already, unchanged, into the local database ${binding}.`;
}

/** Refuses to replace data under a server that reads it. */
function requireStopped(stateDir: string): void {
  const pid = findRunningPid(stateDir);
  if (pid !== undefined)
    throw new CliError(`npm start uses this state in process ${pid}.`, {
      hint: "Stop it, then run this command again.",
    });
}

type LocalDatabase = Parameters<typeof loadInto>[0] & Parameters<typeof readDatabase>[0];

async function loadFile(database: LocalDatabase, binding: string, file: SourceFile, say: Say): Promise<ReadDatabase> {
  const loaded = await loadInto(database, file, file.identity).catch((error: unknown) => {
    throw new CliError(`The file could not be loaded: ${messageOf(error)}`);
  });
  if (loaded.tables === 0) {
    const reasons = [...loaded.notes, ...loaded.leftOut].map(({ name, reason }) => `\n- ${name} ${reason}`);
    throw new CliError(`The file could not be loaded: it has no table that D1 can hold.${reasons.join("")}`);
  }
  say(`Loaded ${loaded.rows} rows into the local database ${binding}.`);
  const schema = await readDatabase(database);
  const tables = schema.tables.map((table) => ({
    ...table,
    columns: table.columns.map((column) => ({
      ...column,
      references: column.references ?? loaded.references.get(`${table.name}.${column.name}`) ?? null,
    })),
  }));
  return { tables, leftOut: [...schema.leftOut, ...loaded.leftOut], notes: loaded.notes };
}

async function openSource(file: string): Promise<SourceFile> {
  if (!existsSync(file)) throw new CliError(`There is no file ${file}.`);
  try {
    return { ...openFile(file), identity: await identifyFile(file) };
  } catch (error) {
    if (error instanceof RefusedFile) throw new CliError(`${path.basename(file)} was not loaded: ${error.message}.`);
    throw new CliError(`${path.basename(file)} is not a database: ${messageOf(error)}.`);
  }
}

interface Introspected {
  readonly source: string;
  readonly binding: string;
}

function report(
  { source, binding }: Introspected,
  { tables, leftOut, notes }: ReadDatabase,
  merged: Merged,
  isUpdate: boolean,
): Output {
  const file = path.relative(root, sourceFile(root, source));
  const columns = Object.values(merged.tables).flatMap((table) => Object.values(table.columns));
  const hiddenColumns = columns.filter(({ hidden }) => hidden === true).length;
  const lines = [
    `${file}: ${countTables(tables)} with ${columns.length} columns, of which ${hiddenColumns} stay hidden when you open their table.`,
    ...leftOut.map(({ name, reason }) => `Skipped: ${name} ${reason}`),
    ...notes.map(({ name, reason }) => `Note: ${name} ${reason}`),
    ...merged.unresolved.map((name) => `Note: ${name} refers to a table or column that is not declared.`),
    ...(isUpdate ? listChanges(merged) : []),
    ...useSchemaHint(),
    "",
    Object.values(merged.tables).every(({ hidden }) => hidden === true)
      ? "Everything is hidden until you open it. Open tables and columns that users may query:"
      : "What you opened stays open. To open more:",
    `  npm run gatehouse -- open ${source}.<table> ${source}.<table>.<column> …`,
    "Or open all tables, without the columns that look personal:",
    `  npm run gatehouse -- open ${source} --all-but-personal`,
    "Then run npm start and sign in as owner@example.com.",
  ];
  return {
    lines: lines.filter((line) => line !== undefined),
    data: {
      source,
      binding,
      file,
      tables: tables.filter(({ viewOf }) => viewOf === null).length,
      views: tables.filter(({ viewOf }) => viewOf !== null).length,
      columns: columns.length,
      hiddenColumns,
      added: isUpdate ? merged.added : [],
      removed: isUpdate ? merged.vanished : [],
      skipped: leftOut.map(({ name, reason }) => ({ name, reason })),
      notes: notes.map(({ name, reason }) => ({ name, reason })),
    },
  };
}

function countTables(tables: readonly FoundTable[]): string {
  const views = tables.filter(({ viewOf }) => viewOf !== null).length;
  const viewText = views === 0 ? "" : ` and ${views} ${views === 1 ? "view" : "views"}`;
  return `${tables.length - views} tables${viewText}`;
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
