// Row order reveals no hidden values even where SQLite does more than the query names: automatic indexes that contain unused columns, plans
// that change after ANALYZE, texts that are equal as numbers, and tables whose row order cannot be named in SQL.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { createReader } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

/** More columns than SQLite tracks individually, so its automatic indexes contain unused ones. */
const MANY = Array.from({ length: 80 }, (_value, index) => `c${index}`);

const config = buildPolicy({
  tables: {
    teams: { id: key(NUMBER), name: TEXT },
    wide: { id: key(NUMBER), team: TEXT, c70: TEXT },
    computed: { id: key(NUMBER), team: TEXT, initial: TEXT, secret: TEXT },
    growing: { id: key(NUMBER), team: TEXT, email: TEXT },
    codes: { id: NUMBER, code: NUMBER },
    odd: { id: NUMBER, rowid: TEXT, name: TEXT },
  },
  roles: {
    reader: [
      allow(["shop.teams", "shop.wide", "shop.odd"]),
      allow("shop.computed", { hidden: ["secret"] }),
      allow("shop.growing", { masks: { email: mask.redact } }),
      allow("shop.codes", { hidden: ["code"], rows: { column: "code", op: "=", value: 5 } }),
    ],
  },
});

async function run(...statements: readonly string[]): Promise<void> {
  await env.SHOP_DB.batch(statements.map((sql) => env.SHOP_DB.prepare(sql)));
}

const NINE = "json_each('[1,2,3,4,5,6,7,8,9]')";

beforeAll(async () => {
  await run(
    "CREATE TABLE teams (id INTEGER PRIMARY KEY, name TEXT)",
    "INSERT INTO teams VALUES (1, 'red'), (2, 'blue')",
    `CREATE TABLE wide (id INTEGER PRIMARY KEY, team TEXT, ${MANY.map((name) => `${name} TEXT`).join(", ")})`,
    `INSERT INTO wide (id, team, c70) SELECT value, CASE WHEN value % 2 THEN 'red' ELSE 'blue' END, 'x' FROM ${NINE}`,
    `CREATE TABLE computed (secret TEXT, id INTEGER PRIMARY KEY, team TEXT,
      initial TEXT GENERATED ALWAYS AS (substr(secret, 1, 1)) VIRTUAL)`,
    `INSERT INTO computed (id, team) SELECT value, CASE WHEN value % 2 THEN 'red' ELSE 'blue' END FROM ${NINE}`,
    "CREATE TABLE codes (id INTEGER, code TEXT, more TEXT, and_more TEXT)",
    "CREATE INDEX codes_code ON codes (code, id)",
    "CREATE TABLE odd (id INTEGER, rowid TEXT, name TEXT, secret INTEGER, more TEXT)",
    "CREATE INDEX odd_name ON odd (name, secret)",
    `INSERT INTO odd SELECT value, 'r', 'thing ' || (value % 3), 900 - value, '' FROM ${NINE}`,
  );
});

/** The answers to a query before and after the hidden values are put in reverse order. */
async function readInBothOrders(
  sql: string,
  arrange: (isReversed: boolean) => readonly string[],
): Promise<readonly string[]> {
  const { outcome } = createReader(config);
  const answers: string[] = [];
  for (const isReversed of [false, true]) {
    await run(...arrange(isReversed));
    answers.push(await outcome("reader", sql));
  }
  return answers;
}

it.each([
  [
    "a table with many columns",
    "SELECT w.id, w.c70 FROM teams t CROSS JOIN wide w ON w.team = t.name",
    (isReversed: boolean) => [`UPDATE wide SET c66 = ${isReversed ? "9 - id" : "id"}`],
  ],
  [
    "a table with a generated column",
    "SELECT g.id, g.initial FROM teams t CROSS JOIN computed g ON g.team = t.name",
    (isReversed: boolean) => [`UPDATE computed SET secret = 's' || (${isReversed ? "9 - id" : "id"})`],
  ],
  [
    "texts that are equal as numbers",
    "SELECT id FROM codes",
    (isReversed: boolean) => [
      "DELETE FROM codes",
      ...["'5'", "'05'", "'5.0'", "' 5'"].map(
        (code, index, codes) =>
          `INSERT INTO codes (id, code) VALUES (${index}, ${isReversed ? codes.at(-1 - index) : code})`,
      ),
    ],
  ],
])("row order reveals no hidden values in %s", async (_case, sql, arrange) => {
  const [inFirstOrder, inReverseOrder] = await readInBothOrders(sql, arrange);
  expect(inFirstOrder).toMatch(/^\[\[/);
  expect(inReverseOrder).toBe(inFirstOrder);
});

it("row order reveals no hidden values when a table has grown since the statement was planned", async () => {
  const sql =
    "SELECT t.id, (SELECT group_concat(p.id || p.email) FROM growing p WHERE p.team = t.name) FROM teams t LIMIT 1";
  await run(
    "CREATE TABLE growing (email TEXT, id INTEGER PRIMARY KEY, team TEXT)",
    "INSERT INTO growing VALUES ('a', 1, 'red')",
    "ANALYZE",
  );
  const { outcome } = createReader(config);
  expect(await outcome("reader", sql)).toBe('[[1,"1[redacted]"]]');
  const numbers = (last: number) => `WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < ${last})`;
  await run(
    "DELETE FROM growing",
    `INSERT INTO teams ${numbers(300)} SELECT i, 'team' || i FROM n`,
    `INSERT INTO growing ${numbers(3000)} SELECT printf('%05d', i), i, CASE WHEN i < 9 THEN 'red' ELSE 'team' || (i % 300) END FROM n`,
    "ANALYZE",
  );
  const before = await outcome("reader", sql);
  expect(before).toMatch(/^\[\[1,"3\[redacted\],4/);
  await run("UPDATE growing SET email = printf('%05d', 9000 - id)");
  expect(await outcome("reader", sql)).toBe(before);
});

it("a query of a table with a column named rowid is answered, whatever plan the database chooses", async () => {
  const { outcome } = createReader(config);
  const sql = "SELECT id, name FROM odd WHERE id > 0 AND name GLOB ?";
  for (const pattern of ["*2", "thing 2*"])
    expect(await outcome("reader", sql, [pattern])).toBe('[[2,"thing 2"],[5,"thing 2"],[8,"thing 2"]]');
});
