// Fuzzes two databases that differ only in what no user here may see: rows that row rules hide, a hidden column, and the masked parts of
// values, each in opposite orders. For every statement, even one that fails on chosen values, both return the same answer with the same
// counts and notes, the same error, or the same refusal. The sample here is bounded; `npm run fuzz:sql -- --minutes 60` runs longer.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import type { Gateway } from "../../../src/gateway/gateway.ts";
import { mask, subject } from "../../../src/config/define-gatehouse.ts";
import { AppError } from "../../../src/errors.ts";
import { callerAs, gatewayFor } from "../../support/gateway.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../../support/policy-builder.ts";
import { createRandom, generateSelect } from "./generator.ts";
import type { Oracle } from "./generator.ts";

const DEFAULT_STATEMENTS = 250;
const ACCOUNTS = ["ruled", "northern", "masked"] as const;
/** Statements that one subject sends before a new one starts with an empty workspace. Each subject's Durable Objects keep files open. */
const STATEMENTS_PER_SUBJECT = 1000;

const configOf = (binding: string) =>
  buildPolicy({
    limits: { rowsPerDay: 100_000_000, maxQuerySteps: 1_000_000 },
    sources: {
      shop: {
        binding,
        tables: {
          people: { id: key(NUMBER), name: TEXT, region: TEXT, email: TEXT, born: NUMBER, notes: TEXT },
          visits: { id: key(NUMBER), person_id: NUMBER, page: TEXT, seconds: NUMBER, day: TEXT, notes: TEXT },
        },
      },
    },
    roles: {
      ruled: [
        allow("shop.people", {
          masks: { email: mask.email },
          hidden: ["notes"],
          rows: {
            any: [
              { column: "region", op: "!=", value: "west" },
              { column: "region", op: "is null" },
            ],
          },
        }),
        allow("shop.visits", { hidden: ["notes"], rows: { column: "seconds", op: "<", value: 90 } }),
      ],
      northern: [
        allow("shop.people", {
          masks: { email: mask.email },
          hidden: ["notes"],
          rows: { column: "region", op: "=", value: subject("region") },
        }),
        allow("shop.visits", { hidden: ["notes"], rows: { column: "seconds", op: "<", value: 90 } }),
      ],
      masked: [
        allow("shop.people", {
          masks: { email: mask.email, name: mask.token("name") },
          hidden: ["notes"],
          rows: { column: "region", op: "in", value: ["north", "south"] },
        }),
        allow("shop.visits", {
          masks: { page: mask.redact },
          hidden: ["notes"],
          rows: { column: "seconds", op: "<", value: 90 },
        }),
      ],
    },
    members: Object.fromEntries(ACCOUNTS.map((role) => [role, { roles: [role], attributes: { region: "north" } }])),
  });

const HIDDEN = ["Hugo", "Gus", "/admin", "h1@west.example"];

/** Values on which an expression fails: of hidden rows, of visible rows, and of no row. */
const CHOSEN = [...HIDDEN, "Ann", "/cart", "north", "no such value"];

const failOnChosen = (text: string, wrong: string, right: string): string =>
  `CASE WHEN ${text} IN ('${CHOSEN.slice(0, 5).join("', '")}') THEN ${wrong} ELSE ${right} END`;

const ORACLES: readonly Oracle[] = [
  (text) => `json(${failOnChosen(text, "'x'", "'1'")}) IS NOT NULL`,
  ...CHOSEN.map(
    (value): Oracle =>
      (text) =>
        `json(CASE ${text} WHEN '${value}' THEN 'x' ELSE '1' END) = '1'`,
  ),
  (text) => `(${failOnChosen(text, "'x'", "'[1]'")} ->> 0) = 1`,
  (text) => `abs(${failOnChosen(text, "-9223372036854775807 - 1", "1")}) = 1`,
  (text) => `(SELECT sum(${failOnChosen(text, "9223372036854775807", "1")} + 0 * v.id) FROM visits v) > 0`,
  (text) => `'a' LIKE ${failOnChosen(text, `'${"a".repeat(60)}'`, "'a'")}`,
  (text) => `CASE WHEN ${text} = 'Hugo' THEN ${text} LIKE '${"a".repeat(60)}' ELSE 1 END`,
  (text) => `CASE WHEN ${text} = 'Hugo' THEN (SELECT 1 LIMIT 'x') ELSE 1 END`,
  (text) =>
    `length(${failOnChosen(text, "replace(printf('%.*c', 100000, 'x'), 'x', printf('%.*c', 2000, 'y'))", "''")}) = 0`,
  (text) => `CASE WHEN ${text} = 'Hugo' THEN 'a' LIKE 'x' COLLATE 'nocase' || '${"a".repeat(60)}' ELSE 1 END`,
  (text) => `CASE WHEN ${text} = 'Hugo' THEN 1 IN (SELECT id FROM visits LIMIT 0, -5 || 'x') ELSE 1 END`,
  (text) => `CASE WHEN ${text} = 'Hugo' THEN (SELECT count(*) FROM json_each('[1]') WHERE root = 'a[') ELSE 1 END`,
  (text) => `(SELECT count(*) FROM json_each(${failOnChosen(text, "'x'", "'[1,2]'")})) = 2`,
  (text) => `unistr(${failOnChosen(text, "'\\x'", "'a'")}) = 'a'`,
  (text) => `CASE WHEN ${text} = 'Hugo' THEN (SELECT nth_value(1, 0) OVER ()) ELSE 1 END`,
];

/** What differs between the databases. */
interface Hidden {
  /** Names in hidden rows. */
  readonly names: readonly string[];
  /** Number of hidden rows in each table. */
  readonly count: number;
  /** Returns the hidden number of a visible row, which has four digits. */
  readonly secretOf: (index: number) => number;
}

async function plant(database: D1Database, { names, count, secretOf }: Hidden): Promise<void> {
  const person = database.prepare("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?)");
  const visit = database.prepare("INSERT INTO visits VALUES (?, ?, ?, ?, ?, ?)");
  const range = (length: number): readonly number[] => Array.from({ length }, (_value, index) => index);
  const nameOf = (index: number): string => names[index % names.length] ?? "";
  await database.batch([
    ...[
      "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, region TEXT, email TEXT, born INTEGER, notes TEXT)",
      "CREATE TABLE visits (id INTEGER PRIMARY KEY, person_id INTEGER, page TEXT, seconds INTEGER, day TEXT, notes TEXT)",
      "CREATE INDEX people_name ON people (name)",
      "CREATE INDEX people_region ON people (region)",
      "CREATE INDEX people_born ON people (born, name)",
      "CREATE INDEX people_email ON people (email)",
      "CREATE INDEX people_notes ON people (notes, name)",
      "CREATE INDEX visits_notes ON visits (notes)",
      "CREATE INDEX visits_person ON visits (person_id)",
      "CREATE INDEX visits_page ON visits (page, seconds)",
      "CREATE INDEX visits_day ON visits (day)",
    ].map((sql) => database.prepare(sql)),
    ...range(40).map((index) =>
      person.bind(
        3 * index,
        ["Ann", "Bob", "Cleo", "Zoe", null][index % 5] ?? null,
        ["north", "south", "east", null][index % 4] ?? null,
        [`u${secretOf(index)}@a.example`, null, "x@b.example"][index % 3] ?? null,
        1960 + (index % 9),
        String(secretOf(index)),
      ),
    ),
    ...range(count).map((index) =>
      person.bind(3 * index + 1, nameOf(index), "west", `${nameOf(index)}@west.example`, 1900 + index, String(index)),
    ),
    ...range(70).map((index) =>
      visit.bind(
        2 * index,
        (index * 7) % 60,
        ["/home", "/cart", "/a/b", null][index % 4] ?? null,
        index,
        `2026-0${1 + (index % 9)}-11`,
        String(secretOf(index)),
      ),
    ),
    ...range(count).map((index) =>
      visit.bind(
        2 * index + 1,
        index,
        index % 2 === 0 ? nameOf(index) : "/admin",
        90 + index,
        "1999-01-01",
        String(index),
      ),
    ),
  ]);
}

let first: Gateway;
let second: Gateway;

beforeAll(async () => {
  await plant(env.SHOP_DB, {
    names: ["Hugo", "h1@west.example", "/admin"],
    count: 30,
    secretOf: (index) => 1000 + index,
  });
  await plant(env.OPS_DB, { names: ["Gus", "Ann", "Ulf", "Vera"], count: 55, secretOf: (index) => 9000 - index });
  first = gatewayFor(configOf("SHOP_DB"));
  second = gatewayFor(configOf("OPS_DB"));
});

/** Runs a query and returns everything that the user gets. */
async function runQuery(gateway: Gateway, caller: ReturnType<typeof callerAs>, sql: string): Promise<string> {
  try {
    return JSON.stringify(
      await gateway.query(caller, { target: { source: "shop", sql }, params: [], rowLimit: undefined }),
    );
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return `${error.code}: ${error.publicMessage}`;
  }
}

/** Queries around a statement whose result depends on hidden rows if these are not fenced. */
const FRAMES: readonly ((sql: string, oracle: (text: string) => string) => string)[] = [
  (sql) => sql,
  (sql) => sql,
  (sql) => `SELECT * FROM (${sql}) LIMIT 3`,
  (sql, oracle) =>
    [
      `SELECT p.id FROM people p WHERE p.name >= 'G' AND ${oracle("p.name")}`,
      `AND (SELECT count(*) FROM (${sql})) >= 0 ORDER BY p.name LIMIT 2`,
    ].join(" "),
  (sql, oracle) =>
    `WITH q AS (${sql}) SELECT count(*) FROM visits v LEFT JOIN q ON ${oracle("v.page")} WHERE v.page > '/'`,
  (_sql, oracle) =>
    `SELECT count(*) FROM people a JOIN visits b ON a.id = b.person_id AND ${oracle("a.name")} WHERE a.born < 1965`,
  (_sql, oracle) => `SELECT name, count(*) FROM people GROUP BY name HAVING ${oracle("name")}`,
  (_sql, oracle) => `SELECT ${oracle("name")} AS hit, id FROM people WHERE born >= 1900 AND hit ORDER BY id LIMIT 4`,
];

it(
  "returns the same answers, errors, refusals, counts and notes for databases that differ in hidden rows",
  { timeout: 24 * 3_600_000 },
  async () => {
    const seed = Number(env.FUZZ_SEED);
    const random = createRandom(seed + 2);
    const pick = <T>(list: readonly T[]): T => {
      const item = list[Math.floor(random() * list.length)];
      if (item === undefined) throw new RangeError("nothing to pick from");
      return item;
    };
    const minutes = Number(env.FUZZ_MINUTES);
    const endsMs = Date.now() + minutes * 60_000;
    const counts = { answers: 0, errors: 0, refusals: 0 };
    let callers = new Map<string, readonly [ReturnType<typeof callerAs>, ReturnType<typeof callerAs>]>();
    let done = 0;
    for (; minutes > 0 ? Date.now() < endsMs : done < DEFAULT_STATEMENTS; done += 1) {
      if (done % (STATEMENTS_PER_SUBJECT * ACCOUNTS.length) === 0)
        callers = new Map(
          ACCOUNTS.map((role) => [
            role,
            [callerAs(`${role}@harbor.example`), callerAs(`${role}@harbor.example`)] as const,
          ]),
        );
      const account = ACCOUNTS[done % ACCOUNTS.length] ?? ACCOUNTS[0];
      const [firstCaller, secondCaller] = callers.get(account) ?? [];
      if (firstCaller === undefined || secondCaller === undefined) throw new Error(`no caller for ${account}`);
      const sql = pick(FRAMES)(generateSelect(random, ORACLES), (text) => pick(ORACLES)(text));
      const [firstOutcome, secondOutcome] = await Promise.all([
        runQuery(first, firstCaller, sql),
        runQuery(second, secondCaller, sql),
      ]);
      expect(secondOutcome, `seed ${seed}, ${account}: ${sql}`).toBe(firstOutcome);
      for (const value of ["Hugo@", "Gus@", "1999-01-01"])
        expect(firstOutcome.replaceAll(sql, "")).not.toContain(value);
      if (firstOutcome.startsWith("{")) counts.answers += 1;
      else if (firstOutcome.startsWith("query_refused")) counts.refusals += 1;
      else counts.errors += 1;
    }
    console.log(`fuzzer of twins: seed ${seed}, ${done} statements, ${JSON.stringify(counts)}`);
    // Each kind of outcome must occur often enough for a comparison.
    expect(counts.answers).toBeGreaterThan(done * 0.3);
    expect(counts.errors).toBeGreaterThan(done * 0.02);
  },
);
