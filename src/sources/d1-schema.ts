// What is known of a D1 database's schema in this isolate: read once, copied into SQLite in memory, held against the
// declarations, and read again when it has changed.
import { AppError } from "../errors.ts";
import type { RowExpression } from "../policy/conditions.ts";
import { TOKEN_TABLE } from "../policy/masks.ts";
import type { SourceDeclaration, TableDataset } from "../policy/model.ts";
import type { TokenColumn } from "../policy/tokens.ts";
import { foldName, quoteIdentifier } from "../sql/identifier.ts";
import { keepCopy } from "../sql/copies.ts";
import type { KeptCopy } from "../sql/copies.ts";
import { createEnginePool } from "../sql/engine/pool.ts";
import { SCHEMA_OBJECTS_SQL, toSchemaObject } from "../sql/schema.ts";
import type { SchemaObject, SchemaSnapshot, Statistic } from "../sql/schema.ts";
import { coarseStatistic } from "../sql/size-class.ts";
import { BrokenCopy } from "./reading.ts";
import type { Schema, SchemaKeeper } from "./reading.ts";
import { compareExpressions, compareSchema } from "./shape.ts";
import type { SchemaProblem } from "./shape.ts";

type Row = Readonly<Record<string, unknown>>;

interface Known {
  readonly schema: KeptCopy;
  /** Folded names of tables that are not what was declared: the operator may mend them at any time. */
  readonly mismatched: ReadonlySet<string>;
  /** Folded names of tables of a form that is not known. */
  readonly refused: ReadonlySet<string>;
  /** Folded names of tables whose tokens have no table. */
  readonly withoutTokens: ReadonlySet<string>;
}

/** What the rules on a source need of its database, besides the declared columns. */
export interface RuleNeeds {
  readonly tokenColumns: readonly TokenColumn[];
  readonly expressions: readonly RowExpression[];
  /** Names of tables of which some rule hides rows. */
  readonly rowRestricted: readonly string[];
}

const NO_NEEDS: RuleNeeds = { tokenColumns: [], expressions: [], rowRestricted: [] };

/** `log` gets what the operator has to mend. The copy stands in an engine of `pool`. */
export function createSchemaKeeper(
  declaration: SourceDeclaration,
  datasets: readonly TableDataset[],
  database: D1Database,
  log: (message: string) => void,
  { tokenColumns, expressions, rowRestricted }: RuleNeeds = NO_NEEDS,
  pool = createEnginePool(),
): SchemaKeeper {
  let known: Promise<Known> | undefined;
  /** Of what is known; undefined while it is being read. */
  let latest: KeptCopy | undefined;

  async function compare(tables: readonly TableDataset[]): Promise<readonly SchemaProblem[]> {
    const own = expressions.filter(({ table }) => tables.some((dataset) => dataset.table === table));
    return [...(await compareSchema(database, tables)), ...(await compareExpressions(database, own))];
  }

  async function load(): Promise<Known> {
    const problems = await compare(datasets);
    const snapshot = await readSnapshot(database, datasets, new Set(rowRestricted.map(foldName)));
    const lookups = tokenColumns.length > 0 ? [TOKEN_TABLE] : [];
    const schema = schemaOf(snapshot, [...datasets.map((dataset) => dataset.table), ...lookups]);
    const { refused, lacksTokens } = schema.use((copy) => {
      return { refused: copy.refused, lacksTokens: lookups.some((table) => !copy.has(table)) };
    });
    if (lacksTokens)
      log(`sources.${declaration.name}: the database has no table ${TOKEN_TABLE}. Run \`npm run migrate\`.`);
    for (const { message } of problems) log(message);
    for (const { name, reason } of refused) log(`sources.${declaration.name}.tables.${name}: ${reason}`);
    latest = schema;
    return {
      schema,
      mismatched: new Set(problems.map(({ table }) => foldName(table))),
      refused: new Set(refused.map(({ table }) => foldName(table))),
      withoutTokens: new Set(lacksTokens ? tokenColumns.map(({ dataset }) => foldName(dataset.table)) : []),
    };
  }

  /** Readers that hold it when its engine breaks do not go on with it: what they know of it came from that engine. */
  function schemaOf(snapshot: SchemaSnapshot, tables: readonly string[]): KeptCopy {
    let isBroken = false;
    const kept = keepCopy(pool, snapshot, tables, () => {
      isBroken = true;
      forget(schema);
    });
    const schema: KeptCopy = {
      close: () => kept.close(),
      use(work) {
        if (isBroken) throw new BrokenCopy("the copy of the schema is broken");
        return kept.use(work);
      },
    };
    return schema;
  }

  async function current(): Promise<Known> {
    known ??= load();
    try {
      return await known;
    } catch (cause) {
      known = undefined;
      throw noAnswer(cause);
    }
  }

  function noAnswer(cause: unknown): AppError {
    const message = `The source ${declaration.name} does not answer. Try again later.`;
    return new AppError("source_unavailable", message, { cause });
  }

  /** What is wrong with these tables. */
  function faultsOf({ mismatched, refused, withoutTokens }: Known, tables: readonly string[]): Faults {
    const wanted = tables.map(foldName);
    return {
      wrong: datasets.filter(({ table }) => wanted.includes(foldName(table)) && mismatched.has(foldName(table))),
      isRefused: wanted.some((table) => refused.has(table)),
      lacksTokens: wanted.some((table) => withoutTokens.has(table)),
    };
  }

  /** Looks once more, which costs a query; a new copy, which takes memory, is made only when it will hold. */
  async function isMended({ wrong, isRefused, lacksTokens }: Faults): Promise<boolean> {
    if (isRefused) return false;
    try {
      return (!lacksTokens || (await hasTokenTable(database))) && (await compare(wrong)).length === 0;
    } catch (cause) {
      throw noAnswer(cause);
    }
  }

  function forget(schema: Schema): void {
    if (schema !== latest) return;
    latest?.close();
    known = undefined;
    latest = undefined;
  }

  return {
    async open(tables) {
      const first = await current();
      const faults = faultsOf(first, tables);
      if (!isFaulty(faults)) return first.schema;
      if (!(await isMended(faults))) throw mismatch();
      forget(first.schema);
      const again = await current();
      if (isFaulty(faultsOf(again, tables))) throw mismatch();
      return again.schema;
    },
    forget,
  };

  function mismatch(): AppError {
    return new AppError(
      "source_unavailable",
      `The source ${declaration.name} does not match its declaration. Whoever runs this server finds the difference in its log.`,
    );
  }
}

/** Why tables cannot be read now. */
interface Faults {
  /** Those that are not what was declared. */
  readonly wrong: readonly TableDataset[];
  readonly isRefused: boolean;
  readonly lacksTokens: boolean;
}

function isFaulty({ wrong, isRefused, lacksTokens }: Faults): boolean {
  return wrong.length > 0 || isRefused || lacksTokens;
}

async function hasTokenTable(database: D1Database): Promise<boolean> {
  const sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?";
  return (await database.prepare(sql).bind(TOKEN_TABLE).first()) !== null;
}

/** Plans over tables of `rowRestricted`, by folded name, are made with their size's class: which plan it is may be told apart. */
async function readSnapshot(
  database: D1Database,
  datasets: readonly TableDataset[],
  rowRestricted: ReadonlySet<string>,
): Promise<SchemaSnapshot> {
  const { results } = await database.prepare(SCHEMA_OBJECTS_SQL).all<Row>();
  const objects = results.map(toSchemaObject);
  const declared = new Set(datasets.map((dataset) => foldName(dataset.table)));
  const tables = objects.filter(({ type, name }) => type === "table" && declared.has(foldName(name)));
  const statistics = objects.some(({ name }) => name === "sqlite_stat1") ? await readStatistics(database) : [];
  const used = statistics.map((one) => (rowRestricted.has(foldName(one.table)) ? coarseStatistic(one) : one));
  return {
    objects,
    statistics: used,
    rows: new Map([...countedRows(statistics), ...(await countRows(database, tables))]),
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

/** As `ANALYZE` last counted them. */
function countedRows(statistics: readonly Statistic[]): readonly (readonly [string, number])[] {
  return statistics.map(({ table, text }) => [foldName(table), Number.parseInt(text, 10)] as const);
}

/** Tables that one statement asks about: D1 gives at most 100 columns. */
const TABLES_AT_ONCE = 50;

/** By their highest row number, which costs one look; of tables without row numbers nothing. */
async function countRows(database: D1Database, tables: readonly SchemaObject[]): Promise<ReadonlyMap<string, number>> {
  const rows = new Map<string, number>();
  const numbered = tables.filter(({ sql }) => !/\bWITHOUT\s+ROWID\b/i.test(sql ?? ""));
  for (let start = 0; start < numbered.length; start += TABLES_AT_ONCE) {
    const asked = numbered.slice(start, start + TABLES_AT_ONCE);
    const columns = asked.map(
      ({ name }, index) => `(SELECT max(rowid) FROM main.${quoteIdentifier(name)}) AS r${index}`,
    );
    const row = await database.prepare(`SELECT ${columns.join(", ")}`).first<Row>();
    for (const [index, { name }] of asked.entries()) rows.set(foldName(name), Number(row?.[`r${index}`] ?? 0));
  }
  return rows;
}
