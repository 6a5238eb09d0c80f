// Runs ANALYZE on tables of a D1 database that need it, as part of the upkeep. The cost is bounded, because the rows that ANALYZE reads
// are billed. It writes nothing but SQLite's table `sqlite_stat1`.
import { foldName, quoteIdentifier } from "../sql/identifier.ts";
import { estimateRowCounts, listAnalyzedCounts, listCountableTables, readStatistics } from "./row-counts.ts";
import type { CountableTable } from "./row-counts.ts";
import type { Statistic } from "../sql/schema-copy.ts";

/** What is stored of the last analysis of a source. */
export interface StatisticsState {
  /** The estimated row counts, by folded table name, with which tables were last analyzed. */
  readonly rowCounts: ReadonlyMap<string, number>;
  /** Stores that an analysis begins now. No other begins within a day, even if this one is killed. */
  begin(nowMs: number): Promise<void>;
  record(rowCounts: ReadonlyMap<string, number>): Promise<void>;
}

/** What an analysis needs. */
interface AnalysisOptions {
  readonly database: D1Database;
  /** The names of the tables that queries may read. */
  readonly tables: readonly string[];
  readonly state: StatisticsState;
  /** Maximum rows that `ANALYZE` may read in this run. */
  readonly maxAnalyzedRows: number;
  /** Returns milliseconds since the epoch. */
  readonly now: () => number;
}

/** The factor by which a table grows or shrinks before it is analyzed again. */
const CHANGE_FACTOR = 2;

/**
 * Analyzes a limited part of every table of the database whose row count has changed tenfold or that has an index without statistics.
 * The number is a set of flags: 0x02 analyzes, 0x10 limits the rows, 0x10000 includes tables that this connection has not read.
 */
const ANALYZE_SAMPLES_SQL = "PRAGMA optimize(0x10012)";

/** Whether some of these tables has rows but no statistics, for example after its first load. Reads one row per table. */
export async function hasUnanalyzedTable(database: D1Database, tables: readonly string[]): Promise<boolean> {
  const analyzedCounts = listAnalyzedCounts(await readStatistics(database));
  const missing = (await listCountableTables(database, tables)).filter(
    ({ name }) => !analyzedCounts.has(foldName(name)),
  );
  if (missing.length === 0) return false;
  const results = await database.batch(
    missing.map(({ name }) => database.prepare(`SELECT 1 FROM main.${quoteIdentifier(name)} LIMIT 1`)),
  );
  return results.some(({ results: rows }) => rows.length > 0);
}

/**
 * Analyzes the tables that were never analyzed, or that have grown or shrunk a lot since. A table that is too large for the limit is
 * sampled; what the other tables leave no room for is done by a later run. Each finished table is recorded at once.
 */
export async function analyzeTables({ database, tables, state, maxAnalyzedRows, now }: AnalysisOptions): Promise<void> {
  const due = await listDueTables(database, tables, state.rowCounts);
  if (due.length === 0) return;
  await state.begin(now());
  const recordedCounts = new Map(state.rowCounts);
  const record = async (analyzed: readonly DueTable[]): Promise<void> => {
    for (const { name, rows } of analyzed) recordedCounts.set(foldName(name), rows);
    await state.record(recordedCounts);
  };
  let remainingRows = maxAnalyzedRows;
  for (const table of due.filter(({ readRows }) => readRows <= maxAnalyzedRows)) {
    if (table.readRows > remainingRows) break;
    const { meta } = await database.prepare(`ANALYZE main.${quoteIdentifier(table.name)}`).run();
    remainingRows -= Math.max(meta.rows_read, table.readRows);
    await record([table]);
  }
  const largeTables = due.filter(({ readRows }) => readRows > maxAnalyzedRows);
  if (largeTables.length === 0) return;
  const earlierRows = listStatisticRows(await readStatistics(database));
  await database.prepare(ANALYZE_SAMPLES_SQL).run();
  const laterRows = listStatisticRows(await readStatistics(database));
  // SQLite leaves out tables that have not changed tenfold. They stay due, and once they have, a later run samples them.
  await record(largeTables.filter(({ name }) => laterRows.get(foldName(name)) !== earlierRows.get(foldName(name))));
}

/** Lists the rows of `sqlite_stat1` as text, by folded table name. */
function listStatisticRows(statistics: readonly Statistic[]): ReadonlyMap<string, string> {
  const rows = new Map<string, string>();
  for (const { table, index, text } of statistics) {
    const name = foldName(table);
    rows.set(name, `${rows.get(name) ?? ""}${JSON.stringify([index, text])}`);
  }
  return rows;
}

interface DueTable {
  readonly name: string;
  readonly rows: number;
  /** The rows that `ANALYZE` will read. */
  readonly readRows: number;
}

/** Lists the tables to analyse, those first that cost the least. */
async function listDueTables(
  database: D1Database,
  tables: readonly string[],
  recordedCounts: ReadonlyMap<string, number>,
): Promise<readonly DueTable[]> {
  const countableTables = await listCountableTables(database, tables);
  const analyzedCounts = listAnalyzedCounts(await readStatistics(database));
  // Estimates without statistics, so that stale ones do not hide that a table has changed.
  const rowCounts = await estimateRowCounts(database, tables, []);
  return countableTables
    .map((table) => toDueTable(table, rowCounts.get(foldName(table.name)) ?? 0))
    .filter(({ name, rows }) => {
      const recorded = recordedCounts.get(foldName(name));
      if (rows === 0) return false;
      return recorded === undefined || !analyzedCounts.has(foldName(name)) || hasChanged(recorded, rows);
    })
    .toSorted((left, right) => left.readRows - right.readRows);
}

/** `ANALYZE` counts the entries of each index, and then reads them. */
function toDueTable({ name, indexes }: CountableTable, rows: number): DueTable {
  return { name, rows, readRows: 2 * rows * Math.max(1, indexes) };
}

function hasChanged(recorded: number, rows: number): boolean {
  return rows >= recorded * CHANGE_FACTOR || rows * CHANGE_FACTOR <= recorded;
}
