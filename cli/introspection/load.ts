// Loads an SQLite file or an SQL dump into an empty local D1 database: tables, rows and indexes. It skips views, triggers and virtual
// tables, which no dataset needs.
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import { tokenize } from "../../src/sql/lexer.ts";
import { RefusedFile, confineToReading, runDump } from "./file-authorizer.ts";
import { VIEW_REASON, VIRTUAL_REASON } from "./schema.ts";
import type { LeftOut } from "./schema.ts";

/** Characters of SQL in one statement, at up to 4 bytes each: D1 takes 100,000 bytes. */
const STATEMENT_LENGTH = 24_000;
const STATEMENTS_AT_ONCE = 100;

interface TargetDatabase {
  prepare(sql: string): unknown;
  batch(statements: never[]): Promise<unknown>;
}

/**
 * Opens a database file or an SQL dump for reading. Nothing in the file can make SQLite write another file. Throws `RefusedFile`, or
 * an error with SQLite's message.
 */
export function openFile(file: string): DatabaseSync {
  const isDump = /\.sql$/i.test(file);
  const database = isDump ? new DatabaseSync(":memory:") : new DatabaseSync(file, { readOnly: true });
  // The schema is untrusted too: its defaults and generated columns may use only functions without side effects.
  database.exec("PRAGMA trusted_schema = OFF");
  if (isDump) {
    // A dump may insert rows before the rows that they refer to.
    database.exec("PRAGMA foreign_keys = OFF");
    runDump(database, readFileSync(file, "utf8"));
  }
  confineToReading(database);
  database.prepare("SELECT count(*) FROM sqlite_schema").get();
  return database;
}

/** What was copied. */
export interface Loaded {
  readonly rows: number;
  /** Views and virtual tables, which were not copied. */
  readonly leftOut: readonly LeftOut[];
}

/** Copies tables, rows and indexes to the target. Drops the tables again when copying fails, and throws the error. */
export async function loadInto(target: TargetDatabase, source: DatabaseSync): Promise<Loaded> {
  const objects = readObjects(source);
  const virtual = objects.filter(({ kind }) => kind === "virtual").map(({ name }) => name);
  const isCopied = (name: string): boolean =>
    !virtual.some((owner) => name === owner || name.startsWith(`${owner}_`)) &&
    !name.startsWith("_cf_") &&
    name !== "d1_migrations";
  const tables = sortByReferences(
    source,
    objects.filter(({ kind, name }) => kind === "table" && isCopied(name)).map(({ name }) => name),
  );
  const sqlOf = (kind: ObjectKind, name: string): string[] =>
    objects.filter((object) => object.kind === kind && object.table === name).map(({ sql }) => sql);
  const copy = async (): Promise<number> => {
    await run(
      target,
      tables.flatMap((name) => sqlOf("table", name)),
    );
    let rows = 0;
    for (const name of tables) rows += await copyRows(target, source, name);
    await run(
      target,
      tables.flatMap((name) => sqlOf("index", name)),
    );
    return rows;
  };
  const rows = await copy().catch(async (error: unknown) => {
    // The next run would take a partial copy for a complete one.
    await run(
      target,
      tables.toReversed().map((name) => `DROP TABLE IF EXISTS ${quoteIdentifier(name)}`),
    );
    throw error;
  });
  const views = objects.filter(({ kind }) => kind === "view").map(({ name }) => ({ name, reason: VIEW_REASON }));
  return { rows, leftOut: [...views, ...virtual.map((name) => ({ name, reason: VIRTUAL_REASON }))] };
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

async function copyRows(target: TargetDatabase, source: DatabaseSync, name: string): Promise<number> {
  let rows = 0;
  let waiting: string[] = [];
  for (const { sql, count } of buildInserts(source, name)) {
    rows += count;
    waiting.push(sql);
    if (waiting.length < STATEMENTS_AT_ONCE) continue;
    await run(target, waiting);
    waiting = [];
  }
  await run(target, waiting);
  return rows;
}

async function run(target: TargetDatabase, statements: readonly string[]): Promise<void> {
  if (statements.length === 0) return;
  const all = ["PRAGMA defer_foreign_keys = on", ...statements];
  await target.batch(all.map((sql) => target.prepare(sql)) as never[]);
}

/** Sorts tables so that each comes after the tables that it refers to; tables in a cycle keep their order. */
function sortByReferences(source: DatabaseSync, tables: readonly string[]): readonly string[] {
  const ordered = new Set<string>();
  const visit = (name: string, above: readonly string[]): void => {
    if (ordered.has(name) || above.includes(name)) return;
    const parents = source.prepare(`SELECT "table" AS parent FROM pragma_foreign_key_list(?, 'main')`).all(name);
    for (const parent of tables.filter((table) =>
      parents.some((row) => String(row["parent"]).toLowerCase() === table.toLowerCase()),
    ))
      visit(parent, [...above, name]);
    ordered.add(name);
  };
  for (const name of tables) visit(name, []);
  return [...ordered];
}

/** Yields INSERT statements of many rows each, with every value exactly as SQLite's `quote` writes it. */
function* buildInserts(source: DatabaseSync, name: string): Generator<{ sql: string; count: number }> {
  const table = quoteIdentifier(name);
  const columns = source
    .prepare("SELECT name FROM pragma_table_xinfo(?, 'main') WHERE hidden = 0")
    .all(name)
    .map((row) => quoteIdentifier(String(row["name"])));
  const head = `INSERT INTO ${table} (${columns.join(", ")}) VALUES `;
  const values = columns.map((column) => `quote(${column})`).join(" || ', ' || ");
  let rows: string[] = [];
  let length = 0;
  for (const { row } of source.prepare(`SELECT ${values} AS row FROM main.${table}`).iterate()) {
    const text = `(${String(row)})`;
    if (rows.length > 0 && length + text.length > STATEMENT_LENGTH) {
      yield { sql: head + rows.join(", "), count: rows.length };
      [rows, length] = [[], 0];
    }
    rows.push(text);
    length += text.length;
  }
  if (rows.length > 0) yield { sql: head + rows.join(", "), count: rows.length };
}
