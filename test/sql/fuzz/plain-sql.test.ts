// Fuzzes governed SQL against plain SQL: random SELECTs over guard views return what the same SELECTs return over a database whose tables
// contain the masked and filtered rows, in whatever form the views are. The sample here is bounded; `npm run fuzz:sql -- --minutes 10` runs longer.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { mask } from "../../../src/config/define-gatehouse.ts";
import { AppError } from "../../../src/errors.ts";
import { toJsonCell } from "../../../src/sql/result-encoding.ts";
import { listMaskingTokenColumns } from "../../../src/masking-tokens/masking-token-columns.ts";
import { createMaskingTokenStore } from "../../../src/masking-tokens/masking-token-store.ts";
import { createGovernedMiddleware } from "../../../src/read/governed-middleware.ts";
import type { Middleware } from "../../../src/read/read-pipeline.ts";
import type { ViewForm } from "../../../src/sql/statement-guard.ts";
import { TOKEN_KEY, createReader } from "../../support/governed.ts";
import type { Reader } from "../../support/governed.ts";
import { listenedReader } from "../../support/listened.ts";
import { DATE, NUMBER, TEXT, allow, buildPolicy, key } from "../../support/policy-builder.ts";
import { TABLES, createRandom, generateSelect } from "./generator.ts";

const DEFAULT_STATEMENTS = 600;
const MAX_ROWS = 2000;
const REGIONS = ["north", "south", "east", null];

/** Two roles on the same rows: addresses in the north are shown unmasked, elsewhere masked; rows of the west are hidden. */
const config = buildPolicy({
  tables: {
    people: { id: key(NUMBER), name: TEXT, region: TEXT, email: TEXT, born: DATE, notes: TEXT },
    visits: { id: key(NUMBER), person_id: NUMBER, page: TEXT, seconds: NUMBER, day: TEXT, agent: TEXT },
  },
  roles: {
    some: [
      allow("shop.people", {
        masks: { email: mask.email, born: mask.year },
        hidden: ["notes"],
        rows: {
          any: [
            { column: "region", op: "!=", value: "west" },
            { column: "region", op: "is null" },
          ],
        },
      }),
      allow("shop.visits", {
        hidden: ["agent"],
        masks: { page: mask.token("page") },
        rows: { column: "seconds", op: "<", value: 90 },
      }),
    ],
    north: [
      allow("shop.people", {
        masks: { born: mask.year },
        hidden: ["notes"],
        rows: { column: "region", op: "=", value: "north" },
      }),
    ],
  },
  members: { fuzz: ["some", "north"] },
});

const reader = createReader(config);

/** The form that statements run in; undefined for that of the planner. */
let forcedForm: Partial<ViewForm> | undefined;
/** Changes the form that the planner chose. Sorted views stay sorted, and fenced views stay fenced. */
const forceForm: Middleware = (next) => async (context) => {
  const { request } = context;
  if (forcedForm === undefined || request.sortsViews) return next(context);
  return next({ ...context, request: { ...request, form: { ...request.form, ...forcedForm } } });
};

function createFormReader(): Reader {
  const [planning, ...others] = createGovernedMiddleware({ allowsRecursion: false, maxSteps: 1e9 });
  if (planning === undefined || TOKEN_KEY === null) throw new Error("no layers or no key");
  const tokens = {
    store: createMaskingTokenStore(env.SHOP_DB, TOKEN_KEY),
    columns: listMaskingTokenColumns(config.policy, "shop"),
  };
  return listenedReader(config, env.SHOP_DB, [planning, forceForm, ...others], tokens).reader;
}

const formReader = createFormReader();
const FORMS: readonly Partial<ViewForm>[] = [true, false].flatMap((ruleIndexed) =>
  [true, false].flatMap((leftJoined) =>
    [{}, { materialized: true }, { fenced: true }, { masksOnce: true }].map((form) => ({
      ruleIndexed,
      leftJoined,
      ...form,
    })),
  ),
);

beforeAll(async () => {
  const random = createRandom(7);
  const below = (count: number): number => Math.floor(random() * count);
  const person = env.SHOP_DB.prepare("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?)");
  const visit = env.SHOP_DB.prepare("INSERT INTO visits VALUES (?, ?, ?, ?, ?, ?)");
  await env.SHOP_DB.batch([
    env.SHOP_DB.prepare(
      "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, region TEXT, email TEXT, born TEXT, notes TEXT)",
    ),
    env.SHOP_DB.prepare(
      "CREATE TABLE visits (id INTEGER PRIMARY KEY, person_id INTEGER, page TEXT, seconds INTEGER, day TEXT, agent TEXT)",
    ),
    env.SHOP_DB.prepare("CREATE INDEX visits_person ON visits (person_id)"),
    env.SHOP_DB.prepare("CREATE INDEX people_email ON people (email)"),
    env.SHOP_DB.prepare("CREATE INDEX people_region ON people (region)"),
    env.SHOP_DB.prepare("CREATE INDEX visits_seconds ON visits (seconds)"),
    ...Array.from({ length: 60 }, (_value, id) =>
      person.bind(
        id,
        ["Ann", "Bob", "Cleo", null][below(4)] ?? null,
        [...REGIONS, "west"][below(5)] ?? null,
        [`u${id}@a.example`, "no address", null, `x@b${below(3)}.example`][below(4)] ?? null,
        ["1990-05-06", "2001-12-31", "unknown", null][below(4)] ?? null,
        "hidden",
      ),
    ),
    ...Array.from({ length: 150 }, (_value, id) =>
      visit.bind(
        id,
        below(70),
        ["/home", "/cart", "/a/b", null][below(4)] ?? null,
        [below(120), null][below(8) === 0 ? 1 : 0] ?? null,
        `2026-0${1 + below(9)}-1${below(9)}`,
        "agent",
      ),
    ),
  ]);
  // Store the tables as the user sees them. A masked column declares a type, as the columns of these tables do.
  for (const [table, columns] of Object.entries(TABLES)) {
    const definitions = columns.map(({ name, type }) => `${name} ${type === "number" ? "INTEGER" : "TEXT"}`);
    await env.OPS_DB.prepare(`CREATE TABLE ${table} (${definitions.join(", ")})`).run();
    const { rows } = await reader.read("fuzz", `SELECT * FROM ${table}`, [], MAX_ROWS);
    const insert = env.OPS_DB.prepare(
      `INSERT INTO ${table} VALUES (${columns.map(({ type }) => (type === "number" ? "CAST(? AS INTEGER)" : "?")).join(", ")})`,
    );
    await env.OPS_DB.batch(rows.map((row) => insert.bind(...row.map(toJsonCell))));
  }
});

const sorted = (rows: readonly (readonly unknown[])[]): readonly string[] =>
  rows.map((row) => JSON.stringify(row)).toSorted();

/** Runs a statement over the plain tables; undefined if SQLite refuses it. */
async function runPlain(sql: string): Promise<readonly string[] | undefined> {
  try {
    const [, ...rows] = await env.OPS_DB.prepare(`SELECT * FROM (\n${sql}\n) LIMIT ${MAX_ROWS}`).raw({
      columnNames: true,
    });
    return sorted(rows);
  } catch {
    // On an overflow or too many terms, the governed statement must fail too.
    return undefined;
  }
}

/** Runs a statement over the guard views. */
async function runGoverned(sql: string, through = reader): Promise<readonly string[] | string> {
  try {
    return sorted((await through.read("fuzz", sql, [], MAX_ROWS)).rows.map((row) => row.map(toJsonCell)));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.publicMessage;
  }
}

/** Whether a statement was refused for a limit on composed statements or on work, which plain tables do not have. */
function isRefusal(outcome: readonly string[] | string): boolean {
  return typeof outcome === "string" && /too much work|too large|too many/.test(outcome);
}

it("returns what plain SQL returns over the tables as the user sees them", { timeout: 24 * 3_600_000 }, async () => {
  const { FUZZ_MINUTES, FUZZ_SEED } = env;
  const seed = Number(FUZZ_SEED);
  const random = createRandom(seed);
  const endsMs = Date.now() + Number(FUZZ_MINUTES) * 60_000;
  const isOver = (done: number): boolean =>
    Number(FUZZ_MINUTES) > 0 ? Date.now() > endsMs : done >= DEFAULT_STATEMENTS;
  let answered = 0;
  let done = 0;
  for (; !isOver(done); done += 1) {
    const sql = generateSelect(random);
    const expected = await runPlain(sql);
    // The row limit may cut any of them.
    if (expected?.length === MAX_ROWS) continue;
    const [actual, repeated] = [await runGoverned(sql), await runGoverned(sql)];
    expect(repeated, `seed ${seed}, again: ${sql}`).toEqual(actual);
    forcedForm = FORMS[done % FORMS.length];
    const forced = await runGoverned(sql, formReader);
    expect(forced, `seed ${seed}, as ${JSON.stringify(forcedForm)}: ${sql}`).toEqual(actual);
    if (expected === undefined) expect(actual, `seed ${seed}: ${sql}`).toBeTypeOf("string");
    else if (!isRefusal(actual)) expect(actual, `seed ${seed}: ${sql}`).toEqual(expected);
    if (typeof actual !== "string") answered += 1;
  }
  console.log(`fuzzer: seed ${seed}, ${done} statements, ${answered} of them answered`);
  expect(answered).toBeGreaterThan(done * 0.7);
});
