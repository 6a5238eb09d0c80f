// Fuzzes row order with two databases that look the same to a user, but whose masked and hidden values are in opposite orders. For every
// statement, both return the same rows in the same order. The sample here is bounded; `npm run fuzz:sql -- --minutes 10` runs longer.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { mask } from "../../../src/config/define-gatehouse.ts";
import { AppError } from "../../../src/errors.ts";
import { createReader } from "../../support/governed.ts";
import type { Reader } from "../../support/governed.ts";
import { DATE, NUMBER, TEXT, allow, buildPolicy, key } from "../../support/policy-builder.ts";
import { createRandom, generateSelect } from "./generator.ts";

const DEFAULT_STATEMENTS = 500;
const MAX_ROWS = 2000;
const PEOPLE = 40;
const VISITS = 80;
const ACCOUNTS = ["masked", "ruled"] as const;

const configOf = (binding: string) =>
  buildPolicy({
    sources: {
      shop: {
        binding,
        tables: {
          people: { id: key(NUMBER), name: TEXT, region: TEXT, email: TEXT, born: DATE, notes: TEXT },
          visits: { id: NUMBER, person_id: NUMBER, page: TEXT, seconds: NUMBER, day: TEXT, agent: TEXT },
        },
      },
    },
    roles: {
      masked: [
        allow("shop.people", { masks: { email: mask.email, born: mask.year }, hidden: ["notes"] }),
        allow("shop.visits", { masks: { page: mask.redact }, hidden: ["agent"] }),
      ],
      ruled: [
        allow("shop.people", {
          masks: { email: mask.email, born: mask.year },
          hidden: ["notes"],
          rows: { column: "notes", op: ">=", value: "1" },
        }),
        allow("shop.visits", {
          masks: { page: mask.redact },
          hidden: ["agent"],
          rows: { column: "agent", op: "!=", value: "nobody" },
        }),
      ],
    },
  });

/** Creates the tables. `secretOf` returns the hidden number of a row, which has three digits. */
async function plant(database: D1Database, secretOf: (id: number) => number): Promise<void> {
  const person = database.prepare("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?, NULL)");
  const visit = database.prepare("INSERT INTO visits VALUES (?, ?, ?, ?, ?, ?, NULL)");
  const range = (count: number): readonly number[] => Array.from({ length: count }, (_value, index) => index);
  await database.batch([
    ...[
      "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, region TEXT COLLATE NOCASE, email TEXT, born TEXT, notes TEXT, more TEXT)",
      [
        "CREATE TABLE visits (id INTEGER PRIMARY KEY, person_id INTEGER, page TEXT, seconds INTEGER, day TEXT,",
        "agent TEXT, more TEXT) WITHOUT ROWID",
      ].join(" "),
      "CREATE INDEX people_email ON people (email)",
      "CREATE INDEX people_notes ON people (notes, region)",
      "CREATE INDEX people_born ON people (born, name)",
      "CREATE INDEX visits_page ON visits (page, person_id)",
      "CREATE INDEX visits_agent ON visits (seconds, agent)",
    ].map((sql) => database.prepare(sql)),
    ...range(PEOPLE).map((id) => {
      const hidden = String(secretOf(id));
      return person.bind(
        id,
        ["Ann", "Bob", "Cleo", null][id % 4] ?? null,
        ["north", "North", "south"][id % 3] ?? null,
        `n${hidden}@d${id % 2}.example`,
        `${1990 + (id % 5)}-01-${hidden.slice(1)}`,
        hidden,
      );
    }),
    ...range(VISITS).map((id) => {
      const hidden = String(secretOf(id % PEOPLE));
      return visit.bind(id, (id * 7) % 50, hidden, (id * 11) % 30, `2026-0${1 + (id % 9)}-11`, hidden);
    }),
    database.prepare("ANALYZE"),
  ]);
}

let first: Reader;
let second: Reader;

beforeAll(async () => {
  await plant(env.SHOP_DB, (id) => 110 + (id % 20) + Math.floor(id / 20));
  await plant(env.OPS_DB, (id) => 131 - (id % 20) - Math.floor(id / 20));
  first = createReader(configOf("SHOP_DB"));
  second = createReader(configOf("OPS_DB"));
});

async function runStatement(reader: Reader, account: string, sql: string): Promise<string> {
  try {
    return JSON.stringify((await reader.read(account, sql, [], MAX_ROWS)).rows);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.publicMessage;
  }
}

/** Queries around a statement whose result depends on the order of its rows. */
const FRAMES: readonly ((sql: string) => string)[] = [
  (sql) => sql,
  (sql) => `SELECT * FROM (${sql}) LIMIT 5`,
  (sql) => `SELECT * FROM (${sql}) ORDER BY NULL`,
  (sql) => `SELECT *, row_number() OVER () FROM (${sql})`,
  (sql) => `SELECT p.id, q.* FROM people p JOIN (${sql}) q ON p.id < 3`,
  (sql) =>
    `SELECT p.*, (SELECT group_concat(name) FROM people WHERE region = p.region) FROM people p, (${sql} LIMIT 2)`,
];

it("returns rows in an order that hidden values do not influence", { timeout: 24 * 3_600_000 }, async () => {
  const seed = Number(env.FUZZ_SEED);
  const random = createRandom(seed + 1);
  const minutes = Number(env.FUZZ_MINUTES);
  const endsMs = Date.now() + minutes * 60_000;
  let answered = 0;
  let done = 0;
  for (; minutes > 0 ? Date.now() < endsMs : done < DEFAULT_STATEMENTS; done += 1) {
    const frame = FRAMES[Math.floor(random() * FRAMES.length)] ?? String;
    const account = ACCOUNTS[done % ACCOUNTS.length] ?? ACCOUNTS[0];
    const sql = frame(generateSelect(random));
    const outcome = await runStatement(first, account, sql);
    expect(await runStatement(second, account, sql), `seed ${seed}, ${account}: ${sql}`).toBe(outcome);
    if (outcome.startsWith("[[")) answered += 1;
  }
  console.log(`fuzzer of order: seed ${seed}, ${done} statements, ${answered} of them with rows`);
  expect(answered).toBeGreaterThan(done * 0.5);
});
