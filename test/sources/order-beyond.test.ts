// Where SQLite does more than a query names, the order of rows still tells nothing: indexes of its own that hold more columns than are
// used, plans that become others after ANALYZE, texts that are equal as numbers, and tables that nothing can name the order of.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { defineGatehouse, mask } from "../../src/config.ts";
import { createReader } from "../support/governed.ts";

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;

/** Columns after which SQLite counts no further. */
const MANY = Array.from({ length: 80 }, (_value, index) => `c${index}`);

const config = defineGatehouse({
  organisation: { name: "Test", contact: "Test" },
  sources: {
    shop: {
      kind: "d1",
      binding: "SHOP_DB",
      title: "Shop",
      description: "Shop",
      tables: {
        teams: { description: "Teams", key: "id", columns: { id: NUMBER, name: TEXT } },
        wide: { description: "Wide", key: "id", columns: { id: NUMBER, team: TEXT, c70: TEXT } },
        computed: {
          description: "Computed",
          key: "id",
          columns: { id: NUMBER, team: TEXT, initial: TEXT, secret: TEXT },
        },
        growing: { description: "Growing", key: "id", columns: { id: NUMBER, team: TEXT, email: TEXT } },
        codes: { description: "Codes", columns: { id: NUMBER, code: NUMBER } },
        odd: { description: "Odd", columns: { id: NUMBER, rowid: TEXT, name: TEXT } },
      },
    },
  },
  roles: {
    reader: {
      description: "r",
      rules: [
        { action: "read", datasets: ["shop.teams", "shop.wide", "shop.odd"] },
        { action: "read", datasets: ["shop.computed"], hidden: ["secret"] },
        { action: "read", datasets: ["shop.growing"], masks: { email: mask.redact } },
        {
          action: "read",
          datasets: ["shop.codes"],
          hidden: ["code"],
          rows: { column: "code", op: "=", value: 5 },
        },
      ],
    },
  },
  members: [{ email: "reader@harbor.example", name: "r", roles: ["reader"] }],
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
    "CREATE TABLE computed (secret TEXT, id INTEGER PRIMARY KEY, team TEXT, initial TEXT GENERATED ALWAYS AS (substr(secret, 1, 1)) VIRTUAL)",
    `INSERT INTO computed (id, team) SELECT value, CASE WHEN value % 2 THEN 'red' ELSE 'blue' END FROM ${NINE}`,
    "CREATE TABLE codes (id INTEGER, code TEXT, more TEXT, and_more TEXT)",
    "CREATE INDEX codes_code ON codes (code, id)",
    "CREATE TABLE odd (id INTEGER, rowid TEXT, name TEXT, secret INTEGER, more TEXT)",
    "CREATE INDEX odd_name ON odd (name, secret)",
    `INSERT INTO odd SELECT value, 'r', 'thing ' || (value % 3), 900 - value, '' FROM ${NINE}`,
  );
});

/** The answers to a question before and after what nobody sees changes its order. */
async function bothWays(sql: string, arrange: (isBack: boolean) => readonly string[]): Promise<readonly string[]> {
  const { outcome } = createReader(config);
  const answers: string[] = [];
  for (const isBack of [false, true]) {
    await run(...arrange(isBack));
    answers.push(await outcome("reader", sql));
  }
  return answers;
}

it.each([
  [
    "many columns",
    "SELECT w.id, w.c70 FROM teams t CROSS JOIN wide w ON w.team = t.name",
    (isBack: boolean) => [`UPDATE wide SET c66 = ${isBack ? "9 - id" : "id"}`],
  ],
  [
    "a computed column",
    "SELECT g.id, g.initial FROM teams t CROSS JOIN computed g ON g.team = t.name",
    (isBack: boolean) => [`UPDATE computed SET secret = 's' || (${isBack ? "9 - id" : "id"})`],
  ],
  [
    "texts that are one number",
    "SELECT id FROM codes",
    (isBack: boolean) => [
      "DELETE FROM codes",
      ...["'5'", "'05'", "'5.0'", "' 5'"].map(
        (code, at, all) => `INSERT INTO codes (id, code) VALUES (${at}, ${isBack ? all.at(-1 - at) : code})`,
      ),
    ],
  ],
])("indexes tell nothing: %s", async (_name, sql, arrange) => {
  const [one, other] = await bothWays(sql, arrange);
  expect(one).toMatch(/^\[\[/);
  expect(other).toBe(one);
});

it("a statement that was seen to before is looked at again once tables have grown", async () => {
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

it("a table with a column called rowid is answered, whatever the database plans", async () => {
  const { outcome } = createReader(config);
  const sql = "SELECT id, name FROM odd WHERE id > 0 AND name GLOB ?";
  for (const pattern of ["*2", "thing 2*"])
    expect(await outcome("reader", sql, [pattern])).toBe('[[2,"thing 2"],[5,"thing 2"],[8,"thing 2"]]');
});
