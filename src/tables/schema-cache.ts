// Caches the schema of one D1 database in this isolate: reads it once, copies it into an in-memory SQLite, compares it with the
// declarations, and reads it again when it has changed.
import { AppError } from "../errors.ts";
import type { RowExpression } from "../policy/conditions.ts";
import { findMaskingTokenFault } from "../masking-tokens/masking-token-store.ts";
import { MASKING_TOKEN_TABLE } from "../policy/masks.ts";
import type { SourceDeclaration, TableDataset } from "../policy/model.ts";
import type { MaskingTokenColumn } from "../masking-tokens/masking-token-columns.ts";
import { foldName, quoteIdentifier } from "../sql/identifier.ts";
import { cacheSchemaCopy } from "../sql/schema-copy-cache.ts";
import type { CachedCopy } from "../sql/schema-copy-cache.ts";
import { createEnginePool } from "../sql/engine/pool.ts";
import { SCHEMA_OBJECTS_SQL, toSchemaObject } from "../sql/schema-copy.ts";
import type { SchemaObject, SchemaSnapshot, Statistic } from "../sql/schema-copy.ts";
import { coarsenStatistic } from "../sql/row-count-class.ts";
import { BrokenSchemaCopy } from "../read/read-pipeline.ts";
import type { Schema, SchemaCache } from "../read/read-pipeline.ts";
import { compareExpressions, compareSchema } from "./schema-check.ts";
import type { SchemaProblem } from "./schema-check.ts";

type Row = Readonly<Record<string, unknown>>;

interface LoadedSchema {
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
  /** Names of tables in which some rule hides rows. */
  readonly rowRestrictedTables: readonly string[];
}

const NO_REQUIREMENTS: RuleRequirements = { maskingTokenColumns: [], expressions: [], rowRestrictedTables: [] };

/** Creates the cache. `log` receives problems that the operator has to fix. The schema copy lives in an engine of `pool`. */
export function createSchemaCache(
  declaration: SourceDeclaration,
  datasets: readonly TableDataset[],
  database: D1Database,
  log: (message: string) => void,
  { maskingTokenColumns, expressions, rowRestrictedTables }: RuleRequirements = NO_REQUIREMENTS,
  pool = createEnginePool(),
): SchemaCache {
  let loading: Promise<LoadedSchema> | undefined;
  /** The copy of the schema that was read last; undefined while it is being read again. */
  let latestCopy: CachedCopy | undefined;

  async function compare(tables: readonly TableDataset[]): Promise<readonly SchemaProblem[]> {
    const tableExpressions = expressions.filter(({ table }) => tables.some((dataset) => dataset.table === table));
    return [...(await compareSchema(database, tables)), ...(await compareExpressions(database, tableExpressions))];
  }

  async function load(): Promise<LoadedSchema> {
    const problems = await compare(datasets);
    const snapshot = await readSnapshot(database, datasets, new Set(rowRestrictedTables.map(foldName)));
    const lookups = maskingTokenColumns.length > 0 ? [MASKING_TOKEN_TABLE] : [];
    const schema = openCopy(snapshot, [...datasets.map((dataset) => dataset.table), ...lookups]);
    const refused = schema.use((copy) => copy.uncopiedObjects);
    const tokenTableFault = maskingTokenColumns.length > 0 ? await findMaskingTokenFault(database) : undefined;
    if (tokenTableFault !== undefined) log(`sources.${declaration.name}: ${tokenTableFault}`);
    for (const { message } of problems) log(message);
    for (const { name, reason } of refused) log(`sources.${declaration.name}.tables.${name}: ${reason}`);
    latestCopy = schema;
    return {
      copy: schema,
      mismatched: new Set(problems.map(({ table }) => foldName(table))),
      refused: new Set(refused.map(({ table }) => foldName(table))),
      withoutTokenTable: new Set(
        tokenTableFault !== undefined ? maskingTokenColumns.map(({ dataset }) => foldName(dataset.table)) : [],
      ),
    };
  }

  /** Opens a copy. When its engine breaks, readers that still hold the copy fail: what they know of it came from that engine. */
  function openCopy(snapshot: SchemaSnapshot, tables: readonly string[]): CachedCopy {
    let isBroken = false;
    const cached = cacheSchemaCopy(pool, snapshot, tables, () => {
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
 * Reads the schema and its statistics. A user may detect which plan a query gets, so for the row-restricted tables (by folded name)
 * the planner sees only a size class, and the plan does not reveal the number of hidden rows.
 */
async function readSnapshot(
  database: D1Database,
  datasets: readonly TableDataset[],
  rowRestrictedTables: ReadonlySet<string>,
): Promise<SchemaSnapshot> {
  const { results } = await database.prepare(SCHEMA_OBJECTS_SQL).all<Row>();
  const objects = results.map(toSchemaObject);
  const declared = new Set(datasets.map((dataset) => foldName(dataset.table)));
  const tables = objects.filter(({ type, name }) => type === "table" && declared.has(foldName(name)));
  const statistics = objects.some(({ name }) => name === "sqlite_stat1") ? await readStatistics(database) : [];
  const coarseStatistics = statistics.map((statistic) =>
    rowRestrictedTables.has(foldName(statistic.table)) ? coarsenStatistic(statistic) : statistic,
  );
  return {
    objects,
    statistics: coarseStatistics,
    rowCounts: new Map([...readRowCounts(statistics), ...(await countRows(database, tables))]),
  };
}

async function readStatistics(database: D1Database): Promise<readonly Statistic[]> {
  const { results } = await database.prepare("SELECT tbl, idx, stat FROM sqlite_stat1").all<Row>();
  return results.map(({ tbl, idx, stat }) => ({
    table: String(tbl),
    index: typeof idx === "string" ? idx : null,
    text: String(stat),
  }));
}

/** Reads the row counts of the last `ANALYZE`. */
function readRowCounts(statistics: readonly Statistic[]): readonly (readonly [string, number])[] {
  return statistics.map(({ table, text }) => [foldName(table), Number.parseInt(text, 10)] as const);
}

/** Tables counted in one statement. A D1 result has at most 100 columns. */
const TABLES_PER_STATEMENT = 50;

/** Estimates row counts by the highest rowid, which costs one lookup per table. Skips tables without rowid. */
async function countRows(database: D1Database, tables: readonly SchemaObject[]): Promise<ReadonlyMap<string, number>> {
  const rowCounts = new Map<string, number>();
  const rowidTables = tables.filter(({ sql }) => !/\bWITHOUT\s+ROWID\b/i.test(sql ?? ""));
  for (let start = 0; start < rowidTables.length; start += TABLES_PER_STATEMENT) {
    const batch = rowidTables.slice(start, start + TABLES_PER_STATEMENT);
    const columns = batch.map(
      ({ name }, index) => `(SELECT max(rowid) FROM main.${quoteIdentifier(name)}) AS r${index}`,
    );
    const row = await database.prepare(`SELECT ${columns.join(", ")}`).first<Row>();
    for (const [index, { name }] of batch.entries()) rowCounts.set(foldName(name), Number(row?.[`r${index}`] ?? 0));
  }
  return rowCounts;
}
