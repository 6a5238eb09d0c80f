// Gathers what the estimates of plans need to know about a read: the sizes of its tables, what row rules hide, and the text of the
// statement.
import type { CostOptions } from "../sql/plan-cost.ts";
import { outlineQueries } from "../sql/query-outline.ts";
import { createRowBounds } from "../sql/row-bounds.ts";
import { foldName } from "../sql/identifier.ts";
import { UNKNOWN_ROWS, toClassLog2 } from "../sql/row-count-class.ts";
import type { SchemaCopy } from "../sql/schema-copy.ts";
import { listUsedViews, nameKeyColumn } from "../sql/statement-guard.ts";
import type { GuardView } from "../sql/statement-guard.ts";
import { listTableFunctions } from "../sql/statement.ts";
import type { CountValuesLog2 } from "../sql/value-counts.ts";
import type { WorkOptions } from "../sql/work-estimate.ts";
import { findCostliestFrame } from "../sql/window-frames.ts";
import type { StatementText } from "../sql/plan-sources.ts";
import type { ReadRequest } from "./read-pipeline.ts";

const NO_COLUMNS: ReadonlySet<string> = new Set();

/** What the two estimates of a plan need to know. */
interface EstimateOptions {
  readonly work: WorkOptions;
  readonly cost: CostOptions;
}

/** Builds the options of the estimates for one read. They are the same for every form of its views. */
export function buildEstimateOptions(copy: SchemaCopy, request: ReadRequest): EstimateOptions {
  const { statement, values, views, maxReadRows } = request;
  const { statistics, valueCounts } = copy.snapshot;
  const usedViews = listUsedViews(statement, views);
  const restricted = new Map(
    usedViews
      .filter(({ isRowRestricted }) => isRowRestricted)
      .map((view) => {
        const table = foldName(view.name);
        const shownShare = view.estimateShownShare((column) => valueCounts?.get(`${table}.${foldName(column)}`));
        return [table, { ruleColumns: new Set(view.ruleColumns.map(foldName)), shownShare }] as const;
      }),
  );
  const analyzedTables = new Set(statistics.map(({ table }) => foldName(table)));
  // A table without indexes has statistics of its number of rows only.
  const analyzedIndexes = new Set(statistics.flatMap(({ table, index }) => (index === null ? [] : [foldName(table)])));
  let text: StatementText | undefined;
  const readText = (): StatementText => {
    if (text !== undefined) return text;
    const outline = outlineQueries(statement.tokens);
    text = { outline, bounds: createRowBounds(outline, values, createColumnCounter(copy, usedViews, views)) };
    return text;
  };
  const shared = {
    listRuleColumns: (table: string) => restricted.get(table)?.ruleColumns ?? NO_COLUMNS,
    keyColumn: foldName(nameKeyColumn(request.nonce)),
    readText,
  };
  return {
    work: {
      ...shared,
      getRowCount: (table) => copy.getRowCount(table),
      hasStatistics: (table) => analyzedIndexes.has(table),
      usesSizeClass: (table) => (table === undefined ? restricted.size > 0 : restricted.has(table)),
      frame: findCostliestFrame(statement, values),
      maxElements: countMaxElements(request),
      getViewStepsLog2: (name) => copy.getDatabaseView(name)?.stepsLog2,
    },
    cost: {
      ...shared,
      // A form that depended on the exact number of rows would reveal by its duration how many a row rule hides.
      getRowCount(table) {
        const rows = copy.getRowCount(table);
        return rows !== undefined && restricted.has(table) ? 2 ** toClassLog2(Math.log2(Math.max(1, rows))) : rows;
      },
      hasStatistics: (table) => analyzedTables.has(table),
      getShownShare: (table) => restricted.get(table)?.shownShare ?? 1,
      maxReadRows: maxReadRows + 1,
    },
  };
}

/** A JSON array has at most one element per two characters. An array that is stored in a row is assumed to be small. */
function countMaxElements({ statement, values }: ReadRequest): number {
  const valueCharacters = values.reduce<number>(
    (sum, value) => sum + (typeof value === "string" ? value.length : 0),
    0,
  );
  return Math.max(100, (statement.text.length + valueCharacters) / 2);
}

/**
 * Whether the estimate depends on the bound values: through a table-valued function, a LIMIT or the size of a window frame. The key of the
 * plan cache does not include the values.
 */
export function valuesAffectEstimate({ statement, values }: ReadRequest): boolean {
  return (
    listTableFunctions(statement).length > 0 ||
    (values.length > 0 && (statement.names.has("limit") || findCostliestFrame(statement, values) !== undefined))
  );
}

/**
 * Lists the tables that the columns of a statement may point at, by their names. The estimate depends on which of them the user may read,
 * also where the statement does not read them.
 */
export function listReferencedTables({
  statement,
  views,
}: Pick<ReadRequest, "statement" | "views">): readonly string[] {
  const tables = new Set(views.map(({ name }) => foldName(name)));
  return [...statement.names.keys()].flatMap((name) => findReferencedTable(name, tables) ?? []);
}

/** Finds the table that a column points at; undefined if it is none of these. */
function findReferencedTable(column: string, tables: ReadonlySet<string>): string | undefined {
  const referenced = REFERENCE_NAME.exec(column)?.[1];
  return referenced === undefined ? undefined : listPlurals(foldName(referenced)).find((plural) => tables.has(plural));
}

/** Names of columns that usually differ from row to row: keys, addresses, and times. */
const DISTINCT_NAME = /(?:^|_)(?:id|uuid|guid|email|phone|at|time|timestamp)$|[a-z](?:Uuid|Email|Phone|At|Time)$/i;
/** Names of columns that point at rows of another table, which they name. */
const REFERENCE_NAME = /^(\w+?)_?(?:id|key)$/i;
/** log2 of the rows that point at one row of another table, as SQLite guesses them. */
const ROWS_PER_REFERENCE_LOG2 = Math.log2(10);

/**
 * Creates the function that says how many values a column has. It knows the columns that the user sees as stored. The statistics of any
 * other column would reveal how many values a mask hides.
 */
function createColumnCounter(
  copy: SchemaCopy,
  usedViews: readonly GuardView[],
  views: readonly GuardView[],
): CountValuesLog2 {
  const readableTables = new Set(views.map(({ name }) => foldName(name)));
  const viewByName = new Map(usedViews.map((view) => [foldName(view.name), view]));
  const indexedColumns = new Map<string, readonly IndexedColumn[]>();
  const countRowsLog2 = (table: string): number => {
    const rowsLog2 = Math.log2(Math.max(1, copy.getRowCount(table) ?? UNKNOWN_ROWS));
    return viewByName.get(table)?.isRowRestricted === false ? rowsLog2 : toClassLog2(rowsLog2);
  };
  const findIndexed = (table: string, column: string): IndexedColumn | undefined => {
    const indexes = indexedColumns.get(table) ?? listIndexedColumns(copy, table);
    indexedColumns.set(table, indexes);
    return indexes.find((candidate) => candidate.column === column);
  };
  return (table, column) => {
    const view = viewByName.get(table);
    const name = view?.columns.find((candidate) => foldName(candidate) === column);
    if (view === undefined || name === undefined) return "no such column";
    const rowsLog2 = countRowsLog2(table);
    if (foldName(view.key ?? "") === column) return rowsLog2;
    const index = view.clearColumns.includes(name) ? findIndexed(table, column) : undefined;
    if (index !== undefined) return Math.min(rowsLog2, index.valuesLog2);
    if (REFERENCE_NAME.test(name)) {
      const target = findReferencedTable(name, readableTables);
      const targetLog2 = target === undefined ? Number.POSITIVE_INFINITY : countRowsLog2(target);
      return Math.min(Math.max(0, rowsLog2 - ROWS_PER_REFERENCE_LOG2), targetLog2);
    }
    return DISTINCT_NAME.test(name) ? rowsLog2 : "unknown";
  };
}

/** Lists the names that a table of these things may have. */
function listPlurals(name: string): readonly string[] {
  return [name, `${name}s`, `${name}es`, name.replace(/y$/, "ies")];
}

/** The first column of an index, and log2 of its values by statistics. */
interface IndexedColumn {
  readonly column: string;
  readonly valuesLog2: number;
}

function listIndexedColumns(copy: SchemaCopy, table: string): readonly IndexedColumn[] {
  return copy.snapshot.statistics.flatMap((statistic) => {
    const [rows = 0, rowsPerValue] = statistic.text.split(" ").map(Number);
    const column =
      foldName(statistic.table) === table && statistic.index !== null
        ? copy.listIndexColumns(statistic.index)?.[0]
        : undefined;
    if (column === undefined || rowsPerValue === undefined || !(rowsPerValue > 0)) return [];
    return [{ column, valuesLog2: Math.log2(Math.max(1, rows / rowsPerValue)) }];
  });
}
