// Reads a database's schema: tables and columns with their keys and a sample of values, and the objects that cannot be datasets.
import { firstInvisible } from "../../src/lib/visible-text.ts";
import { findEpochUnit, suggestsTime } from "./epoch.ts";
import type { EpochUnit } from "./epoch.ts";
import { examineViews } from "./examine-views.ts";
import type { AskedDatabase, ExaminedView } from "./examine-views.ts";
import { traceViewColumns } from "./view-columns.ts";
import type { ReadColumn } from "./view-columns.ts";
import { RESERVED_PREFIXES, findReservedPrefix, quoteIdentifier, quoteText } from "../../src/sql/identifier.ts";
import { isOwnerObject } from "../../src/sql/owner-objects.ts";

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
  /** The unit of the Unix times that all its values are, by its name and by every value; null for any other column. */
  readonly epoch: EpochUnit | null;
  /** For a column of a view, what its value is computed from; empty for a column of a table. */
  readonly readColumns: readonly ReadColumn[];
}

/** A table or view of the database. */
export interface FoundTable {
  readonly name: string;
  /** What a view reads; null for a table. */
  readonly viewOf: readonly string[] | null;
  /** The columns of the primary key in their order; empty without one. */
  readonly key: readonly string[];
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

/** Reads all tables and views, in the order of their names. */
export async function readDatabase(database: AskedDatabase): Promise<FoundDatabase> {
  // SQLite's own kinds: the name of an ordinary table may look like that of a shadow table, such as docs_meta beside the FTS5 table docs.
  const objects = await ask(database, "SELECT type, name FROM pragma_table_list WHERE schema = 'main' ORDER BY name");
  const views = await examineViews(database);
  const tables: FoundTable[] = [];
  const leftOut: LeftOut[] = [];
  for (const { type, name: value } of objects) {
    const name = String(value);
    // Objects of SQLite, D1, wrangler and Gatehouse are skipped without a report.
    if (!isOwnerObject(name)) continue;
    const view = type === "view" ? views.get(name) : undefined;
    const reason = reasonToLeaveOut(String(type), name, view);
    if (reason !== null) {
      leftOut.push({ name, reason });
      continue;
    }
    const { table, columnsLeftOut } = await readTable(
      database,
      name,
      view !== undefined && "reads" in view ? view.reads : null,
    );
    tables.push(table);
    leftOut.push(...columnsLeftOut);
  }
  return { tables, leftOut };
}

function reasonToLeaveOut(type: string, name: string, view: ExaminedView | undefined): string | null {
  if (type === "virtual") return VIRTUAL_REASON;
  if (type === "shadow") return "belongs to a virtual table.";
  if (findReservedPrefix(name) !== undefined) return `begins with a reserved prefix (${RESERVED_PREFIXES.join(", ")}).`;
  if (view !== undefined && "reason" in view) return view.reason;
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

async function readTable(database: AskedDatabase, name: string, viewOf: readonly string[] | null): Promise<ReadTable> {
  const table = quoteIdentifier(name);
  const all = await ask(database, `SELECT name, type, pk, hidden FROM pragma_table_xinfo(${quoteText(name)})`);
  const readable = all.filter((column) => invisibleReason(String(column["name"])) === null);
  const columnsLeftOut = all.flatMap(({ name: column }): LeftOut[] => {
    const reason = invisibleReason(String(column));
    return reason === null ? [] : [{ name: `${name}.${String(column)}`, reason }];
  });
  const keys = all.filter(({ pk }) => Number(pk) > 0).toSorted((one, other) => Number(one["pk"]) - Number(other["pk"]));
  const references = await readReferences(database, name);
  const names = readable.map((column) => String(column["name"]));
  const traced = viewOf === null ? undefined : await traceColumns(database, name, names);
  const samples = new Map<string, Sample>();
  for (let start = 0; start < names.length; start += COLUMNS_AT_ONCE)
    for (const [column, sample] of await readSamples(database, table, names.slice(start, start + COLUMNS_AT_ONCE)))
      samples.set(column, sample);
  // A key of which a column is left out finds no row.
  const key = keys.every((column) => readable.includes(column)) ? keys.map((column) => String(column["name"])) : [];
  const columns: FoundColumn[] = [];
  for (const { name: value, type } of readable) {
    const column = String(value);
    const { values = [], storage = new Set<string>() } = samples.get(column) ?? {};
    const found = { name: column, declaredType: String(type ?? ""), values, storage };
    const epoch = await readEpoch(database, table, found);
    const readColumns = traced?.get(column) ?? [];
    columns.push({ ...found, references: references.get(column) ?? null, epoch, readColumns });
  }
  return { table: { name, viewOf, key, columns }, columnsLeftOut };
}

async function traceColumns(
  database: AskedDatabase,
  view: string,
  columns: readonly string[],
): Promise<ReadonlyMap<string, readonly ReadColumn[]>> {
  const [row] = await ask(database, `SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ${quoteText(view)}`);
  return traceViewColumns(String(row?.["sql"]), columns);
}

async function readReferences(database: AskedDatabase, name: string): Promise<ReadonlyMap<string, string>> {
  const rows = await ask(database, `SELECT "from", "table", "to" FROM pragma_foreign_key_list(${quoteText(name)})`);
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
  const keys = await ask(database, `SELECT name FROM pragma_table_info(${quoteText(table)}) WHERE pk > 0`);
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

type Sample = Pick<FoundColumn, "values" | "storage">;

/** Finds the unit of a column of Unix times. Reads all values of a column whose name and sample suggest one. */
async function readEpoch(
  database: AskedDatabase,
  table: string,
  { name, declaredType, storage }: Pick<FoundColumn, "name" | "declaredType" | "storage">,
): Promise<EpochUnit | null> {
  const isNumber = storage.size > 0 && [...storage].every((type) => type === "integer" || type === "real");
  if (!isNumber || !suggestsTime(name, declaredType)) return null;
  const column = quoteIdentifier(name);
  const [row] = await ask(
    database,
    `SELECT min(${column}) AS least, max(${column}) AS most, sum(typeof(${column}) IN ('text', 'blob')) AS others FROM ${table}`,
  );
  const { least, most, others } = row ?? {};
  if (typeof least !== "number" || typeof most !== "number" || others !== 0) return null;
  return findEpochUnit(least, most) ?? null;
}

async function readSamples(
  database: AskedDatabase,
  table: string,
  columns: readonly string[],
): Promise<readonly (readonly [string, Sample])[]> {
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
