// Loads an SQLite file, or a dump in SQL, into an empty D1 of this machine: tables, rows, indexes. Views, triggers and virtual
// tables stay behind, as no dataset needs them.
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import { VIEW_REASON, VIRTUAL_REASON } from "./schema.ts";
import type { LeftOut } from "./schema.ts";

/** Characters of SQL in one statement: D1 takes 100,000 bytes. */
const STATEMENT_LENGTH = 24_000;
const STATEMENTS_AT_ONCE = 100;

interface TargetDatabase {
  prepare(sql: string): unknown;
  batch(statements: never[]): Promise<unknown>;
}

/** Opens a file for reading: a database, or SQL that makes one. Throws `Error` with SQLite's message. */
export function openFile(file: string): DatabaseSync {
  if (!file.endsWith(".sql")) {
    const database = new DatabaseSync(file, { readOnly: true });
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
    return database;
  }
  const database = new DatabaseSync(":memory:");
  // The order of a dump need not be that of its references.
  database.exec("PRAGMA foreign_keys = OFF");
  database.exec(readFileSync(file, "utf8"));
  return database;
}

export interface Loaded {
  readonly rows: number;
  /** Views and virtual tables, which stay behind. */
  readonly leftOut: readonly LeftOut[];
}

/** Copies it. */
export async function loadInto(target: TargetDatabase, source: DatabaseSync): Promise<Loaded> {
  const objects = source
    .prepare(
      "SELECT type, name, tbl_name AS tableName, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .all()
    .map((row) => ({
      type: String(row["type"]),
      name: String(row["name"]),
      table: String(row["tableName"]),
      sql: String(row["sql"]),
    }));
  const virtual = objects.filter(({ sql }) => /^CREATE\s+VIRTUAL\b/i.test(sql)).map(({ name }) => name);
  const isKept = (name: string): boolean =>
    !virtual.some((owner) => name === owner || name.startsWith(`${owner}_`)) &&
    !name.startsWith("_cf_") &&
    name !== "d1_migrations";
  const tables = inOrder(
    source,
    objects.filter(({ type, name }) => type === "table" && isKept(name)).map(({ name }) => name),
  );
  const sqlOf = (type: string, name: string): string[] =>
    objects.filter((one) => one.type === type && one.table === name).map(({ sql }) => sql);
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
    // Half a copy would be taken for a whole one the next time.
    await run(
      target,
      tables.toReversed().map((name) => `DROP TABLE IF EXISTS ${quoteIdentifier(name)}`),
    );
    throw error;
  });
  const views = objects.filter(({ type }) => type === "view").map(({ name }) => ({ name, reason: VIEW_REASON }));
  return { rows, leftOut: [...views, ...virtual.map((name) => ({ name, reason: VIRTUAL_REASON }))] };
}

async function copyRows(target: TargetDatabase, source: DatabaseSync, name: string): Promise<number> {
  let rows = 0;
  let waiting: string[] = [];
  for (const { sql, count } of insertsOf(source, name)) {
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

/** Tables before those that refer to them; in a circle, as they come. */
function inOrder(source: DatabaseSync, tables: readonly string[]): readonly string[] {
  const ordered = new Set<string>();
  const visit = (name: string, above: readonly string[]): void => {
    if (ordered.has(name) || above.includes(name)) return;
    const parents = source.prepare('SELECT "table" AS parent FROM pragma_foreign_key_list(?)').all(name);
    for (const parent of tables.filter((table) =>
      parents.some((row) => String(row["parent"]).toLowerCase() === table.toLowerCase()),
    ))
      visit(parent, [...above, name]);
    ordered.add(name);
  };
  for (const name of tables) visit(name, []);
  return [...ordered];
}

/** INSERTs of many rows each, with every value exactly as `quote` writes it. */
function* insertsOf(source: DatabaseSync, name: string): Generator<{ sql: string; count: number }> {
  const table = quoteIdentifier(name);
  const columns = source
    .prepare("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0")
    .all(name)
    .map((row) => quoteIdentifier(String(row["name"])));
  const head = `INSERT INTO ${table} (${columns.join(", ")}) VALUES `;
  const values = columns.map((column) => `quote(${column})`).join(" || ', ' || ");
  let rows: string[] = [];
  let length = 0;
  for (const { row } of source.prepare(`SELECT ${values} AS row FROM ${table}`).iterate()) {
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
