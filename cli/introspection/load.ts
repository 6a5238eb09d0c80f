// Loads an SQLite file or an SQL dump into an empty local D1 database: tables, rows, indexes, views and statistics. It names what it skips:
// triggers and virtual tables, which no dataset needs, and what D1 cannot hold. load-tables.ts copies the tables.
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { foldName, quoteIdentifier } from "../../src/sql/identifier.ts";
import { tokenize } from "../../src/sql/lexer.ts";
import { createProgress } from "../kit/progress.ts";
import type { TargetDatabase } from "./copy-rows.ts";
import { withoutUnknownCollations } from "./declaration.ts";
import { RefusedFile, confineToReading } from "./file-authorizer.ts";
import { beginLoad, endLoad, listObjects } from "./load-record.ts";
import type { LoadedFile } from "./load-record.ts";
import { TableLoader } from "./load-tables.ts";
import type { SourceTable } from "./load-tables.ts";
import { TRIGGER_REASON, collationReason, listShadows, runDump } from "./run-dump.ts";
import type { DumpOutcome } from "./run-dump.ts";
import { loadViews } from "./load-views.ts";
import { VIRTUAL_REASON } from "./schema.ts";
import type { LeftOut } from "./schema.ts";

/** A file that was opened for reading. */
export interface OpenedFile extends DumpOutcome {
  readonly database: DatabaseSync;
}

/**
 * Opens a database file or an SQL dump for reading. Nothing in the file can make SQLite write another file. Throws `RefusedFile`, or
 * an error with SQLite's message.
 */
export function openFile(file: string): OpenedFile {
  const isDump = /\.sql$/i.test(file);
  const database = isDump ? new DatabaseSync(":memory:") : new DatabaseSync(file, { readOnly: true });
  // The schema is untrusted too: its defaults and generated columns may use only functions without side effects.
  database.exec("PRAGMA trusted_schema = OFF");
  let outcome: DumpOutcome = { skipped: [], notes: [], shadows: new Set() };
  if (isDump) {
    // A dump may insert rows before the rows that they refer to.
    database.exec("PRAGMA foreign_keys = OFF");
    outcome = runDump(database, readFileSync(file));
  }
  confineToReading(database);
  database.prepare("SELECT count(*) FROM sqlite_schema").get();
  return { ...outcome, database };
}

/** What was loaded. */
export interface Loaded {
  readonly tables: number;
  readonly rows: number;
  /** Objects that were not loaded. */
  readonly leftOut: readonly LeftOut[];
  /** Tables that were loaded differently from what the file says. */
  readonly notes: readonly LeftOut[];
  /** What foreign keys refer to that were not kept, as `table.column`, by `table.column`. */
  readonly references: ReadonlyMap<string, string>;
}

/**
 * Copies what the file has to the target. An object that cannot be copied is left out and named. Throws
 * when the target stops answering; the record of the load then says that it did not end.
 */
export async function loadInto(target: TargetDatabase, opened: OpenedFile, file: LoadedFile): Promise<Loaded> {
  const { database: source } = opened;
  const objects = readObjects(source);
  const shadows = new Set([...opened.shadows, ...listShadows(source)]);
  const leftOut: LeftOut[] = [...opened.skipped];
  for (const { kind, name } of objects) {
    const reason = reasonToSkip(kind, name);
    if (reason !== undefined) leftOut.push({ name, reason });
  }
  const isLoadable = ({ kind, name }: SchemaObject): boolean =>
    ["table", "view"].includes(kind) &&
    !shadows.has(foldName(name)) &&
    !isInternal(name) &&
    reasonToSkip(kind, name) === undefined;
  // The record lists what the load creates, so that an object of the operator is never taken for one of it.
  const taken = new Set(
    [...(await listObjects(target, "table")), ...(await listObjects(target, "view"))].map(foldName),
  );
  const [present, loadable] = partition(objects.filter(isLoadable), ({ name }) => taken.has(foldName(name)));
  leftOut.push(...present.map(({ name }) => ({ name, reason: PRESENT_REASON })));
  const [tables, views] = partition(loadable, ({ kind }) => kind === "table");
  await beginLoad(
    target,
    file,
    [...tables, ...views].map(({ name }) => name),
  );
  const progress = createProgress({ verb: "Loading", total: countRows(source, tables) });
  const indexes = Map.groupBy(
    objects.filter(({ kind }) => kind === "index"),
    ({ table }) => foldName(table),
  );
  const withIndexes = tables.map((table) => toSourceTable(table, indexes.get(foldName(table.name)) ?? []));
  const loader = new TableLoader(source, target, withIndexes, progress);
  try {
    await loader.loadAll();
  } finally {
    progress.finish();
  }
  const viewsLeftOut = await loadViews(target, views);
  // Without statistics SQLite takes every index for a good one. The file's own may be old, or name indexes that were left out.
  await target.prepare("ANALYZE").all();
  await endLoad(target);
  return {
    tables: loader.tables,
    rows: loader.rows,
    leftOut: [...leftOut, ...loader.leftOut, ...viewsLeftOut],
    notes: [...opened.notes, ...loader.notes],
    references: loader.references,
  };
}

function toSourceTable({ name, sql }: SchemaObject, indexes: readonly SchemaObject[]): SourceTable {
  const { sql: usable, unknown } = withoutUnknownCollations(sql);
  return { name, sql: usable, indexes, ...(unknown.length === 0 ? {} : { note: collationReason(unknown) }) };
}

const PRESENT_REASON = "is in the local database already, from another source than the file, and was kept.";

function partition<Item>(items: readonly Item[], matches: (item: Item) => boolean): readonly [Item[], Item[]] {
  return [items.filter(matches), items.filter((item) => !matches(item))];
}

/** Tables that wrangler made, and not the file's author. */
function isInternal(name: string): boolean {
  return name === "d1_migrations" || name.startsWith("_cf_");
}

function reasonToSkip(kind: ObjectKind, name: string): string | undefined {
  if (kind === "virtual") return VIRTUAL_REASON;
  if (kind === "trigger") return TRIGGER_REASON;
  return (kind === "table" || kind === "view") && foldName(name).startsWith("_gatehouse")
    ? "belongs to Gatehouse, which makes its own."
    : undefined;
}

function countRows(source: DatabaseSync, tables: readonly SchemaObject[]): number {
  let rows = 0;
  for (const { name } of tables) {
    try {
      rows += Number(source.prepare(`SELECT count(*) AS rows FROM main.${quoteIdentifier(name)}`).get()?.["rows"]);
    } catch {
      // A damaged table counts as empty here. Copying it reports why it cannot be read.
    }
  }
  return rows;
}

type ObjectKind = "table" | "index" | "view" | "trigger" | "virtual";

interface SchemaObject {
  readonly kind: ObjectKind;
  readonly name: string;
  readonly table: string;
  readonly sql: string;
}

/**
 * Reads the declarations of the schema table. The kind comes from the SQL, as in SQLite itself: in a crafted file, the type column can
 * say anything. Throws `RefusedFile` for a declaration with a second statement, which the target would run.
 */
function readObjects(source: DatabaseSync): readonly SchemaObject[] {
  return source
    .prepare(
      "SELECT name, tbl_name AS tableName, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .all()
    .map((row) => {
      const [name, sql] = [String(row["name"]), String(row["sql"])];
      return { kind: kindOf(name, sql), name, table: String(row["tableName"]), sql };
    });
}

function kindOf(name: string, sql: string): ObjectKind {
  const tokens = tokenize(sql).filter(({ kind }) => kind !== "space" && kind !== "comment");
  const words = tokens.slice(0, 3).map(({ value }) => value.toUpperCase());
  const kind = [words[1], words[2]].map((word) => KINDS.get(word ?? "")).find((match) => match !== undefined);
  if (words[0] !== "CREATE" || kind === undefined) throw new RefusedFile(`${name} is declared in an unknown form`);
  // The statements inside a trigger end with semicolons; triggers are skipped anyway.
  if (kind !== "trigger" && tokens.slice(0, -1).some(({ kind: token, value }) => token === "operator" && value === ";"))
    throw new RefusedFile(`${name} is declared with more than one statement`);
  return kind;
}

/** The kind by a declaration's second word, or by its third, as in `CREATE UNIQUE INDEX`. */
const KINDS: ReadonlyMap<string, ObjectKind> = new Map([
  ["TABLE", "table"],
  ["INDEX", "index"],
  ["VIEW", "view"],
  ["TRIGGER", "trigger"],
  ["VIRTUAL", "virtual"],
]);
