// Compares stored results with their sources: a predicate, an order or a grouping over a stored result finds what it finds over the statement
// that the result was read with. The sample here is bounded; `npm run fuzz:sql -- --minutes 10` runs longer.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { AppError } from "../../src/errors.ts";
import { mask } from "../../src/config/define-gatehouse.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { DATE, NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import { createRandom } from "../sql/fuzz/generator.ts";

const DEFAULT_ROUNDS = 25;
const PREDICATES_PER_ROUND = 6;

const REAL = { type: "real", description: "Real" } as const;

const config = buildPolicy({
  limits: { shownRows: 200, defaultRows: 200 },
  tables: {
    things: {
      id: key(NUMBER),
      big: NUMBER,
      name: TEXT,
      code: TEXT,
      label: TEXT,
      price: REAL,
      amount: REAL,
      loose: TEXT,
      born: DATE,
      age: NUMBER,
      mail: TEXT,
      pay: REAL,
    },
  },
  roles: {
    reader: [
      allow("shop.things", {
        masks: { born: mask.year, age: mask.bucket(10), mail: mask.email, pay: mask.round(100) },
        rows: { column: "id", op: "<", value: 30 },
      }),
    ],
  },
});

const COLUMNS = ["id", "big", "name", "code", "label", "price", "amount", "loose", "born", "age", "mail", "pay"];

beforeAll(async () => {
  const random = createRandom(18);
  const pick = <T>(list: readonly T[]): T | null => list[Math.floor(random() * list.length)] ?? null;
  await env.SHOP_DB.batch([
    env.SHOP_DB.prepare(
      `CREATE TABLE things (
        id INTEGER PRIMARY KEY, big BIGINT, name TEXT COLLATE NOCASE, code VARCHAR(10) COLLATE RTRIM, label TEXT,
        price REAL, amount NUMERIC, loose, born TEXT, age INTEGER, mail TEXT COLLATE NOCASE, pay REAL
      )`,
    ),
    ...Array.from({ length: 40 }, (_value, id) =>
      env.SHOP_DB.prepare(
        "INSERT INTO things VALUES (?, CAST(? AS INTEGER), ?, ?, ?, ?, ?, iif(?, CAST(? AS INTEGER), ?), ?, ?, ?, ?)",
      ).bind(
        id,
        pick(["1234567890123456789", "9007199254740993", "5", "12", "-9223372036854775808"]),
        pick(["Ann", "ANN", "ann", "Bob", "5", "12", null]),
        pick(["x", "x ", "X", "5", "12", "007", null]),
        pick(["Ann", "5", "12", "12.0", "007", "", "1962-02-18", null]),
        pick([0.5, 5, 12, 12.25, 1e300, null]),
        pick([5, 12, 12.5, "text", null]),
        pick([1, 0]),
        pick([5, 12]),
        pick(["5", "12", "Ann", null]),
        pick(["1962-02-18", "1970-12-31", "1999-01-01", "soon", null]),
        pick([5, 12, 44, 67, null]),
        pick(["ann@a.example", "ANN@A.EXAMPLE", "bob@b.example", "none", null]),
        pick([149.5, 150, 12, 5000, null]),
      ),
    ),
  ]);
});

const LITERALS = ["5", "12", "5.0", "12.5", "'5'", "'12'", "'12.0'", "'ANN'", "'Ann'", "'x'", "'x '", "'007'", "NULL"];
const LATER_LITERALS = [
  "1234567890123456789",
  "'1234567890123456789'",
  "'9007199254740993'",
  "'1962-01-01'",
  "''",
  "60",
];
const OPERATORS = ["=", "<>", "<", ">=", "IS", "IS NOT"];

/** Expressions over a column, named by `as`. */
const EXPRESSIONS: readonly ((column: string) => string)[] = [
  (column) => column,
  (column) => column,
  (column) => column,
  (column) => `CAST(${column} AS TEXT)`,
  (column) => `CAST(${column} AS INTEGER)`,
  (column) => `CAST(${column} AS NUMERIC)`,
  (column) => `${column} COLLATE NOCASE`,
  (column) => `CASE WHEN id % 2 = 0 THEN ${column} END`,
  (column) => `+${column}`,
  (column) => `upper(${column})`,
  (column) => `${column} || ''`,
  (column) => `length(${column})`,
  (column) => `(SELECT max(t.${column}) FROM things t WHERE t.id <= things.id)`,
];

interface Statement {
  readonly sql: string;
  readonly names: readonly string[];
}

function createGenerator(random: () => number) {
  const pick = <T>(list: readonly T[]): T => {
    const item = list[Math.floor(random() * list.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  };
  const value = (): string => pick([...LITERALS, ...LATER_LITERALS]);
  const statement = (): Statement => {
    const names = ["a", "b", "c", "d"];
    const select = (): string => names.map((name) => `${pick(EXPRESSIONS)(pick(COLUMNS))} AS ${name}`).join(", ");
    const whole = { sql: "SELECT * FROM things", names: COLUMNS };
    return pick([
      () => whole,
      () => ({ sql: `SELECT ${select()} FROM things`, names }),
      () => ({ sql: `SELECT ${select()} FROM things`, names }),
      () => ({ sql: `SELECT DISTINCT ${select()} FROM things`, names }),
      // SQLite compares each arm of a UNION by its own types, so both arms have the same ones here.
      () => {
        const list = select();
        return { sql: `SELECT ${list} FROM things WHERE id < 9 UNION ALL SELECT ${list} FROM things`, names };
      },
      () => {
        const column = pick(COLUMNS);
        return {
          sql: `SELECT ${column} AS a, count(*) AS b, max(label) AS c, avg(id) AS d FROM things GROUP BY ${column}`,
          names,
        };
      },
      () => ({ sql: `WITH t(a, b, c, d) AS (SELECT ${select()} FROM things) SELECT * FROM t`, names }),
    ])();
  };
  const predicate = (names: readonly string[]): string => {
    const comparison = (): string =>
      pick([
        () => `${pick(names)} ${pick(OPERATORS)} ${value()}`,
        () => `${pick(names)} ${pick(OPERATORS)} ${pick(names)}`,
        () => `${pick(names)} IN (${value()}, ${value()})`,
        () => `${pick(names)} BETWEEN ${value()} AND ${value()}`,
        () => `${pick(names)} LIKE '1%'`,
        () => `${pick(names)} IN (SELECT x.${pick(names)} FROM FROM_HERE AS x)`,
        () => `typeof(${pick(names)}) = '${pick(["integer", "real", "text", "null"])}'`,
        () => `${pick(names)} / 2 = ${value()}`,
      ])();
    return random() < 0.3 ? `${comparison()} OR ${comparison()}` : comparison();
  };
  return { statement, predicate };
}

it("finds the same rows in a stored result as in its statement", { timeout: 24 * 3_600_000 }, async () => {
  const { FUZZ_MINUTES, FUZZ_SEED } = env;
  const seed = Number(FUZZ_SEED);
  const random = createRandom(seed);
  const { statement, predicate } = createGenerator(random);
  const [gateway, caller] = [gatewayFor(config), callerAs("reader@harbor.example")];
  const query = (source: string, sql: string) =>
    gateway.query(caller, { target: { source, sql }, params: [], rowLimit: 200 });
  /** The rows in any order, or the error's code. */
  const outcome = async (source: string, sql: string): Promise<unknown> => {
    try {
      return (await query(source, sql)).rows.map((row) => JSON.stringify(row)).toSorted();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return error.code;
    }
  };
  const endsMs = Date.now() + Number(FUZZ_MINUTES) * 60_000;
  const isOver = (done: number): boolean => (Number(FUZZ_MINUTES) > 0 ? Date.now() > endsMs : done >= DEFAULT_ROUNDS);
  let compared = 0;
  for (let done = 0; !isOver(done); done += 1) {
    const { sql, names } = statement();
    const { result } = await query("shop", sql);
    for (let index = 0; index < PREDICATES_PER_ROUND; index += 1) {
      const condition = predicate(names);
      const group = names[index % names.length];
      const build = (from: string): string =>
        index === 0
          ? `SELECT min(lower(${group} || '')), count(*) FROM ${from} GROUP BY ${group}`
          : // With IN, SQLite may convert the value that it returns, so only the number of rows is compared.
            `SELECT ${condition.includes("FROM_HERE") ? "count(*)" : "*"} FROM ${from} WHERE ${condition.replaceAll("FROM_HERE", from)}`;
      const [expected, actual] = [await outcome("shop", build(`(${sql})`)), await outcome("workspace", build(result))];
      expect(actual, `seed ${seed}: ${build(result)} of ${sql}`).toEqual(expected);
      compared += Array.isArray(actual) && actual.length > 0 ? 1 : 0;
    }
  }
  console.log(`stored predicates: seed ${seed}, ${compared} comparisons with rows`);
  expect(compared).toBeGreaterThan(DEFAULT_ROUNDS * 2);
});
