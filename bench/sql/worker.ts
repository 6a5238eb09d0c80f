// The Worker of the read benchmark: runs one query a number of times in one way, and answers with the number of rows; run.ts takes the
// time. Only `again` repeats a statement; every other way of a governed read sends a new text each time.
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import { listConditionColumns } from "../../src/policy/conditions.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import { listMaskingTokenColumns } from "../../src/masking-tokens/masking-token-columns.ts";
import { createD1Source } from "../../src/tables/d1-source.ts";
import { createSchemaCache } from "../../src/tables/schema-cache.ts";
import { authorizer, exactValues, guard, verification } from "../../src/read/governed-middleware.ts";
import { planner } from "../../src/read/planner.ts";
import { PLAIN_FORM } from "../../src/sql/statement-guard.ts";
import type { MiddlewareOptions } from "../../src/read/governed-middleware.ts";
import type { Middleware } from "../../src/read/read-pipeline.ts";
import type { VisibleTable, TableSource } from "../../src/read/source.ts";
import type { MaskingTokens } from "../../src/tables/table-source.ts";
import { createMaskingTokenStore, parseMaskingTokenKey } from "../../src/masking-tokens/masking-token-store.ts";
import { buildSchemaObjectsSql } from "../../src/sql/schema-objects.ts";
import { parseStatement } from "../../src/sql/statement.ts";
import { config } from "./policy.ts";
import { SHAPES } from "./shapes.ts";
import type { Shape } from "./shapes.ts";

interface BenchEnv {
  readonly LARGE_DB: D1Database;
}

const LIMITS = { maxReadRows: 500, maxValueBytes: 1_000_000, maxTotalBytes: 10_000_000, bookmark: null };
const { policy } = config;
const datasets = policy.datasets.filter((dataset) => dataset.kind === "table");

/** The sources by the middleware that they run. */
let sources: ReadonlyMap<string, TableSource> | undefined;
/** Appended to statements as a comment, so that no text is repeated. */
let statementNumber = 0;

const key = parseMaskingTokenKey("a key of the benchmark, long enough to be one");
const tokenColumns = listMaskingTokenColumns(policy, "large");

function createTokens(database: D1Database): MaskingTokens {
  if (key === null) throw new TypeError("there is no key");
  return { store: createMaskingTokenStore(database, key), columns: tokenColumns };
}

/** Replaces the planner with the form that it chooses most often. */
const unplanned: Middleware = (next) => (reading) =>
  next({ ...reading, request: { ...reading.request, form: PLAIN_FORM } });

/** The tables of which some rule hides rows. */
const rowRestrictedTables = datasets.flatMap(({ id, table }) => {
  const rowRules = policy.rules.flatMap(({ dataset, rows }) => (dataset === id && rows !== null ? [rows] : []));
  return rowRules.length === 0 ? [] : [{ table, columns: rowRules.flatMap(listConditionColumns) }];
});

function createSources(database: D1Database): ReadonlyMap<string, TableSource> {
  const [declaration] = policy.sources;
  if (declaration === undefined) throw new TypeError("the policy declares no source");
  const schemas = createSchemaCache(declaration, datasets, database, console.error, {
    maskingTokenColumns: tokenColumns,
    expressions: [],
    rowRestrictedTables,
  });
  const tokens = createTokens(database);
  const options: MiddlewareOptions = { allowsRecursion: false, maxSteps: 1e12 };
  const all = [planner(options), guard(), authorizer(options), exactValues(), verification()];
  const without = (layer: number) => all.filter((_layer, index) => index !== layer);
  const stacks = {
    again: all,
    "first time": all,
    "without planner": [unplanned, ...without(0)],
    "without authorizer": without(2),
    "without verification": without(4),
  };
  return new Map(
    Object.entries(stacks).map(([name, layers]) => [
      name,
      createD1Source(declaration, datasets, database, schemas, layers, tokens),
    ]),
  );
}

function openFor(account: string): readonly VisibleTable[] {
  const subject = resolveSubject(
    policy,
    { subjectId: account, email: `${account}@harbor.example`, groups: [] },
    NO_MEMBER_RECORD,
  );
  return datasets.flatMap((dataset) => {
    const decision = evaluate(policy, subject, dataset, "read");
    return decision.allowed ? [{ dataset, decision }] : [];
  });
}

async function runDirect(database: D1Database, account: string, shape: Shape): Promise<number> {
  const isRuled = account === "north";
  const statement = database
    .prepare(isRuled ? shape.ruledSql : shape.sql)
    .bind(...shape.values, ...(isRuled ? shape.ruledValues : []));
  return (await statement.all()).results.length;
}

/** Runs the batch of a read that is checked in its own transaction, without the rest of Gatehouse: the least that a read can cost. */
async function runChecked(database: D1Database, account: string, shape: Shape): Promise<number> {
  const isRuled = account === "north";
  const sql = isRuled ? shape.ruledSql : shape.sql;
  const values = [...shape.values, ...(isRuled ? shape.ruledValues : [])];
  const objects = buildSchemaObjectsSql(["orders", "customers"]);
  const results = await database
    .withSession("first-unconstrained")
    .batch([
      database.prepare(objects.sql).bind(...objects.parameters),
      database.prepare(`EXPLAIN ${sql}`).bind(...values),
      database.prepare(sql).bind(...values),
    ]);
  return results.at(-1)?.results.length ?? 0;
}

export default {
  async fetch(request: Request, { LARGE_DB }: BenchEnv): Promise<Response> {
    const { searchParams } = new URL(request.url);
    const way = searchParams.get("way") ?? "";
    const account = searchParams.get("account") ?? "";
    if (way === "fill") {
      await createTokens(LARGE_DB).store.fillMissing(tokenColumns, 1_000_000);
      return new Response("filled");
    }
    const shape = SHAPES.find(({ name }) => name === searchParams.get("shape"));
    if (shape === undefined) return new Response("no such shape", { status: 404 });
    sources ??= createSources(LARGE_DB);
    const source = sources.get(way);
    let rows = 0;
    for (let times = Number(searchParams.get("times")); times > 0; times -= 1) {
      if (way === "batch") rows = await runChecked(LARGE_DB, account, shape);
      else if (source === undefined) rows = await runDirect(LARGE_DB, account, shape);
      else {
        const statement = parseStatement(way === "again" ? shape.sql : `${shape.sql} -- ${(statementNumber += 1)}`);
        rows = (await source.read(openFor(account), statement, shape.values, LIMITS)).rows.length;
      }
    }
    return new Response(String(rows));
  },
};
