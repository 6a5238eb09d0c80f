// What an attack is run through, and how a leak is told.
import { env } from "cloudflare:workers";
import { AppError } from "../../../src/errors.ts";
import { tokenColumnsOf } from "../../../src/policy/tokens.ts";
import { createD1Source } from "../../../src/sources/d1.ts";
import { createSchemaKeeper } from "../../../src/sources/d1-schema.ts";
import type { LayerOptions } from "../../../src/sources/layers.ts";
import type { Layer } from "../../../src/sources/reading.ts";
import type { TableSource } from "../../../src/sources/source.ts";
import { createTokenStore } from "../../../src/sources/tokens.ts";
import { showCell } from "../../../src/sql/exact.ts";
import { quoteIdentifier } from "../../../src/sql/identifier.ts";
import { parseStatement } from "../../../src/sql/statement.ts";
import { TOKEN_KEY, openFor, tableSource } from "../../support/governed.ts";
import { SECRET, config } from "./fixture.ts";

export const ACCOUNTS = ["mask", "north"] as const;
const LIMITS = { maxRows: 100, maxValueBytes: 100_000, maxTotalBytes: 10_000_000, bookmark: null };

export interface Stack {
  readonly parse: typeof parseStatement;
  readonly source: TableSource;
}

/** All layers. */
export const governed = (of = config): Stack => ({ parse: parseStatement, source: tableSource(of) });

/** What layers are made with. */
export const layerOptions = (): LayerOptions => ({ allowsRecursion: false, maxSteps: 1_000_000_000 });

/** These layers alone. */
export function stackOf(layers: readonly Layer[], parse = parseStatement): Stack {
  if (TOKEN_KEY === null) throw new Error("no key");
  const { declaration, datasets } = tableSource(config);
  const tokenColumns = tokenColumnsOf(config.policy, "shop");
  const schemas = createSchemaKeeper(declaration, datasets, env.SHOP_DB, () => {}, {
    tokenColumns,
    expressions: [],
    rowRestricted: [],
  });
  const tokens = { store: createTokenStore(env.SHOP_DB, TOKEN_KEY), columns: tokenColumns };
  return { parse, source: createD1Source(declaration, datasets, env.SHOP_DB, schemas, layers, tokens) };
}

/** Layer 2 without the policy in it: names still resolve to views, but those show the table as it is. */
export const bareViews: Layer = (next) => async (reading) => {
  const views = reading.request.views.map((view) => ({
    ...view,
    select: () =>
      `SELECT ${view.columns.map((column) => `main.${quoteIdentifier(view.name)}.${quoteIdentifier(column)}`).join(", ")} FROM main.${quoteIdentifier(view.name)}`,
  }));
  return next({ ...reading, request: { ...reading.request, views } });
};

/** What comes back: rows and columns, or the refusal. */
export async function run({ parse, source }: Stack, account: string, sql: string): Promise<string> {
  try {
    const statement = parse(sql);
    const values = statement.parameterOffsets.map(() => null);
    const { rows, columns } = await source.read(openFor(config, source, account), statement, values, LIMITS);
    return JSON.stringify({ columns, rows: rows.map((row) => row.map(showCell)) });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return `${error.code}: ${error.publicMessage}`;
  }
}

/** Whether something leaked: a planted value that neither stands in the attack itself nor is the account's to see. */
export function leaks(seen: string, account: string, sql: string): boolean {
  const own = sql.match(/S3CRET[-\w@.]*/g) ?? [];
  const known = account === "mask" ? [...own, "S3CRET-southern-name"] : own;
  return known.reduce((rest, value) => rest.replaceAll(value, ""), seen).includes(SECRET);
}
