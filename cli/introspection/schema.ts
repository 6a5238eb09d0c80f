// Reads a database's schema: tables and columns with their keys and a sample of values, and the objects that cannot be datasets.
import { firstInvisible } from "../../src/lib/visible-text.ts";
import { RESERVED_PREFIXES, findReservedPrefix, foldName, quoteIdentifier } from "../../src/sql/identifier.ts";

/** The part of D1 that introspection uses. */
interface AskedDatabase {
  prepare(sql: string): { all(): Promise<{ results: unknown[] }> };
}

/** A column of the database. */
export interface FoundColumn {
  readonly name: string;
  readonly declaredType: string;
  /** The `table.column` that a foreign key refers to. */
  readonly references: string | null;
  /** Sampled values as text, without NULL and blobs. */
  readonly values: readonly string[];
  /** SQLite's storage classes of the sampled values. */
  readonly storage: ReadonlySet<string>;
}

/** A table of the database. */
export interface FoundTable {
  readonly name: string;
  /** The primary key column; null unless the key is exactly one column. */
  readonly key: string | null;
  readonly columns: readonly FoundColumn[];
}

/** An object that cannot be a dataset. `reason` continues a sentence that begins with its name. */
export interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

/** The schema of a database. */
export interface FoundDatabase {
  readonly tables: readonly FoundTable[];
  readonly leftOut: readonly LeftOut[];
}

export const VIEW_REASON = "is a view, which would bypass the rules of its tables. Declare the tables instead.";
export const VIRTUAL_REASON = "is a virtual table, which cannot be a dataset.";

/** Rows sampled from each table. */
const SAMPLE_ROWS = 200;
/** Characters read of each sampled value. */
const SAMPLE_LENGTH = 200;
/** Columns sampled in one query: D1 returns at most 100 result columns, and each sampled column takes two. */
const COLUMNS_AT_ONCE = 48;

type Row = Readonly<Record<string, string | number | null>>;

async function ask(database: AskedDatabase, sql: string): Promise<readonly Row[]> {
  const { results } = await database.prepare(sql).all();
  return results.filter((row): row is Row => typeof row === "object" && row !== null);
}

/** Reads all tables, in the order of their names. */
export async function readDatabase(database: AskedDatabase): Promise<FoundDatabase> {
  // SQLite's own kinds: the name of an ordinary table may look like that of a shadow table, such as docs_meta beside the FTS5 table docs.
  const objects = await ask(database, "SELECT type, name FROM pragma_table_list WHERE schema = 'main' ORDER BY name");
  const tables: FoundTable[] = [];
  const leftOut: LeftOut[] = [];
  for (const { type, name: value } of objects) {
    const name = String(value);
    if (isInternal(name)) continue;
    const reason = reasonToLeaveOut(String(type), name);
    if (reason !== null) {
      leftOut.push({ name, reason });
      continue;
    }
    const { table, columnsLeftOut } = await readTable(database, name);
    tables.push(table);
    leftOut.push(...columnsLeftOut);
  }
  return { tables, leftOut };
}

/** Prefixes of tables that SQLite, D1 or Gatehouse owns. */
const INTERNAL_PREFIXES: readonly (string | undefined)[] = ["sqlite_", "_cf_", "_gatehouse"];

/** Whether SQLite, D1, wrangler or Gatehouse owns the table; such tables are skipped without a report. */
function isInternal(name: string): boolean {
  return foldName(name) === "d1_migrations" || INTERNAL_PREFIXES.includes(findReservedPrefix(name));
}

function reasonToLeaveOut(type: string, name: string): string | null {
  if (type === "view") return VIEW_REASON;
  if (type === "virtual") return VIRTUAL_REASON;
  if (type === "shadow") return "belongs to a virtual table.";
  if (findReservedPrefix(name) !== undefined) return `begins with a reserved prefix (${RESERVED_PREFIXES.join(", ")}).`;
  return invisibleReason(name);
}

/** Refuses names with invisible characters: the operator could not see which table they open. And the one that an object cannot hold. */
function invisibleReason(name: string): string | null {
  if (name === "__proto__") return "has a name that a policy file cannot hold.";
  const codePoint = firstInvisible(name);
  return codePoint === undefined ? null : `has an invisible character in its name (${codePoint}).`;
}

interface ReadTable {
  readonly table: FoundTable;
  /** Each named as `table.column`. */
  readonly columnsLeftOut: readonly LeftOut[];
}

async function readTable(database: AskedDatabase, name: string): Promise<ReadTable> {
  const table = quoteIdentifier(name);
  const all = await ask(database, `SELECT name, type, pk, hidden FROM pragma_table_xinfo(${literal(name)})`);
  const readable = all.filter((column) => invisibleReason(String(column["name"])) === null);
  const columnsLeftOut = all.flatMap(({ name: column }): LeftOut[] => {
    const reason = invisibleReason(String(column));
    return reason === null ? [] : [{ name: `${name}.${String(column)}`, reason }];
  });
  const keys = all.filter(({ pk }) => Number(pk) > 0);
  const references = await readReferences(database, name);
  const names = readable.map((column) => String(column["name"]));
  const samples = new Map<string, Pick<FoundColumn, "values" | "storage">>();
  for (let start = 0; start < names.length; start += COLUMNS_AT_ONCE)
    for (const [column, sample] of await readSamples(database, table, names.slice(start, start + COLUMNS_AT_ONCE)))
      samples.set(column, sample);
  const key = keys.length === 1 && keys[0] !== undefined && readable.includes(keys[0]) ? String(keys[0]["name"]) : null;
  const columns = readable.map(({ name: column, type }) => ({
    name: String(column),
    declaredType: String(type ?? ""),
    references: references.get(String(column)) ?? null,
    values: samples.get(String(column))?.values ?? [],
    storage: samples.get(String(column))?.storage ?? new Set<string>(),
  }));
  return { table: { name, key, columns }, columnsLeftOut };
}

async function readReferences(database: AskedDatabase, name: string): Promise<ReadonlyMap<string, string>> {
  const rows = await ask(database, `SELECT "from", "table", "to" FROM pragma_foreign_key_list(${literal(name)})`);
  const references = new Map<string, string>();
  for (const { from, table, to } of rows) {
    // A foreign key without a column refers to the other table's primary key.
    const target = to ?? (await primaryKeyOf(database, String(table)));
    const reference = `${String(table)}.${String(target)}`;
    if (target !== null && firstInvisible(reference) === undefined) references.set(String(from), reference);
  }
  return references;
}

async function primaryKeyOf(database: AskedDatabase, table: string): Promise<string | null> {
  const keys = await ask(database, `SELECT name FROM pragma_table_info(${literal(table)}) WHERE pk > 0`);
  return keys.length === 1 ? String(keys[0]?.["name"]) : null;
}

/** Samples the values of some columns of a table, as text without NULL and blobs. Reads at most `SAMPLE_ROWS` rows. */
export async function sampleValues(
  database: AskedDatabase,
  table: string,
  columns: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const values = new Map<string, readonly string[]>();
  for (let start = 0; start < columns.length; start += COLUMNS_AT_ONCE) {
    const names = columns.slice(start, start + COLUMNS_AT_ONCE);
    for (const [column, sample] of await readSamples(database, quoteIdentifier(table), names))
      values.set(column, sample.values);
  }
  return values;
}

async function readSamples(
  database: AskedDatabase,
  table: string,
  columns: readonly string[],
): Promise<readonly (readonly [string, Pick<FoundColumn, "values" | "storage">])[]> {
  const selected = columns.flatMap((column, index) => {
    const name = quoteIdentifier(column);
    return [`substr(CAST(${name} AS TEXT), 1, ${SAMPLE_LENGTH}) AS v${index}`, `typeof(${name}) AS t${index}`];
  });
  const rows = await ask(database, `SELECT ${selected.join(", ")} FROM ${table} LIMIT ${SAMPLE_ROWS}`);
  return columns.map((column, index) => {
    const filled = rows.filter((row) => row[`t${index}`] !== "null");
    const values = filled.filter((row) => row[`t${index}`] !== "blob").map((row) => String(row[`v${index}`]));
    return [column, { values, storage: new Set(filled.map((row) => String(row[`t${index}`]))) }] as const;
  });
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
