// Reads the local copy of a source's database: one snapshot of its file, which a server may be using, and what is in it.
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { foldName, quoteIdentifier } from "../../src/sql/identifier.ts";
import { listForeignKeys } from "../introspection/foreign-keys.ts";
import { LOAD_TABLE } from "../introspection/load-record.ts";
import type { LeftOut } from "../introspection/schema.ts";
import { OWNER_OBJECTS_SQL } from "../../src/sql/owner-objects.ts";
import { CliError } from "../kit/cli-error.ts";

/** A table of the local database. */
export interface LocalTable {
  readonly name: string;
  readonly sql: string;
  /** The columns that hold values. A row's id comes first if no column holds it; generated columns are left out. */
  readonly columns: readonly string[];
  /** The columns that order and identify the rows; empty in a table whose row ids are not sent. */
  readonly key: readonly string[];
  /** The tables that its foreign keys refer to. */
  readonly parents: readonly string[];
  readonly rows: number;
  /** The last number that AUTOINCREMENT gave; undefined where there is none. */
  readonly sequence: bigint | undefined;
}

/** An index or a view. */
export interface LocalObject {
  readonly name: string;
  /** The table of an index; a view's own name. */
  readonly table: string;
  readonly sql: string;
}

/** What a local database holds, without what SQLite, D1 and Gatehouse keep in it. */
export interface LocalSnapshot {
  readonly database: DatabaseSync;
  readonly tables: readonly LocalTable[];
  readonly indexes: readonly LocalObject[];
  readonly views: readonly LocalObject[];
  readonly skipped: readonly LeftOut[];
}

const MAX_COLUMNS = 100;

/** Opens a snapshot of the file. Close its database. Throws `CliError` when there is nothing to read. */
export function openSnapshot(file: string, source: string): LocalSnapshot {
  const hint = `Load it first: npm run introspect -- ${source}.sqlite`;
  if (!existsSync(file)) throw new CliError(`There is no local data of ${source} on this machine.`, { hint });
  const database = new DatabaseSync(file, { readOnly: true, timeout: 10_000 });
  try {
    // Everything is read from one state of the database, whatever is written meanwhile.
    database.exec("BEGIN");
    requireLoaded(database, source);
    const snapshot = readObjects(database);
    if (snapshot.tables.length === 0) throw new CliError(`The local database of ${source} has no tables.`, { hint });
    return { database, ...snapshot };
  } catch (error) {
    database.close();
    throw error;
  }
}

function requireLoaded(database: DatabaseSync, source: string): void {
  const isRecorded = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").get(LOAD_TABLE) !== undefined;
  const record = isRecorded ? database.prepare(`SELECT path, complete FROM ${LOAD_TABLE}`).get() : undefined;
  if (record === undefined || record["complete"] === 1) return;
  throw new CliError(`The load of ${String(record["path"])} into the local database of ${source} did not end.`, {
    hint: `Run it again: npm run introspect -- ${String(record["path"])}`,
  });
}

function readObjects(database: DatabaseSync): Omit<LocalSnapshot, "database"> {
  const kinds = new Map(
    database
      .prepare("SELECT name, type FROM pragma_table_list WHERE schema = 'main'")
      .all()
      .map((row) => [String(row["name"]), String(row["type"])]),
  );
  const objects = database
    .prepare(
      `SELECT type, name, tbl_name AS "table", sql FROM sqlite_schema WHERE sql IS NOT NULL AND ${OWNER_OBJECTS_SQL} ORDER BY rowid`,
    )
    .all()
    .map((row) => ({
      type: kinds.get(String(row["name"])) ?? String(row["type"]),
      name: String(row["name"]),
      table: String(row["table"]),
      sql: String(row["sql"]),
    }));
  const tables = objects.filter(({ type }) => type === "table");
  const names = new Set(tables.map(({ name }) => name));
  const reasons = new Map([
    ["virtual", "is a virtual table, which cannot be a dataset."],
    ["trigger", "is a trigger, which nothing runs: assistants only read."],
  ]);
  return {
    tables: tables.map(({ name, sql }) => readTable(database, name, sql)),
    indexes: objects.filter(({ type, table }) => type === "index" && names.has(table)),
    views: objects.filter(({ type }) => type === "view"),
    skipped: objects.flatMap(({ type, name }) => {
      const reason = reasons.get(type);
      return reason === undefined ? [] : [{ name, reason }];
    }),
  };
}

function readTable(database: DatabaseSync, name: string, sql: string): LocalTable {
  const all = database.prepare("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?, 'main')").all(name);
  const [kind] = database.prepare("SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'").all(name);
  const stored = all.filter(({ hidden }) => Number(hidden) === 0).map((column) => String(column["name"]));
  const isWithoutRowid = Number(kind?.["wr"]) === 1;
  const primary = all
    .filter(({ pk }) => Number(pk) > 0)
    .toSorted((one, other) => Number(one["pk"]) - Number(other["pk"]));
  const alias = isWithoutRowid ? undefined : findAlias(database, name, primary);
  // D1 takes 100 columns, in a statement too: a table that has them all is sent without the ids of its rows.
  const hasRowid = !isWithoutRowid && alias === undefined && stored.length < MAX_COLUMNS;
  const rowid = hasRowid ? findRowid(all.map((column) => String(column["name"]))) : undefined;
  const key = isWithoutRowid ? primary.map((column) => String(column["name"])) : [alias ?? rowid ?? []].flat();
  const { rows } = database.prepare(`SELECT count(*) AS rows FROM main.${quoteIdentifier(name)}`).get() ?? {};
  return {
    name,
    sql,
    columns: rowid === undefined ? stored : [rowid, ...stored],
    key,
    parents: listForeignKeys(database, name).map(({ parent }) => parent),
    rows: Number(rows),
    sequence: readSequence(database, name),
  };
}

/** A name of the row id that no column has taken. */
function findRowid(columns: readonly string[]): string | undefined {
  const taken = new Set(columns.map(foldName));
  return ["rowid", "_rowid_", "oid"].find((name) => !taken.has(name));
}

/** The INTEGER PRIMARY KEY, which is the row id. A primary key of another kind has an index of its own. */
function findAlias(
  database: DatabaseSync,
  table: string,
  primary: readonly Readonly<Record<string, unknown>>[],
): string | undefined {
  const [column] = primary;
  if (column === undefined || primary.length !== 1 || foldName(String(column["type"])) !== "integer") return undefined;
  const indexes = database.prepare("SELECT 1 FROM pragma_index_list(?, 'main') WHERE origin = 'pk'").all(table);
  return indexes.length === 0 ? String(column["name"]) : undefined;
}

function readSequence(database: DatabaseSync, table: string): bigint | undefined {
  if (database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").get() === undefined)
    return undefined;
  const statement = database.prepare("SELECT seq FROM sqlite_sequence WHERE name = ?");
  statement.setReadBigInts(true);
  const seq = statement.get(table)?.["seq"];
  return typeof seq === "bigint" ? seq : undefined;
}
