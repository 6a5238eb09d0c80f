// What a database says of itself: its tables and columns with keys and a sample of values, and what it has that cannot be a
// dataset.
import { firstInvisible } from "../../src/lib/visible-text.ts";
import { RESERVED_PREFIXES, quoteIdentifier, reservedPrefixOf } from "../../src/sql/identifier.ts";

/** A database as introspection asks it; a local D1 has this. */
export interface AskedDatabase {
  prepare(sql: string): { all(): Promise<{ results: unknown[] }> };
}

export interface FoundColumn {
  readonly name: string;
  readonly declaredType: string;
  /** The `table.column` that a foreign key refers to. */
  readonly references: string | null;
  /** Some of its values as texts, without nulls. */
  readonly values: readonly string[];
  /** What SQLite calls the types of those values. */
  readonly storage: ReadonlySet<string>;
}

export interface FoundTable {
  readonly name: string;
  /** The column that is the primary key, when it is one alone. */
  readonly key: string | null;
  readonly columns: readonly FoundColumn[];
}

export interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

export interface FoundDatabase {
  readonly tables: readonly FoundTable[];
  readonly leftOut: readonly LeftOut[];
}

export const VIEW_REASON = "is a view: it would read its tables without the rules. Use the tables.";
export const VIRTUAL_REASON = "is a virtual table, which no dataset can be.";

/** Rows of each table that are looked at. */
const SAMPLE_ROWS = 200;
/** Characters of a value that are looked at. */
const SAMPLE_LENGTH = 200;
/** D1 gives at most 100 columns, two for each that is sampled. */
const COLUMNS_AT_ONCE = 48;

type Row = Readonly<Record<string, string | number | null>>;

async function ask(database: AskedDatabase, sql: string): Promise<readonly Row[]> {
  const { results } = await database.prepare(sql).all();
  return results.filter((row): row is Row => typeof row === "object" && row !== null);
}

/** Reads everything, in the order of names. */
export async function readDatabase(database: AskedDatabase): Promise<FoundDatabase> {
  const objects = await ask(
    database,
    "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name",
  );
  const virtual = objects.flatMap(({ name, sql }) =>
    /^\s*CREATE\s+VIRTUAL\b/i.test(String(sql)) ? [String(name)] : [],
  );
  const tables: FoundTable[] = [];
  const leftOut: LeftOut[] = [];
  for (const { type, name: given } of objects) {
    const name = String(given);
    if (isOwn(name)) continue;
    const reason = reasonToLeaveOut(String(type), name, virtual);
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

/** What the database, wrangler or Gatehouse keeps for itself: nobody misses it. */
function isOwn(name: string): boolean {
  const prefix = reservedPrefixOf(name);
  return name === "d1_migrations" || (prefix !== undefined && !["fts5", "rtree"].includes(prefix));
}

function reasonToLeaveOut(type: string, name: string, virtual: readonly string[]): string | null {
  if (type === "view") return VIEW_REASON;
  if (virtual.includes(name)) return VIRTUAL_REASON;
  if (virtual.some((owner) => name.startsWith(`${owner}_`))) return "belongs to a virtual table.";
  if (reservedPrefixOf(name) !== undefined)
    return `begins like a name that is reserved (${RESERVED_PREFIXES.join(", ")}).`;
  return invisibleReason(name);
}

/** A name that looks like another, or like nothing: an operator could not see which table they open. */
function invisibleReason(name: string): string | null {
  const codePoint = firstInvisible(name);
  return codePoint === undefined ? null : `has a character in its name that cannot be seen (${codePoint}).`;
}

interface ReadTable {
  readonly table: FoundTable;
  /** As `table.column`. */
  readonly columnsLeftOut: readonly LeftOut[];
}

async function readTable(database: AskedDatabase, name: string): Promise<ReadTable> {
  const table = quoteIdentifier(name);
  const all = await ask(database, `SELECT name, type, pk, hidden FROM pragma_table_xinfo(${literal(name)})`);
  const found = all.filter((column) => invisibleReason(String(column["name"])) === null);
  const columnsLeftOut = all.flatMap(({ name: column }): LeftOut[] => {
    const reason = invisibleReason(String(column));
    return reason === null ? [] : [{ name: `${name}.${String(column)}`, reason }];
  });
  const keys = all.filter(({ pk }) => Number(pk) > 0);
  const references = await readReferences(database, name);
  const names = found.map((column) => String(column["name"]));
  const samples = new Map<string, Pick<FoundColumn, "values" | "storage">>();
  for (let start = 0; start < names.length; start += COLUMNS_AT_ONCE)
    for (const [column, sample] of await readSamples(database, table, names.slice(start, start + COLUMNS_AT_ONCE)))
      samples.set(column, sample);
  const key = keys.length === 1 && keys[0] !== undefined && found.includes(keys[0]) ? String(keys[0]["name"]) : null;
  const columns = found.map(({ name: column, type }) => ({
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
    // Without a column it is the primary key of the other table.
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
    const told = rows.filter((row) => row[`t${index}`] !== "null");
    const values = told.filter((row) => row[`t${index}`] !== "blob").map((row) => String(row[`v${index}`]));
    return [column, { values, storage: new Set(told.map((row) => String(row[`t${index}`]))) }] as const;
  });
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
