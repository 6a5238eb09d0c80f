// Runs one shape so often, in one way, and says how many rows came: the time is taken outside. Only `again` sends a text that came
// before; every other way asks something new each time.
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import { NO_RECORD } from "../../src/policy/model.ts";
import { tokenColumnsOf } from "../../src/policy/tokens.ts";
import { createD1Source } from "../../src/sources/d1.ts";
import { createSchemaKeeper } from "../../src/sources/d1-schema.ts";
import { authorizer, exactValues, guard, verification } from "../../src/sources/layers.ts";
import { planner } from "../../src/sources/planner.ts";
import type { LayerOptions } from "../../src/sources/layers.ts";
import type { Layer } from "../../src/sources/reading.ts";
import type { OpenTable, TableSource } from "../../src/sources/source.ts";
import type { TableTokens } from "../../src/sources/tables.ts";
import { createTokenStore, parseTokenKey } from "../../src/sources/tokens.ts";
import { objectsOfSql } from "../../src/sql/schema.ts";
import { parseStatement } from "../../src/sql/statement.ts";
import { config } from "./policy.ts";
import { SHAPES } from "./shapes.ts";
import type { Shape } from "./shapes.ts";

interface BenchEnv {
  readonly LARGE_DB: D1Database;
}

const LIMITS = { maxRows: 500, maxValueBytes: 1_000_000, maxTotalBytes: 10_000_000, bookmark: null };
const { policy } = config;
const datasets = policy.datasets.filter((dataset) => dataset.kind === "table");

/** The sources by how many layers they have. */
let sources: ReadonlyMap<string, TableSource> | undefined;
/** So that no statement of a way that is always new comes twice. */
let asked = 0;

const key = parseTokenKey("a key of the benchmark, long enough to be one");
const tokenColumns = tokenColumnsOf(policy, "large");

function createTokens(database: D1Database): TableTokens {
  if (key === null) throw new TypeError("there is no key");
  return { store: createTokenStore(database, key), columns: tokenColumns };
}

/** In place of the planner: the form that it chooses most often. */
const unplanned: Layer = (next) => (reading) => {
  const form = { materialized: false, ordering: "free", untelling: [] } as const;
  return next({ ...reading, request: { ...reading.request, form } });
};

function createSources(database: D1Database): ReadonlyMap<string, TableSource> {
  const [declaration] = policy.sources;
  if (declaration === undefined) throw new TypeError("the policy declares no source");
  const schemas = createSchemaKeeper(declaration, datasets, database, console.error, { tokenColumns, expressions: [] });
  const tokens = createTokens(database);
  const o: LayerOptions = { allowsRecursion: false, maxSteps: 1e12 };
  const all = [planner(o), guard(), authorizer(o), exactValues(), verification()];
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

function openFor(account: string): readonly OpenTable[] {
  const subject = resolveSubject(
    policy,
    { subjectId: account, email: `${account}@harbor.example`, groups: [] },
    NO_RECORD,
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

/** The least that a read can take which is checked in its own transaction: the same batch, and nothing else of Gatehouse. */
async function runChecked(database: D1Database, account: string, shape: Shape): Promise<number> {
  const isRuled = account === "north";
  const sql = isRuled ? shape.ruledSql : shape.sql;
  const values = [...shape.values, ...(isRuled ? shape.ruledValues : [])];
  const objects = objectsOfSql(["orders", "customers"]);
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
      await createTokens(LARGE_DB).store.fill(tokenColumns, 1_000_000);
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
        const statement = parseStatement(way === "again" ? shape.sql : `${shape.sql} -- ${(asked += 1)}`);
        rows = (await source.read(openFor(account), statement, shape.values, LIMITS)).rows.length;
      }
    }
    return new Response(String(rows));
  },
};
