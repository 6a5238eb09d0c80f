// Estimates how many rows each table of a D1 database has. The planner needs this for the work limit. Rows read are billed, so nothing
// here counts a whole table: the cost per table has a bound, whatever its size.
import { foldName, quoteIdentifier } from "../sql/identifier.ts";
import type { Statistic } from "../sql/schema-copy.ts";

/** Maximum rows that estimating reads from one table. An estimate from plausible ids or from fresh statistics reads only a few. */
export const MAX_ROWS_READ_PER_TABLE = 15_000;

/** Rows up to which a table without statistics is counted exactly. */
const COUNTED_ROWS = 10_000;
/** Rows up to which a table whose statistics are in doubt is counted exactly. Such a look repeats whenever the schema is read. */
const RECOUNTED_ROWS = 1000;
/** Rows with the highest ids that are set aside before the ids between are sampled: a few outliers would look like a large range. */
const SET_ASIDE_ROWS = 1000;
/** Rows read at each sample. There are at most 126 samples, because the distance between two of them halves 63 times on each side. */
const SAMPLED_ROWS = 20;
/** By what factor ids or samples must exceed the statistics before these count as stale. */
const STALE_RANGE_FACTOR = 4;
const STALE_SAMPLE_FACTOR = 8;
/** The bytes of the smallest row that is realistic. The size of the database divided by it bounds every estimate. */
const MIN_ROW_BYTES = 16;
/** The count of a large table that has neither usable ids nor statistics: SQLite's own guess. */
const UNKNOWN_ROWS = 1_048_576;
/** Tables in one statement. A D1 result has at most 100 columns. */
const TABLES_PER_STATEMENT = 50;

/** An existing table, and what is known of its rows. */
export interface CountableTable {
  readonly name: string;
  /** How SQL names the rowid; undefined if the table has none, or if columns have taken each of its names. */
  readonly rowidName: string | undefined;
  readonly indexes: number;
}

interface RowRange {
  readonly table: CountableTable;
  /** The highest rowid minus the lowest, plus one; 0 for an empty table, undefined for a table without rowid. */
  readonly range: number | undefined;
  /** The count by the last `ANALYZE`. */
  readonly analyzed: number | undefined;
  /** The most rows for which the database has room. */
  readonly maxRows: number;
}

/** Reads `sqlite_stat1`; empty when `ANALYZE` never ran. */
export async function readStatistics(database: D1Database): Promise<readonly Statistic[]> {
  const { results: tables } = await database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'sqlite_stat1'")
    .all();
  if (tables.length === 0) return [];
  const { results } = await database
    .prepare("SELECT tbl, idx, stat FROM sqlite_stat1")
    .all<Readonly<Record<string, unknown>>>();
  return results.map(({ tbl, idx, stat }) => ({
    table: String(tbl),
    index: typeof idx === "string" ? idx : null,
    text: String(stat),
  }));
}

/** Returns the row counts of the last `ANALYZE` by folded name. A partial index has fewer rows than its table, so the most counts. */
export function listAnalyzedCounts(statistics: readonly Statistic[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { table, text } of statistics) {
    const [rows] = /^[0-9]+/.exec(text) ?? [];
    if (rows !== undefined) counts.set(foldName(table), Math.max(counts.get(foldName(table)) ?? 0, Number(rows)));
  }
  return counts;
}

/**
 * Estimates row counts, by folded name, of those of these tables that exist. The count of `ANALYZE` is used unless the ids show that it
 * is stale. Without it, ids without large gaps give the count. Otherwise a bounded number of rows is read. Pass no statistics to get an
 * estimate that does not depend on the last `ANALYZE`.
 */
export async function estimateRowCounts(
  database: D1Database,
  tables: readonly string[],
  statistics: readonly Statistic[],
): Promise<ReadonlyMap<string, number>> {
  const countableTables = await listCountableTables(database, tables);
  const ranges = await readRanges(database, countableTables, listAnalyzedCounts(statistics));
  const decided = ranges.map((range) => [range, decideCount(range)] as const);
  const doubtful = decided.flatMap(([range, count]) => (count === undefined ? [range] : []));
  const looks = await lookAtRows(database, doubtful);
  return new Map(
    decided.map(([range, count]) => [foldName(range.table.name), count ?? judgeLook(range, looks.get(range))]),
  );
}

/** Lists those of these tables that exist. Views and virtual tables are left out: they have no rows of their own. */
export async function listCountableTables(
  database: D1Database,
  tables: readonly string[],
): Promise<readonly CountableTable[]> {
  const { results } = await database
    .prepare(
      `SELECT l.name AS name, l.wr AS isWithoutRowid,
          (SELECT group_concat(lower(x.name)) FROM pragma_table_xinfo(l.name) AS x
            WHERE lower(x.name) IN ('rowid', '_rowid_', 'oid')) AS takenNames,
          (SELECT count(*) FROM pragma_index_list(l.name)) AS indexes
        FROM pragma_table_list AS l
        WHERE l.schema = 'main' AND l.type = 'table' AND lower(l.name) IN (SELECT value FROM json_each(?1))`,
    )
    .bind(JSON.stringify(tables.map(foldName)))
    .all<Readonly<Record<string, unknown>>>();
  return results.map(({ name, isWithoutRowid, takenNames, indexes }) => {
    const taken = typeof takenNames === "string" ? takenNames.split(",") : [];
    const rowidName = ["rowid", "_rowid_", "oid"].find((candidate) => !taken.includes(candidate));
    return { name: String(name), rowidName: isWithoutRowid === 0 ? rowidName : undefined, indexes: Number(indexes) };
  });
}

/** Reads the lowest and the highest rowid of each table, which costs two rows per table. */
async function readRanges(
  database: D1Database,
  tables: readonly CountableTable[],
  analyzedCounts: ReadonlyMap<string, number>,
): Promise<readonly RowRange[]> {
  const ranges: RowRange[] = [];
  for (let start = 0; start < tables.length; start += TABLES_PER_STATEMENT) {
    const batch = tables.slice(start, start + TABLES_PER_STATEMENT);
    const columns = batch.map((table, index) => `${buildRangeSql(table)} AS r${index}`);
    const { results, meta } = await database
      .prepare(`SELECT ${columns.join(", ")}`)
      .all<Readonly<Record<string, unknown>>>();
    const bytes = meta.size_after;
    const maxRows = bytes > 0 ? Math.ceil(bytes / MIN_ROW_BYTES) : Number.MAX_SAFE_INTEGER;
    for (const [index, table] of batch.entries()) {
      const analyzed = analyzedCounts.get(foldName(table.name));
      const range = table.rowidName === undefined ? undefined : Number(results[0]?.[`r${index}`] ?? 0);
      ranges.push({ table, range, analyzed, maxRows });
    }
  }
  return ranges;
}

/** The difference of two integers beyond 64 bits becomes a real number in SQLite. */
function buildRangeSql({ name, rowidName }: CountableTable): string {
  if (rowidName === undefined) return "NULL";
  const from = `FROM main.${quoteIdentifier(name)}`;
  return `(SELECT max(${rowidName}) ${from}) - (SELECT min(${rowidName}) ${from}) + 1`;
}

/** Returns the count where nothing more need be read. */
function decideCount({ range, analyzed }: RowRange): number | undefined {
  // Counting a small table costs no more than its rows, so only a large count is trusted without ids to compare it with.
  if (range === undefined) return analyzed !== undefined && analyzed > COUNTED_ROWS ? analyzed : undefined;
  if (analyzed !== undefined && range <= analyzed * STALE_RANGE_FACTOR) return Math.min(analyzed, range);
  return analyzed === undefined && range <= COUNTED_ROWS ? range : undefined;
}

/** What a look at a table's rows found. */
interface Look {
  /** The rows that were counted, at most `limit`. */
  readonly rows: number;
  /** The rows by samples of the ids; undefined for a table without rowid, or if all rows were counted. */
  readonly sampledRows: number | undefined;
}

async function lookAtRows(
  database: D1Database,
  ranges: readonly RowRange[],
): Promise<ReadonlyMap<RowRange, Look | undefined>> {
  const looks = new Map<RowRange, Look>();
  for (let start = 0; start < ranges.length; start += TABLES_PER_STATEMENT) {
    const batch = ranges.slice(start, start + TABLES_PER_STATEMENT);
    const results = await database.batch<Readonly<Record<string, unknown>>>(
      batch.map((range) => database.prepare(buildLookSql(range))),
    );
    for (const [index, range] of batch.entries()) {
      const { rows, sampledRows } = results[index]?.results[0] ?? {};
      looks.set(range, {
        rows: Number(rows ?? 0),
        sampledRows: typeof sampledRows === "number" ? sampledRows : undefined,
      });
    }
  }
  return looks;
}

/** The rows up to which a look counts exactly. */
function getLookLimit({ range, analyzed }: RowRange): number {
  if (analyzed === undefined || range === undefined) return COUNTED_ROWS;
  return Math.min(RECOUNTED_ROWS, analyzed * STALE_RANGE_FACTOR + 1);
}

function buildLookSql(range: RowRange): string {
  const { name, rowidName } = range.table;
  const table = `main.${quoteIdentifier(name)}`;
  const limit = getLookLimit(range);
  if (rowidName === undefined) return `SELECT count(*) AS rows FROM (SELECT 1 FROM ${table} LIMIT ${limit})`;
  // The samples stand at distances from both ends that halve, so that a dense part beside a wide gap is found at either end. Each sample
  // stands for the ids up to the next one. Halves of ids are subtracted, because the range may exceed 64 bits.
  return `WITH RECURSIVE
    low(n, id) AS MATERIALIZED (
      SELECT count(*), max(id) FROM (SELECT ${rowidName} AS id FROM ${table} ORDER BY 1 LIMIT ${limit})),
    high(n, id) AS MATERIALIZED (
      SELECT count(*), min(id) FROM (
        SELECT ${rowidName} AS id FROM ${table} WHERE (SELECT n FROM low) = ${limit} ORDER BY 1 DESC LIMIT ${SET_ASIDE_ROWS})),
    distances(far, near) AS (
      SELECT high.id / 2 - low.id / 2, (high.id / 2 - low.id / 2) / 2 FROM low, high WHERE high.id > low.id
      UNION ALL SELECT near, near / 2 FROM distances WHERE near > 0),
    samples(id, ids) AS (
      SELECT low.id + near, far - near FROM low, distances UNION ALL SELECT high.id - far, far - near FROM high, distances)
    SELECT low.n AS rows, CASE WHEN low.n = ${limit} THEN low.n + high.n + coalesce((
        SELECT sum(ids * ${SAMPLED_ROWS}.0 / ((
          SELECT max(id) FROM (
            SELECT ${rowidName} AS id FROM ${table} WHERE ${rowidName} >= samples.id ORDER BY 1 LIMIT ${SAMPLED_ROWS})
        ) - samples.id + 1)) FROM samples), 0) END AS sampledRows
      FROM low, high`;
}

function judgeLook(range: RowRange, look: Look | undefined): number {
  const { analyzed, maxRows } = range;
  const rows = look?.rows ?? 0;
  if (rows < getLookLimit(range)) return rows;
  const sampledRows = look?.sampledRows;
  if (sampledRows === undefined) return Math.max(rows, Math.min(UNKNOWN_ROWS, maxRows));
  const isFresh = analyzed !== undefined && sampledRows <= analyzed * STALE_SAMPLE_FACTOR;
  const estimate = isFresh ? analyzed : Math.min(sampledRows, range.range ?? sampledRows, maxRows);
  return Math.max(rows, Math.round(estimate));
}
