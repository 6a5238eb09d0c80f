// A database's schema as read from it, and an empty copy of the part that datasets are made of, in SQLite in memory.
import { EngineExhausted } from "./engine/meter.ts";
import { openEngine } from "./engine/sqlite.ts";
import type { Engine } from "./engine/sqlite.ts";
import { foldName } from "./identifier.ts";

/** A row of `sqlite_schema`. */
export interface SchemaObject {
  readonly type: string;
  readonly name: string;
  /** The table that it belongs to; of a table its own name. */
  readonly table: string;
  readonly rootPage: number;
  /** Null for what SQLite made by itself, such as the index of a primary key. */
  readonly sql: string | null;
}

const COLUMNS = "type, name, tbl_name AS tableName, rootpage AS rootPage, sql";

/** Gives everything that a database has, each row for `toSchemaObject`. */
export const SCHEMA_OBJECTS_SQL = `SELECT ${COLUMNS} FROM sqlite_schema`;

/** The same of the tables of these names and their indexes. */
export function objectsOfSql(tables: readonly string[]): {
  readonly sql: string;
  readonly parameters: readonly string[];
} {
  const names = tables.map((_name, index) => `?${index + 1}`).join(", ");
  return {
    sql: `${SCHEMA_OBJECTS_SQL} WHERE tbl_name COLLATE NOCASE IN (${names}) AND type IN ('table', 'index')`,
    parameters: tables,
  };
}

export function toSchemaObject(row: Readonly<Record<string, unknown>>): SchemaObject {
  const { type, name, tableName, rootPage, sql } = row;
  return {
    type: String(type),
    name: String(name),
    table: String(tableName),
    rootPage: Number(rootPage),
    sql: typeof sql === "string" ? sql : null,
  };
}

/** A row of `sqlite_stat1`. */
export interface Statistic {
  readonly table: string;
  readonly index: string | null;
  readonly text: string;
}

export interface SchemaSnapshot {
  readonly objects: readonly SchemaObject[];
  readonly statistics: readonly Statistic[];
  /** About how many rows a table has, by folded name; an unknown one is taken for large. */
  readonly rows: ReadonlyMap<string, number>;
}

/** The order that a table's rows have without an index. */
export interface OwnOrder {
  /** Columns to sort by; no two rows are the same in them. */
  readonly by: readonly string[];
  /** What SQLite calls the columns that are read for it. */
  readonly reads: readonly string[];
}

export interface TableShape {
  readonly columns: readonly ShapedColumn[];
  /** Undefined when it cannot be named, because a column is called rowid. */
  readonly ownOrder: OwnOrder | undefined;
}

export interface ShapedColumn {
  /** Folded. */
  readonly name: string;
  readonly isGenerated: boolean;
  /** Whether it turns texts that are numbers into numbers. */
  readonly isNumeric: boolean;
}

export interface SchemaCopy {
  readonly snapshot: SchemaSnapshot;
  readonly engine: Engine;
  /** Whether the database has something of this folded name, copied or not. */
  has(name: string): boolean;
  /** The database's tables of these names and their indexes, copied or not. */
  objectsOf(tables: readonly string[]): readonly SchemaObject[];
  /** The columns of an index of this name, folded; undefined when it is none, or not on columns alone. */
  columnsOfIndex(name: string): readonly string[] | undefined;
  /** What a table of this name is like. */
  shapeOf(table: string): TableShape;
  /** What could not be copied, and why: a form that is not known to hold. */
  readonly refused: readonly { readonly table: string; readonly name: string; readonly reason: string }[];
}

/** Copies tables and their indexes, by name, without rows, into an engine that is empty. */
export function copySchema(
  snapshot: SchemaSnapshot,
  tables: readonly string[],
  engine: Engine = openEngine(),
): SchemaCopy {
  const wanted = new Set(tables.map(foldName));
  const copied = tablesAndIndexes(snapshot).filter(({ table }) => wanted.has(foldName(table)));
  const refused = ["table", "index"].flatMap((type) =>
    copied.flatMap((object) => {
      const reason = object.type === type && object.sql !== null ? create(engine, object.sql) : undefined;
      return reason === undefined ? [] : [{ table: object.table, name: object.name, reason }];
    }),
  );
  if (snapshot.statistics.length > 0) loadStatistics(engine, snapshot.statistics);
  const indexes = indexColumns(engine);
  const names = new Set(snapshot.objects.map(({ name }) => foldName(name)));
  const shapes = new Map<string, TableShape>();
  const byTable = Map.groupBy(tablesAndIndexes(snapshot), ({ table }) => foldName(table));
  return {
    snapshot,
    engine,
    refused,
    columnsOfIndex: (name) => indexes.get(foldName(name)),
    shapeOf(table) {
      const shape = shapes.get(table) ?? readShape(engine, table);
      shapes.set(table, shape);
      return shape;
    },
    has: (name) => names.has(name),
    objectsOf: (asked) => [...new Set(asked.map(foldName))].flatMap((name) => byTable.get(name) ?? []),
  };
}

function tablesAndIndexes({ objects }: SchemaSnapshot): readonly SchemaObject[] {
  return objects.filter(({ type }) => type === "table" || type === "index");
}

/** Why the object could not be made, if it could not. */
function create(engine: Engine, sql: string): string | undefined {
  if (/^CREATE\s+VIRTUAL\b/i.test(sql)) return "is a virtual table, which no dataset can be.";
  try {
    engine.execute(sql);
    return undefined;
  } catch (error) {
    // That is no fault of the object's: the engine is out of its allowance, or broken by a trap or the end of the stack.
    if (error instanceof EngineExhausted || error instanceof WebAssembly.RuntimeError || error instanceof RangeError)
      throw error;
    return `has a form that is not known: ${error instanceof Error ? error.message : "no reason given"}.`;
  }
}

/** The columns of each index, by folded names. One on an expression is left out. */
function indexColumns(engine: Engine): ReadonlyMap<string, readonly string[]> {
  const rows = engine.query(
    "SELECT i.name, c.name FROM sqlite_schema AS i, pragma_index_info(i.name) AS c WHERE i.type = 'index'",
  );
  const found = new Map<string, (string | null)[]>();
  for (const [index, column] of rows) {
    const name = foldName(index ?? "");
    found.set(name, [...(found.get(name) ?? []), column ?? null]);
  }
  const isNamed = (columns: readonly (string | null)[]): columns is readonly string[] => !columns.includes(null);
  return new Map(
    [...found].flatMap(([index, columns]) => (isNamed(columns) ? [[index, columns.map(foldName)] as const] : [])),
  );
}

function readShape(engine: Engine, table: string): TableShape {
  const name = `'${table.replaceAll("'", "''")}'`;
  const found = engine.query(`SELECT name, type, pk, hidden FROM pragma_table_xinfo(${name})`);
  const columns = found.map(([column, type, , hidden]) => ({
    name: foldName(column ?? ""),
    isGenerated: hidden !== "0",
    isNumeric: isNumeric(type ?? ""),
  }));
  const key = found
    .filter(([, , place]) => place !== "0")
    .toSorted(([, , one], [, , other]) => Number(one) - Number(other))
    .map(([column]) => column ?? "");
  const [[withoutRowid] = []] = engine.query(`SELECT wr FROM pragma_table_list(${name}) WHERE schema = 'main'`);
  if (withoutRowid === "1") return { columns, ownOrder: { by: key, reads: key } };
  // A row number is reported by the name of the key that stands for it, if there is one.
  const ownOrder = columns.some((one) => one.name === ROWID) ? undefined : { by: [ROWID], reads: [ROWID, ...key] };
  return { columns, ownOrder };
}

/** SQLite's rules of column affinity, as far as they tell numbers from the rest. */
function isNumeric(type: string): boolean {
  if (/INT/i.test(type)) return true;
  return type !== "" && !/CHAR|CLOB|TEXT|BLOB/i.test(type);
}

const ROWID = "rowid";

/** The copy then plans as the database does. */
function loadStatistics(engine: Engine, statistics: readonly Statistic[]): void {
  const literal = (text: string | null): string => (text === null ? "NULL" : `'${text.replaceAll("'", "''")}'`);
  engine.execute("ANALYZE");
  for (const { table, index, text } of statistics)
    engine.execute(`INSERT INTO sqlite_stat1 VALUES (${literal(table)}, ${literal(index)}, ${literal(text)})`);
  engine.execute("ANALYZE sqlite_schema");
}
