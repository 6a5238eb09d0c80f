// Finds out, without running a statement, where the columns of its result come from: their origin, and the type affinity and collation
// with which SQLite compares them. Layers decide nothing by it; answers and stored results use it.
import { QUERY_WORDS, SET_OPERATORS, isOperator, isWord } from "./clauses.ts";
import { foldName, quoteIdentifier } from "./identifier.ts";
import { findComparisons } from "./column-comparisons.ts";
import type { Comparison } from "./column-comparisons.ts";
import type { SchemaCopy } from "./schema-copy.ts";
import type { Statement } from "./statement.ts";
import type { ColumnOrigin, StatementReads } from "./statement-reads.ts";
import { toSql } from "./statement-guard.ts";
import type { GuardView, GuardedQuery } from "./statement-guard.ts";

/** One column of a result. */
export interface ColumnShape extends Comparison {
  /** The column whose values these are, masked or not; null for a computed column, and where SQLite cannot tell. */
  readonly origin: ColumnOrigin | null;
}

/** How SQLite compares the columns of a table, by their folded names. */
export type TableComparisons = ReadonlyMap<string, Comparison>;

/** What a statement reads, and the columns of its result. */
export interface ResultShape {
  /** The columns that the statement uses of each table that it reads, both as declared. A table whose rows it only counts has none. */
  readonly reads: ReadonlyMap<string, ReadonlySet<string>>;
  readonly columns: readonly ColumnShape[];
}

const PLAIN_COLUMN: ColumnShape = { origin: null, affinity: "NONE", collation: "BINARY" };

/** Takes a statement to read every column of every view that its text names, which is never too little. */
export function assumeShape(usedViews: readonly GuardView[], columnCount: number): ResultShape {
  return {
    reads: new Map(usedViews.map(({ name, columns }) => [name, new Set(columns)])),
    columns: Array.from({ length: columnCount }, () => PLAIN_COLUMN),
  };
}

/** Finds how SQLite compares the columns of a copied table, the same in all statements that show them as stored. */
export function findTableComparisons(copy: SchemaCopy, table: string): TableComparisons {
  const columns = copy.getTableShape(table).columns.map(({ name }) => name);
  const view = copy.getDatabaseView(table);
  if (view !== undefined)
    return new Map(columns.map((column, index) => [column, view.comparisons[index] ?? PLAIN_COLUMN]));
  const names = columns.map(quoteIdentifier).join(", ");
  const comparisons = findComparisons(
    copy.engine,
    `SELECT ${names} FROM main.${quoteIdentifier(table)} LIMIT 1`,
    columns.length,
  );
  return new Map(columns.map((column, index) => [column, comparisons[index] ?? PLAIN_COLUMN]));
}

/**
 * Finds the shape of a statement that layer 3 has allowed. `columnCount` is the number of its result columns. `getTableComparisons` returns
 * what `findTableComparisons` found.
 */
export function findShape(
  copy: SchemaCopy,
  statement: Statement,
  query: GuardedQuery,
  reads: StatementReads | undefined,
  columnCount: number,
  getTableComparisons: (table: string) => TableComparisons,
): ResultShape {
  const assumed = assumeShape(query.usedViews, columnCount);
  // If SQLite took the statement otherwise over views than over CTEs, its answer would mean nothing.
  if (reads === undefined || reads.origins.length !== columnCount) return assumed;
  const isCompound = statement.tokens.some((token) => isWord(token, ...COMPOUND_WORDS));
  const origins = reads.origins.map((origin) => (isCompound ? null : origin));
  // Compiling the statement once more tells how its columns compare, but a column that is shown as stored compares as in its table.
  const storedColumns = hasValueQuery(statement)
    ? []
    : origins.flatMap((origin) => findStoredColumn(origin, query.usedViews, getTableComparisons) ?? []);
  const comparisons =
    storedColumns.length === columnCount ? storedColumns : findComparisons(copy.engine, toSql(query), columnCount);
  return {
    reads: reads.tables,
    columns: origins.map((origin, index) => ({ ...PLAIN_COLUMN, ...comparisons[index], origin })),
  };
}

/** Finds how a column compares that its view shows as stored; undefined for any other column. */
function findStoredColumn(
  origin: ColumnOrigin | null,
  usedViews: readonly GuardView[],
  getTableComparisons: (table: string) => TableComparisons,
): Comparison | undefined {
  const view = usedViews.find(({ name }) => name === origin?.table);
  if (origin === null || view?.clearColumns.includes(origin.column) !== true) return undefined;
  return getTableComparisons(view.name).get(foldName(origin.column));
}

/** Whether a subquery may be a value. SQLite names the column that it shows, but compares the value without the column's collation. */
function hasValueQuery({ tokens }: Statement): boolean {
  return tokens.some(
    (token, index) =>
      isWord(token, ...QUERY_WORDS) &&
      isOperator(tokens[index - 1], "(") &&
      !isWord(tokens[index - 2], "from", "join", "as", "materialized", "in", "exists"),
  );
}

/** Words of queries whose rows come from several SELECTs: SQLite names the origin of one of them. */
const COMPOUND_WORDS = [...SET_OPERATORS, "values"];
