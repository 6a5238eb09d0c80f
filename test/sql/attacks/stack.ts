// Runs attacks through chosen layers of governed SQL, and recognises leaks in the results.
import { env } from "cloudflare:workers";
import { AppError } from "../../../src/errors.ts";
import { listMaskingTokenColumns } from "../../../src/masking-tokens/masking-token-columns.ts";
import { createD1Source } from "../../../src/tables/d1-source.ts";
import { createSchemaCache } from "../../../src/tables/schema-cache.ts";
import type { MiddlewareOptions } from "../../../src/read/governed-middleware.ts";
import type { Middleware } from "../../../src/read/read-pipeline.ts";
import type { TableSource } from "../../../src/read/source.ts";
import { createMaskingTokenStore } from "../../../src/masking-tokens/masking-token-store.ts";
import { toJsonCell } from "../../../src/sql/result-encoding.ts";
import { quoteIdentifier } from "../../../src/sql/identifier.ts";
import { parseStatement } from "../../../src/sql/statement.ts";
import { TOKEN_KEY, openFor, tableSource } from "../../support/governed.ts";
import { SECRET, config } from "./fixture.ts";

/** The users of the fixture. */
export const ACCOUNTS = ["mask", "north"] as const;
const LIMITS = { maxReadRows: 100, maxValueBytes: 100_000, maxTotalBytes: 10_000_000, bookmark: null };

/** What a statement runs through. */
export interface Stack {
  readonly parse: typeof parseStatement;
  readonly source: TableSource;
}

/** Creates a stack of all layers. */
export const governed = (stackConfig = config): Stack => ({
  parse: parseStatement,
  source: tableSource(stackConfig),
});

/** Creates the options of the layers that tests put together. */
export const layerOptions = (): MiddlewareOptions => ({ allowsRecursion: false, maxSteps: 1_000_000_000 });

/** Creates a stack of these layers alone. */
export function stackOf(layers: readonly Middleware[], parse = parseStatement): Stack {
  if (TOKEN_KEY === null) throw new Error("the tests have no key for masking tokens");
  const { declaration, datasets } = tableSource(config);
  const tokenColumns = listMaskingTokenColumns(config.policy, "shop");
  const schemas = createSchemaCache(declaration, datasets, env.SHOP_DB, () => {}, {
    maskingTokenColumns: tokenColumns,
    expressions: [],
    rowRestrictedTables: [],
  });
  const tokens = { store: createMaskingTokenStore(env.SHOP_DB, TOKEN_KEY), columns: tokenColumns };
  return { parse, source: createD1Source(declaration, datasets, env.SHOP_DB, schemas, layers, tokens) };
}

/** Takes the policy out of layer 2: names still resolve to guard views, but these show their tables as stored. */
export const bareViews: Middleware = (next) => async (reading) => {
  const views = reading.request.views.map((view) => {
    const table = `main.${quoteIdentifier(view.name)}`;
    const columns = view.columns.map((column) => `${table}.${quoteIdentifier(column)}`).join(", ");
    return { ...view, buildSelect: () => `SELECT ${columns} FROM ${table}` };
  });
  return next({ ...reading, request: { ...reading.request, views } });
};

/** Runs a statement and returns its columns and rows as JSON, or its error code and message. */
export async function run({ parse, source }: Stack, account: string, sql: string): Promise<string> {
  try {
    const statement = parse(sql);
    const values = statement.parameterOffsets.map(() => null);
    const { rows, columns } = await source.read(openFor(config, source, account), statement, values, LIMITS);
    return JSON.stringify({ columns, rows: rows.map((row) => row.map(toJsonCell)) });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return `${error.code}: ${error.publicMessage}`;
  }
}

/** Checks whether an outcome contains a planted value that is neither part of the attack nor visible to the account. */
export function leaks(outcome: string, account: string, sql: string): boolean {
  const attackValues = sql.match(/S3CRET[-\w@.]*/g) ?? [];
  const allowedValues = account === "mask" ? [...attackValues, "S3CRET-southern-name"] : attackValues;
  return allowedValues.reduce((rest, value) => rest.replaceAll(value, ""), outcome).includes(SECRET);
}
