// Estimates how many different values the columns have that row rules compare. A rule on a column with few values shows many rows, so its
// index is a poor way to find those of a query.
import { foldName, quoteIdentifier } from "../sql/identifier.ts";
import { roundRowCount, roundValueCount } from "../sql/row-count-class.ts";
import type { Statistic } from "../sql/schema-copy.ts";

/** Values counted in each column: a column with more is selective anyway. Each costs one lookup, and each row read is billed. */
const MAX_COUNTED = 256;
/** Columns counted in one statement. A D1 result has at most 100 columns. */
const COLUMNS_PER_STATEMENT = 50;
/** How many rows share a value if a column has more than `MAX_COUNTED`, as SQLite assumes. */
const ROWS_PER_VALUE = 10;

/** A table in which some rule hides rows, and the columns that these rules compare. A column can occur twice. */
export interface RowRestrictedTable {
  readonly table: string;
  readonly columns: readonly string[];
}

interface IndexedColumn {
  readonly table: string;
  readonly index: string;
  readonly column: string;
}

/**
 * Counts the values of those of these tables' rule columns that are the first column of an index, by `table.column` (folded names). Takes
 * them from the statistics (those of the database, not rounded) where there are any. Counts are rounded to powers of four, because plans
 * depend on them.
 */
export async function countValues(
  database: D1Database,
  tables: readonly RowRestrictedTable[],
  statistics: readonly Statistic[],
  rowCounts: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, number>> {
  const ruleColumns = new Set(tables.flatMap(({ table, columns }) => columns.map((column) => buildKey(table, column))));
  if (ruleColumns.size === 0) return new Map();
  const indexedColumns = (await listIndexedColumns(database)).filter(({ table, column }) =>
    ruleColumns.has(buildKey(table, column)),
  );
  const analyzed = new Map(statistics.flatMap(({ index, text }) => (index === null ? [] : [[index, text] as const])));
  const counts = new Map<string, number>();
  const setCount = ({ table, column }: IndexedColumn, values: number): void => {
    const key = buildKey(table, column);
    counts.set(key, Math.max(counts.get(key) ?? 1, roundValueCount(values)));
  };
  const uncounted: IndexedColumn[] = [];
  for (const indexed of indexedColumns) {
    const [rows, rowsPerValue] = (analyzed.get(indexed.index) ?? "").split(" ").map(Number);
    if (rows === undefined || rowsPerValue === undefined || !(rowsPerValue > 0)) uncounted.push(indexed);
    else setCount(indexed, rows / rowsPerValue);
  }
  for (let start = 0; start < uncounted.length; start += COLUMNS_PER_STATEMENT) {
    const batch = uncounted.slice(start, start + COLUMNS_PER_STATEMENT);
    const terms = batch.map((indexed, number) => `(${buildCountSql(indexed)}) AS c${number}`);
    const row = await database.prepare(`SELECT ${terms.join(", ")}`).first<Readonly<Record<string, unknown>>>();
    for (const [number, indexed] of batch.entries()) {
      const values = Number(row?.[`c${number}`] ?? 1);
      const rows = rowCounts.get(foldName(indexed.table)) ?? 0;
      setCount(indexed, values < MAX_COUNTED ? values : Math.max(values, roundRowCount(rows) / ROWS_PER_VALUE));
    }
  }
  return counts;
}

const buildKey = (table: string, column: string): string => `${foldName(table)}.${foldName(column)}`;

/** Lists the first column of each index. A partial index or one on an expression says nothing of a whole column. */
async function listIndexedColumns(database: D1Database): Promise<readonly IndexedColumn[]> {
  const { results } = await database
    .prepare(
      `SELECT s.tbl_name AS "table", s.name AS "index", c.name AS "column"
       FROM sqlite_schema AS s, pragma_index_list(s.tbl_name) AS l, pragma_index_info(s.name) AS c
       WHERE s.type = 'index' AND l.name = s.name AND l.partial = 0 AND c.seqno = 0 AND c.name IS NOT NULL`,
    )
    .all<{ table: string; index: string; column: string }>();
  return results;
}

/** Counts values by one lookup for each: the least value that is greater than the one before. */
function buildCountSql({ table, column }: IndexedColumn): string {
  const [from, name] = [`main.${quoteIdentifier(table)}`, quoteIdentifier(column)];
  return [
    `WITH RECURSIVE v(x, n) AS (SELECT (SELECT min(${name}) FROM ${from}), 1 UNION ALL`,
    `SELECT (SELECT min(${name}) FROM ${from} WHERE ${name} > x), n + 1 FROM v WHERE x IS NOT NULL AND n < ${MAX_COUNTED})`,
    "SELECT count(x) FROM v",
  ].join(" ");
}
