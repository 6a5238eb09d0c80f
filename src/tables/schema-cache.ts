// Caches the schema of one D1 database in this isolate: reads it once, copies it into an in-memory SQLite, compares it with the
// declarations, and reads it again when it has changed. It reads statistics and row counts again now and then, behind a read.
import { AppError } from "../errors.ts";
import type { RowExpression } from "../policy/conditions.ts";
import { findMaskingTokenFault } from "../masking-tokens/masking-token-store.ts";
import { MASKING_TOKEN_TABLE } from "../policy/masks.ts";
import type { SourceDeclaration, TableDataset } from "../policy/model.ts";
import type { MaskingTokenColumn } from "../masking-tokens/masking-token-columns.ts";
import { foldName } from "../sql/identifier.ts";
import { cacheSchemaCopy } from "../sql/schema-copy-cache.ts";
import type { CachedCopy } from "../sql/schema-copy-cache.ts";
import { createEnginePool } from "../sql/engine/pool.ts";
import { SCHEMA_OBJECTS_SQL, listReadNames, listViewDeclarations, toSchemaObject } from "../sql/schema-objects.ts";
import type { SchemaSnapshot } from "../sql/schema-copy.ts";
import { coarsenStatistic } from "../sql/row-count-class.ts";
import { BrokenSchemaCopy } from "../read/read-pipeline.ts";
import type { Schema, SchemaCache } from "../read/read-pipeline.ts";
import { estimateRowCounts, listAnalyzedCounts, readStatistics } from "./row-counts.ts";
import { compareExpressions, compareSchema } from "./schema-check.ts";
import type { SchemaProblem } from "./schema-check.ts";
import { countValues } from "./rule-column-values.ts";
import type { RowRestrictedTable } from "./rule-column-values.ts";

interface LoadedSchema {
  readonly snapshot: SchemaSnapshot;
  readonly copy: CachedCopy;
  /** Folded names of tables that differ from their declaration. The operator may fix them at any time. */
  readonly mismatched: ReadonlySet<string>;
  /** Folded names of tables that could not be copied, because their form is not supported. */
  readonly refused: ReadonlySet<string>;
  /** Folded names of tables with masking tokens in a database that lacks the masking-token table. */
  readonly withoutTokenTable: ReadonlySet<string>;
}

/** What the rules on a source require from its database in addition to the declared columns. */
interface RuleRequirements {
  readonly maskingTokenColumns: readonly MaskingTokenColumn[];
  readonly expressions: readonly RowExpression[];
  readonly rowRestrictedTables: readonly RowRestrictedTable[];
}

/** What the cache needs to read statistics and row counts again, which change without a change of the schema. */
interface StatisticsRefresh {
  /** Returns milliseconds since the epoch. */
  readonly now: () => number;
  /** Continues work after the response was sent. */
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** Age at which statistics are read again: upkeep runs ANALYZE, and tables grow. An isolate may live for days. */
const STATISTICS_MAX_AGE_MS = 3_600_000;

/** The factor by which a table grows or shrinks before its statements are planned again. */
const CHANGED_FACTOR = 2;
/** Tables with fewer rows all count as alike: any plan does for them. */
const FEW_ROWS = 16;

const NO_REQUIREMENTS: RuleRequirements = { maskingTokenColumns: [], expressions: [], rowRestrictedTables: [] };

/**
 * Creates the cache. `log` receives problems that the operator has to fix. The schema copy lives in an engine of `pool`. Without
 * `refresh`, statistics are read only together with the schema.
 */
export function createSchemaCache(
  declaration: SourceDeclaration,
  datasets: readonly TableDataset[],
  database: D1Database,
  log: (message: string) => void,
  { maskingTokenColumns, expressions, rowRestrictedTables }: RuleRequirements = NO_REQUIREMENTS,
  pool = createEnginePool(),
  refresh?: StatisticsRefresh,
): SchemaCache {
  // Masking tokens stand for values of hidden rows too, so their number is as secret as the number of hidden rows.
  const restrictedNames = rowRestrictedTables.map(({ table }) => table);
  const coarseTables = new Set([...restrictedNames, MASKING_TOKEN_TABLE].map(foldName));
  const read = async (): Promise<SchemaSnapshot> => readSnapshot(database, datasets, coarseTables, rowRestrictedTables);
  const copiedTables = [
    ...datasets.map(({ table }) => table),
    ...(maskingTokenColumns.length > 0 ? [MASKING_TOKEN_TABLE] : []),
  ];
  let loading: Promise<LoadedSchema> | undefined;
  let refreshDueMs = 0;
  /** The copy of the schema that was read last; undefined while it is being read again. */
  let latestCopy: CachedCopy | undefined;

  async function compare(tables: readonly TableDataset[]): Promise<readonly SchemaProblem[]> {
    const tableExpressions = expressions.filter(({ table }) => tables.some((dataset) => dataset.table === table));
    return [...(await compareSchema(database, tables)), ...(await compareExpressions(database, tableExpressions))];
  }

  async function load(): Promise<LoadedSchema> {
    const problems = await compare(datasets);
    const snapshot = await read();
    const schema = openCopy(snapshot);
    const refused = schema.use((copy) => copy.uncopiedObjects);
    const tokenTableFault = maskingTokenColumns.length > 0 ? await findMaskingTokenFault(database) : undefined;
    if (tokenTableFault !== undefined) log(`sources.${declaration.name}: ${tokenTableFault}`);
    for (const message of new Set(problems.map((problem) => problem.message))) log(message);
    for (const { name, reason } of refused) log(`sources.${declaration.name}.tables.${name}: ${reason}`);
    latestCopy = schema;
    if (refresh !== undefined) refreshDueMs = refresh.now() + STATISTICS_MAX_AGE_MS;
    return {
      snapshot,
      copy: schema,
      mismatched: new Set(problems.map(({ table }) => foldName(table))),
      refused: new Set(refused.map(({ table }) => foldName(table))),
      withoutTokenTable: new Set(
        tokenTableFault !== undefined ? maskingTokenColumns.map(({ dataset }) => foldName(dataset.table)) : [],
      ),
    };
  }

  /** Opens a copy. When its engine breaks, readers that still hold the copy fail: what they know of it came from that engine. */
  function openCopy(snapshot: SchemaSnapshot): CachedCopy {
    let isBroken = false;
    const cached = cacheSchemaCopy(pool, snapshot, copiedTables, () => {
      isBroken = true;
      invalidate(schema);
    });
    const schema: CachedCopy = {
      close: () => cached.close(),
      use(work) {
        if (isBroken) throw new BrokenSchemaCopy("the copy of the schema is broken");
        return cached.use(work);
      },
    };
    return schema;
  }

  async function loadOnce(): Promise<LoadedSchema> {
    loading ??= load();
    try {
      return await loading;
    } catch (cause) {
      loading = undefined;
      throw createUnavailableError(cause);
    }
  }

  /** Starts a refresh when it is due. The read that finds it due goes on with the copy that it has. */
  function refreshWhenDue(loaded: LoadedSchema): void {
    if (refresh === undefined || refresh.now() < refreshDueMs) return;
    // If the platform cancels this refresh together with its request, or the database fails, the next one comes as late.
    refreshDueMs = refresh.now() + STATISTICS_MAX_AGE_MS;
    refresh.waitUntil(refreshStatistics(loaded));
  }

  /** Puts a copy with new statistics in place of this one. A changed schema is read from the beginning by the next read instead. */
  async function refreshStatistics(loaded: LoadedSchema): Promise<void> {
    let snapshot: SchemaSnapshot;
    try {
      snapshot = await read();
    } catch (cause) {
      // Reads do not depend on this: they keep the statistics that they have.
      const reason = cause instanceof Error ? cause.message : "no reason given";
      return log(`sources.${declaration.name}: the statistics could not be read again: ${reason}`);
    }
    if (loaded.copy !== latestCopy || isSameSnapshot(loaded.snapshot, snapshot)) return;
    invalidate(loaded.copy);
    if (!isSameSnapshot({ ...snapshot, objects: loaded.snapshot.objects }, snapshot)) return;
    latestCopy = openCopy(snapshot);
    loading = Promise.resolve({ ...loaded, snapshot, copy: latestCopy });
  }

  function createUnavailableError(cause: unknown): AppError {
    const message = `The source ${declaration.name} is not responding. Try again later.`;
    return new AppError("source_unavailable", message, { cause });
  }

  /** Finds what prevents reading these tables. */
  function findFaults({ mismatched, refused, withoutTokenTable }: LoadedSchema, tables: readonly string[]): Faults {
    const tableNames = tables.map(foldName);
    return {
      mismatchedTables: datasets.filter(
        ({ table }) => tableNames.includes(foldName(table)) && mismatched.has(foldName(table)),
      ),
      isRefused: tableNames.some((table) => refused.has(table)),
      lacksTokenTable: tableNames.some((table) => withoutTokenTable.has(table)),
    };
  }

  /** Checks again, which costs a query. A new copy takes memory, so it is made only if the problem is gone. */
  async function isRepaired({ mismatchedTables, isRefused, lacksTokenTable }: Faults): Promise<boolean> {
    if (isRefused) return false;
    try {
      return (
        (!lacksTokenTable || (await findMaskingTokenFault(database)) === undefined) &&
        (await compare(mismatchedTables)).length === 0
      );
    } catch (cause) {
      throw createUnavailableError(cause);
    }
  }

  function invalidate(schema: Schema): void {
    if (schema !== latestCopy) return;
    latestCopy?.close();
    loading = undefined;
    latestCopy = undefined;
  }

  return {
    async open(tables) {
      const loaded = await loadOnce();
      refreshWhenDue(loaded);
      const faults = findFaults(loaded, tables);
      if (!isFaulty(faults)) return loaded.copy;
      if (!(await isRepaired(faults))) throw createMismatchError();
      invalidate(loaded.copy);
      const reloaded = await loadOnce();
      if (isFaulty(findFaults(reloaded, tables))) throw createMismatchError();
      return reloaded.copy;
    },
    invalidate,
  };

  function createMismatchError(): AppError {
    return new AppError(
      "source_unavailable",
      `The source ${declaration.name} does not match its declaration. The operator finds the difference in the server log.`,
    );
  }
}

/**
 * Whether plans for the one snapshot serve for the other. A new copy empties the caches of statements, so row counts, which change all the
 * time, count as the same until a table has doubled or halved.
 */
function isSameSnapshot(left: SchemaSnapshot, right: SchemaSnapshot): boolean {
  const serialize = ({ objects, statistics, valueCounts }: SchemaSnapshot): string =>
    JSON.stringify([objects, statistics, [...(valueCounts ?? [])]]);
  return serialize(left) === serialize(right) && areRowCountsSimilar(left.rowCounts, right.rowCounts);
}

function areRowCountsSimilar(left: ReadonlyMap<string, number>, right: ReadonlyMap<string, number>): boolean {
  return (
    left.size === right.size &&
    [...left].every(([table, leftRows]) => {
      const rightRows = right.get(table);
      if (rightRows === undefined) return false;
      const [fewer = 0, more = 0] = [leftRows, rightRows]
        .map((rows) => Math.max(rows, FEW_ROWS))
        .toSorted((a, b) => a - b);
      return more < fewer * CHANGED_FACTOR;
    })
  );
}

/** Why tables cannot be read now; empty and false if they can. */
interface Faults {
  /** Tables that differ from their declaration. */
  readonly mismatchedTables: readonly TableDataset[];
  readonly isRefused: boolean;
  readonly lacksTokenTable: boolean;
}

function isFaulty({ mismatchedTables, isRefused, lacksTokenTable }: Faults): boolean {
  return mismatchedTables.length > 0 || isRefused || lacksTokenTable;
}

/**
 * Reads the schema and its statistics. A user may detect which plan a query gets, so for these tables (by folded name) the planner sees
 * only a size class, and the plan does not reveal the number of hidden rows.
 */
async function readSnapshot(
  database: D1Database,
  datasets: readonly TableDataset[],
  coarseTables: ReadonlySet<string>,
  rowRestrictedTables: readonly RowRestrictedTable[],
): Promise<SchemaSnapshot> {
  const { results } = await database.prepare(SCHEMA_OBJECTS_SQL).all<Readonly<Record<string, unknown>>>();
  const statistics = await readStatistics(database);
  const coarseStatistics = statistics.map((statistic) =>
    coarseTables.has(foldName(statistic.table)) ? coarsenStatistic(statistic) : statistic,
  );
  const objects = results.map(toSchemaObject);
  const names = datasets.map(({ table }) => foldName(table));
  // The work of a view depends on the tables that it reads.
  const tables = [...listReadNames(names, listViewDeclarations(objects))];
  const estimatedCounts = await estimateRowCounts(database, tables, statistics);
  return {
    objects,
    statistics: coarseStatistics,
    // Only the work estimate of row-restricted tables rounds to size classes, so the count of any other table that a guard view reads,
    // such as the masking-token table, comes from the rounded statistics.
    rowCounts: new Map([...listAnalyzedCounts(coarseStatistics), ...estimatedCounts]),
    valueCounts: await countValues(database, rowRestrictedTables, statistics, estimatedCounts),
  };
}
