// The differential fuzzer: random SELECTs over guard views give what the same SELECTs give over a database in which the
// masked, filtered tables really are tables. Bounded here; `npm run fuzz:sql -- --minutes 10` runs it for longer.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { defineGatehouse, mask } from "../../../src/config.ts";
import { AppError } from "../../../src/errors.ts";
import { showCell } from "../../../src/sql/exact.ts";
import { createReader } from "../../support/governed.ts";
import { TABLES, createRandom, generateSelect } from "./generator.ts";

const DEFAULT_STATEMENTS = 600;
const MAX_ROWS = 2000;
const REGIONS = ["north", "south", "east", null];

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;

/** Two roles on the same rows: in the north addresses come in clear, elsewhere masked; the west is out of sight. */
const config = defineGatehouse({
  organisation: { name: "Test", contact: "Test" },
  sources: {
    shop: {
      kind: "d1",
      binding: "SHOP_DB",
      title: "Fuzzed",
      description: "Fuzzed",
      tables: {
        people: {
          description: "People",
          key: "id",
          columns: {
            id: NUMBER,
            name: TEXT,
            region: TEXT,
            email: TEXT,
            born: { type: "date", description: "Day" },
            notes: TEXT,
          },
        },
        visits: {
          description: "Visits",
          key: "id",
          columns: { id: NUMBER, person_id: NUMBER, page: TEXT, seconds: NUMBER, day: TEXT, agent: TEXT },
        },
      },
    },
  },
  roles: {
    some: {
      description: "s",
      rules: [
        {
          action: "read",
          datasets: ["shop.people"],
          masks: { email: mask.email, born: mask.year },
          hidden: ["notes"],
          rows: {
            any: [
              { column: "region", op: "!=", value: "west" },
              { column: "region", op: "is null" },
            ],
          },
        },
        {
          action: "read",
          datasets: ["shop.visits"],
          hidden: ["agent"],
          masks: { page: mask.token("page") },
          rows: { column: "seconds", op: "<", value: 90 },
        },
      ],
    },
    north: {
      description: "n",
      rules: [
        {
          action: "read",
          datasets: ["shop.people"],
          masks: { born: mask.year },
          hidden: ["notes"],
          rows: { column: "region", op: "=", value: "north" },
        },
      ],
    },
  },
  members: [{ email: "fuzz@harbor.example", name: "f", roles: ["some", "north"] }],
});

const reader = createReader(config);

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
  // The tables as the person sees them, as tables: computed columns have no type there either.
  for (const [table, columns] of Object.entries(TABLES)) {
    const typed = columns.map(({ name, type }) =>
      ["email", "born", "page"].includes(name) ? name : `${name} ${type === "number" ? "INTEGER" : "TEXT"}`,
    );
    await env.OPS_DB.prepare(`CREATE TABLE ${table} (${typed.join(", ")})`).run();
    const { rows } = await reader.read("fuzz", `SELECT * FROM ${table}`, [], MAX_ROWS);
    const insert = env.OPS_DB.prepare(
      `INSERT INTO ${table} VALUES (${columns.map(({ type }) => (type === "number" ? "CAST(? AS INTEGER)" : "?")).join(", ")})`,
    );
    await env.OPS_DB.batch(rows.map((row) => insert.bind(...row.map(showCell))));
  }
});

const sorted = (rows: readonly (readonly unknown[])[]): readonly string[] =>
  rows.map((row) => JSON.stringify(row)).toSorted();

/** What the statement gives over the plain tables; undefined when SQLite refuses it. */
async function plainly(sql: string): Promise<readonly string[] | undefined> {
  try {
    const [, ...rows] = await env.OPS_DB.prepare(`SELECT * FROM (\n${sql}\n) LIMIT ${MAX_ROWS}`).raw({
      columnNames: true,
    });
    return sorted(rows);
  } catch {
    // An overflow, or too many terms: then the governed statement must fail too.
    return undefined;
  }
}

async function governed(sql: string): Promise<readonly string[] | string> {
  try {
    return sorted((await reader.read("fuzz", sql, [], MAX_ROWS)).rows.map((row) => row.map(showCell)));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.publicMessage;
  }
}

/** The limits of a composed statement and of work are not the plain tables'. */
function isRefusal(got: readonly string[] | string): boolean {
  return typeof got === "string" && /too much work|too large|too many/.test(got);
}

it("governed SQL is SQL over the tables as one sees them", { timeout: 24 * 3_600_000 }, async () => {
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
    const [expected, got, again] = [await plainly(sql), await governed(sql), await governed(sql)];
    expect(again, `seed ${seed}, again: ${sql}`).toEqual(got);
    if (expected === undefined) expect(got, `seed ${seed}: ${sql}`).toBeTypeOf("string");
    else if (!isRefusal(got)) expect(got, `seed ${seed}: ${sql}`).toEqual(expected);
    if (typeof got !== "string") answered += 1;
  }
  console.log(`fuzzer: seed ${seed}, ${done} statements, ${answered} of them answered`);
  expect(answered).toBeGreaterThan(done * 0.7);
});
