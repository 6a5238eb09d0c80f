// What is known of a D1 database's schema in this isolate: read once, copied into SQLite in memory, held against the
// declarations, and read again when it has changed.
import { AppError } from "../errors.ts";
import type { RowExpression } from "../policy/conditions.ts";
import { TOKEN_TABLE } from "../policy/masks.ts";
import type { SourceDeclaration, TableDataset } from "../policy/model.ts";
import type { TokenColumn } from "../policy/tokens.ts";
import { foldName, quoteIdentifier } from "../sql/identifier.ts";
import { SCHEMA_OBJECTS_SQL, copySchema, toSchemaObject, useCopy } from "../sql/schema.ts";
import type { SchemaObject, SchemaSnapshot, Statistic } from "../sql/schema.ts";
import type { Schema, SchemaKeeper } from "./reading.ts";
import { compareExpressions, compareSchema } from "./shape.ts";
import type { SchemaProblem } from "./shape.ts";

type Row = Readonly<Record<string, unknown>>;

interface Known {
  readonly schema: Schema;
  /** Folded names of tables that are not what was declared: the operator may mend them at any time. */
  readonly mismatched: ReadonlySet<string>;
  /** Folded names of tables that cannot be governed: of a form that is not known, or without the table of their tokens. */
  readonly refused: ReadonlySet<string>;
}

/** What the rules on a source need of its database, besides the declared columns. */
export interface RuleNeeds {
  readonly tokenColumns: readonly TokenColumn[];
  readonly expressions: readonly RowExpression[];
}

/** `log` gets what the operator has to mend. */
export function createSchemaKeeper(
  declaration: SourceDeclaration,
  datasets: readonly TableDataset[],
  database: D1Database,
  log: (message: string) => void,
  { tokenColumns, expressions }: RuleNeeds = { tokenColumns: [], expressions: [] },
): SchemaKeeper {
  let known: Promise<Known> | undefined;
  /** Of what is known; undefined while it is being read. */
  let latest: Schema | undefined;

  async function compare(tables: readonly TableDataset[]): Promise<readonly SchemaProblem[]> {
    const own = expressions.filter(({ table }) => tables.some((dataset) => dataset.table === table));
    return [...(await compareSchema(database, tables)), ...(await compareExpressions(database, own))];
  }

  async function load(): Promise<Known> {
    const problems = await compare(datasets);
    const snapshot = await readSnapshot(database, datasets);
    const lookups = tokenColumns.length > 0 ? [TOKEN_TABLE] : [];
    const copy = copySchema(snapshot, [...datasets.map((dataset) => dataset.table), ...lookups]);
    const lacksTokens = lookups.some((table) => !copy.has(table));
    if (lacksTokens)
      log(`sources.${declaration.name}: the database has no table ${TOKEN_TABLE}. Run \`npm run migrate\`.`);
    for (const { message } of problems) log(message);
    for (const { name, reason } of copy.refused) log(`sources.${declaration.name}.tables.${name}: ${reason}`);
    const schema: Schema = { use: (work) => useCopy(copy, work, () => forget(schema)) };
    latest = schema;
    return {
      schema,
      mismatched: new Set(problems.map(({ table }) => foldName(table))),
      refused: new Set([
        ...copy.refused.map(({ table }) => foldName(table)),
        ...(lacksTokens ? tokenColumns.map(({ dataset }) => foldName(dataset.table)) : []),
      ]),
    };
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

  /** Compares tables once more; true when they are what was declared by now. */
  async function isMended(tables: readonly TableDataset[]): Promise<boolean> {
    const problems = await compare(tables).catch((cause: unknown) => {
      throw noAnswer(cause);
    });
    return problems.length === 0;
  }

  function forget(schema: Schema): void {
    if (schema !== latest) return;
    known = undefined;
    latest = undefined;
  }

  return {
    async open(tables) {
      const { mismatched, refused, schema } = await current();
      const wanted = tables.map(foldName);
      const wrong = datasets.filter(({ table }) => wanted.includes(foldName(table)) && mismatched.has(foldName(table)));
      const isRefused = wanted.some((table) => refused.has(table));
      if (wrong.length === 0 && !isRefused) return schema;
      // Looking again costs one query; a new copy, which takes memory, is made only when it will hold.
      if (isRefused || !(await isMended(wrong)))
        throw new AppError(
          "source_unavailable",
          `The source ${declaration.name} does not match its declaration. Whoever runs this server finds the difference in its log.`,
        );
      forget(schema);
      return (await current()).schema;
    },
    forget,
  };
}

async function readSnapshot(database: D1Database, datasets: readonly TableDataset[]): Promise<SchemaSnapshot> {
  const { results } = await database.prepare(SCHEMA_OBJECTS_SQL).all<Row>();
  const objects = results.map(toSchemaObject);
  const declared = new Set(datasets.map((dataset) => foldName(dataset.table)));
  const tables = objects.filter(({ type, name }) => type === "table" && declared.has(foldName(name)));
  return {
    objects,
    statistics: objects.some(({ name }) => name === "sqlite_stat1") ? await readStatistics(database) : [],
    rows: await countRows(database, tables),
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

/** Tables that one statement asks about: D1 gives at most 100 columns. */
const TABLES_AT_ONCE = 50;

/** By their highest row number, which costs one look; tables without row numbers stay unknown. */
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
