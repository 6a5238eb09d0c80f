// Reads the rows of a database's schema, and copies the tables that datasets use, without their rows, into an in-memory SQLite. A view is
// copied as a table with its columns, see view-copy.ts.
import { EngineExhausted } from "./engine/meter.ts";
import { openEngine } from "./engine/sqlite.ts";
import type { Engine } from "./engine/sqlite.ts";
import { foldName, quoteText } from "./identifier.ts";
import { listReadNames, listViewDeclarations } from "./schema-objects.ts";
import type { SchemaObject } from "./schema-objects.ts";
import { copyViews } from "./view-copy.ts";
import type { CopiedView } from "./view-copy.ts";

/** A row of `sqlite_stat1`. */
export interface Statistic {
  readonly table: string;
  readonly index: string | null;
  readonly text: string;
}

/** The schema and statistics of a database, as read at one time. */
export interface SchemaSnapshot {
  readonly objects: readonly SchemaObject[];
  readonly statistics: readonly Statistic[];
  /** Approximate number of rows by folded table name; an unknown table counts as large. */
  readonly rowCounts: ReadonlyMap<string, number>;
  /** Approximate number of different values of columns that row rules compare, by `table.column`, both folded. */
  readonly valueCounts?: ReadonlyMap<string, number>;
}

/** The order in which SQLite reads the rows of a table without an index. */
export interface StorageOrder {
  /** Columns to sort by; no two rows are equal in them. */
  readonly columns: readonly string[];
  /** Columns that sorting reads, by the names that SQLite reports to its authorizer. */
  readonly readColumns: readonly string[];
  /** Whether it is the order of rowids, which `columns` then names. */
  readonly isRowid: boolean;
}

/** The columns and storage order of a copied table. */
interface TableShape {
  readonly columns: readonly TableColumnShape[];
  /** Undefined if the order cannot be named, because a column is called rowid, and for a view. */
  readonly storageOrder: StorageOrder | undefined;
  /** The folded name of the column that is the table's rowid, an INTEGER PRIMARY KEY; undefined if there is none. */
  readonly rowidColumn: string | undefined;
}

interface TableColumnShape {
  /** The folded name. */
  readonly name: string;
  readonly isGenerated: boolean;
  /** Whether the column converts numeric text to numbers. */
  readonly isNumeric: boolean;
}

/** An empty copy of some tables of a database. */
export interface SchemaCopy {
  readonly snapshot: SchemaSnapshot;
  readonly engine: Engine;
  /** Whether the database has an object with this folded name, copied or not. */
  has(name: string): boolean;
  /** Lists the database's tables with these names and their indexes, and the views, copied or not. */
  listObjects(tables: readonly string[]): readonly SchemaObject[];
  /** Returns the approximate rows of the table or copied view with this folded name; undefined if unknown. */
  getRowCount(table: string): number | undefined;
  /** Returns what is known of the copied database view with this name; undefined for a table. */
  getDatabaseView(name: string): CopiedView | undefined;
  /** Lists the folded column names of an index; undefined if there is no such index, or if it indexes an expression. */
  listIndexColumns(name: string): readonly string[] | undefined;
  /** Describes the copied table with this name. */
  getTableShape(table: string): TableShape;
  /** Objects that could not be copied, and why. Gatehouse does not support their form. */
  readonly uncopiedObjects: readonly { readonly table: string; readonly name: string; readonly reason: string }[];
}

/** Copies the tables with these names and their indexes, without rows, into an empty engine. */
export function copySchema(
  snapshot: SchemaSnapshot,
  tables: readonly string[],
  engine: Engine = openEngine(),
): SchemaCopy {
  const wanted = new Set(tables.map(foldName));
  const allDeclarations = listViewDeclarations(snapshot.objects);
  const read = listReadNames(wanted, allDeclarations);
  const declarations = new Map([...allDeclarations].filter(([name]) => read.has(name)));
  const copiedObjects = snapshot.objects.filter(({ type, table }) => type !== "view" && read.has(foldName(table)));
  const uncopiedTables = ["table", "index"].flatMap((type) =>
    copiedObjects.flatMap((object) => {
      const reason = object.type === type && object.sql !== null ? createObject(engine, object.sql) : undefined;
      return reason === undefined ? [] : [{ table: object.table, name: object.name, reason }];
    }),
  );
  if (snapshot.statistics.length > 0) loadStatistics(engine, snapshot.statistics);
  const { views, uncopiedViews } = copyViews(engine, snapshot, wanted, declarations);
  // What only a view reads is no dataset: if it was not copied, the view was not either.
  const uncopiedObjects = [...uncopiedTables.filter(({ table }) => wanted.has(foldName(table))), ...uncopiedViews];
  const indexes = readIndexColumns(engine);
  const names = new Set(snapshot.objects.map(({ name }) => foldName(name)));
  const shapes = new Map<string, TableShape>();
  const objectsByTable = Map.groupBy(listCopyable(snapshot), ({ table }) => foldName(table));
  return {
    snapshot,
    engine,
    uncopiedObjects,
    getDatabaseView: (name) => views.get(foldName(name)),
    getRowCount(table) {
      const view = views.get(table);
      return view === undefined ? snapshot.rowCounts.get(table) : 2 ** view.rowsLog2;
    },
    listIndexColumns: (name) => indexes.get(foldName(name)),
    getTableShape(table) {
      const shape = shapes.get(table) ?? readTableShape(engine, table, views.has(foldName(table)));
      shapes.set(table, shape);
      return shape;
    },
    has: (name) => names.has(name),
    listObjects: (requestedTables) =>
      [...new Set(requestedTables.map(foldName))].flatMap((name) => objectsByTable.get(name) ?? []),
  };
}

function listCopyable({ objects }: SchemaSnapshot): readonly SchemaObject[] {
  return objects.filter(({ type }) => type === "table" || type === "index" || type === "view");
}

/** Creates an object; returns the reason if that fails. */
function createObject(engine: Engine, sql: string): string | undefined {
  if (/^CREATE\s+VIRTUAL\b/i.test(sql)) return "is a virtual table, which no dataset can be.";
  try {
    engine.execute(sql);
    return undefined;
  } catch (error) {
    // The object is not at fault: the engine exceeded its allowance, or a trap or stack overflow broke it.
    if (error instanceof EngineExhausted || error instanceof WebAssembly.RuntimeError || error instanceof RangeError)
      throw error;
    return `has an unsupported form: ${error instanceof Error ? error.message : "no reason given"}.`;
  }
}

/** Reads the folded column names of each index, by its folded name. Indexes on expressions are left out. */
function readIndexColumns(engine: Engine): ReadonlyMap<string, readonly string[]> {
  const rows = engine.query(
    "SELECT i.name, c.name FROM sqlite_schema AS i, pragma_index_info(i.name) AS c WHERE i.type = 'index'",
  );
  const columnsByIndex = new Map<string, (string | null)[]>();
  for (const [index, column] of rows) {
    const name = foldName(index ?? "");
    columnsByIndex.set(name, [...(columnsByIndex.get(name) ?? []), column ?? null]);
  }
  const areNamed = (columns: readonly (string | null)[]): columns is readonly string[] => !columns.includes(null);
  return new Map(
    [...columnsByIndex].flatMap(([index, columns]) =>
      areNamed(columns) ? [[index, columns.map(foldName)] as const] : [],
    ),
  );
}

function readTableShape(engine: Engine, table: string, isView: boolean): TableShape {
  const name = quoteText(table);
  const columnRows = engine.query(`SELECT name, type, pk, hidden FROM pragma_table_xinfo(${name})`);
  const columns = columnRows.map(([column, type, , hidden]) => ({
    name: foldName(column ?? ""),
    isGenerated: hidden !== "0",
    isNumeric: hasNumericAffinity(type ?? ""),
  }));
  if (isView) return { columns, storageOrder: undefined, rowidColumn: undefined };
  const primaryKey = columnRows
    .filter(([, , position]) => position !== "0")
    .toSorted(([, , left], [, , right]) => Number(left) - Number(right))
    .map(([column]) => column ?? "");
  const [[withoutRowid] = []] = engine.query(`SELECT wr FROM pragma_table_list(${name}) WHERE schema = 'main'`);
  if (withoutRowid === "1")
    return {
      columns,
      storageOrder: { columns: primaryKey, readColumns: primaryKey, isRowid: false },
      rowidColumn: undefined,
    };
  // SQLite reports the rowid by the name of the INTEGER PRIMARY KEY column, if there is one.
  const storageOrder = columns.some((column) => column.name === ROWID)
    ? undefined
    : { columns: [ROWID], readColumns: [ROWID, ...primaryKey], isRowid: true };
  return { columns, storageOrder, rowidColumn: findRowidColumn(engine, name, columnRows) };
}

/** SQLite keeps an index for every other primary key, also for `INTEGER PRIMARY KEY DESC`, whose column is not the rowid. */
function findRowidColumn(
  engine: Engine,
  quotedTable: string,
  columnRows: readonly (readonly (string | null)[])[],
): string | undefined {
  const keyColumns = columnRows.filter(([, , position]) => position !== "0");
  const [[name, type] = []] = keyColumns;
  if (keyColumns.length !== 1 || typeof name !== "string" || foldName(type ?? "") !== "integer") return undefined;
  const keyIndexes = engine.query(`SELECT 1 FROM pragma_index_list(${quotedTable}) WHERE origin = 'pk'`);
  return keyIndexes.length === 0 ? foldName(name) : undefined;
}

/** Applies SQLite's rules of column affinity, as far as they distinguish numbers from everything else. */
function hasNumericAffinity(type: string): boolean {
  if (/INT/i.test(type)) return true;
  return type !== "" && !/CHAR|CLOB|TEXT|BLOB/i.test(type);
}

const ROWID = "rowid";

/** Loads statistics, so that the copy plans as the database does. */
function loadStatistics(engine: Engine, statistics: readonly Statistic[]): void {
  const quoteLiteral = (text: string | null): string => (text === null ? "NULL" : quoteText(text));
  engine.execute("ANALYZE");
  for (const { table, index, text } of statistics)
    engine.execute(
      `INSERT INTO sqlite_stat1 VALUES (${quoteLiteral(table)}, ${quoteLiteral(index)}, ${quoteLiteral(text)})`,
    );
  engine.execute("ANALYZE sqlite_schema");
}
