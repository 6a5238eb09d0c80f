// The order of rows tells nothing of values that somebody does not see: the same questions, before and after these values change
// their order, get the same answers, whatever index the database might take.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse, mask, subject } from "../../src/config.ts";
import { createD1Source } from "../../src/sources/d1.ts";
import { createSchemaKeeper } from "../../src/sources/d1-schema.ts";
import { governedLayers } from "../../src/sources/layers.ts";
import { createReader } from "../support/governed.ts";
import { listen } from "../support/listened.ts";

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;

/** `weight` of things is not declared, and `lists` has no key. Indexes are narrower than their tables, so SQLite prefers them. */
const config = defineGatehouse({
  organisation: { name: "Test", contact: "Test" },
  sources: {
    shop: {
      kind: "d1",
      binding: "SHOP_DB",
      title: "Shop",
      description: "Shop",
      tables: {
        people: { description: "People", key: "id", columns: { id: NUMBER, email: TEXT, team: TEXT } },
        things: { description: "Things", key: "id", columns: { id: NUMBER, name: TEXT } },
        labels: { description: "Labels", key: "id", columns: { id: NUMBER, person: NUMBER, name: TEXT } },
        lists: { description: "Lists", columns: { name: TEXT, secret: TEXT } },
      },
    },
  },
  roles: {
    masked: {
      description: "m",
      rules: [
        { action: "read", datasets: ["shop.people"], masks: { email: mask.email } },
        { action: "read", datasets: ["shop.things", "shop.labels"] },
        { action: "read", datasets: ["shop.lists"], hidden: ["secret"] },
      ],
    },
    teams: {
      description: "t",
      rules: [
        {
          action: "read",
          datasets: ["shop.people"],
          hidden: ["email", "team"],
          rows: { column: "team", op: "in", value: subject("teams") },
        },
      ],
    },
  },
  members: [
    { email: "masked@harbor.example", name: "m", roles: ["masked"] },
    { email: "teams@harbor.example", name: "t", roles: ["teams"], attributes: { teams: ["red", "blue"] } },
  ],
});

const { outcome } = createReader(config);

/** What nobody sees, in this order and in the opposite one; what everybody sees stays. */
const ORDERS = ["printf('%03d', id)", "printf('%03d', 900 - id)"];

async function arrange(secret: string): Promise<void> {
  await env.SHOP_DB.batch(
    [
      `UPDATE people SET email = 'n' || ${secret} || '@x.example', team = CASE WHEN (id + ${secret}) % 2 THEN 'red' ELSE 'blue' END`,
      `UPDATE things SET weight = ${secret}`,
      `UPDATE lists SET secret = ${secret.replace("id", "rowid")}`,
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
}

beforeAll(async () => {
  await env.SHOP_DB.batch(
    [
      "CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT, team TEXT)",
      "CREATE INDEX people_email ON people (email)",
      "CREATE INDEX people_team ON people (team, email)",
      "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, weight TEXT, more TEXT, and_more TEXT)",
      "CREATE INDEX things_weight ON things (weight, name)",
      "CREATE TABLE labels (id INTEGER PRIMARY KEY, person INTEGER, name TEXT)",
      "CREATE INDEX labels_person ON labels (person)",
      "INSERT INTO labels VALUES (1, 1, 'one'), (2, 2, 'two')",
      "CREATE TABLE lists (name TEXT, secret TEXT, more TEXT, and_more TEXT)",
      "CREATE INDEX lists_secret ON lists (secret, name)",
      ...["people (id)", "things (id)", "lists (rowid)"].map(
        (into) => `INSERT INTO ${into} SELECT value FROM json_each('[1,2,3,4,5,6,7,8,9]')`,
      ),
      "UPDATE things SET name = 'thing ' || (id % 3)",
      "UPDATE lists SET name = 'list ' || (rowid * 7 % 9)",
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
});

const QUESTIONS = [
  "SELECT id FROM people",
  "SELECT id FROM people ORDER BY NULL",
  "SELECT id FROM people ORDER BY 1 + 1",
  "SELECT id FROM people ORDER BY id < 0",
  "SELECT id FROM people LIMIT 2",
  "SELECT id FROM (SELECT id FROM people ORDER BY NULL) LIMIT 3",
  "SELECT group_concat(id) FROM people",
  "SELECT group_concat(people.id) FROM people, things WHERE things.id = 1",
  "SELECT people.id FROM people, things WHERE things.id = 1",
  "SELECT people.id FROM people CROSS JOIN things WHERE things.id = 1",
  "SELECT people.id FROM people LEFT JOIN things ON things.id = 99",
  "SELECT a.id FROM people a JOIN people b USING (id)",
  "SELECT a.id FROM people a, (SELECT 1) b",
  "SELECT people.id FROM people, json_each('[1]')",
  "SELECT id, row_number() OVER () FROM people",
  "SELECT id, row_number() OVER (ORDER BY NULL) FROM people",
  "SELECT id FROM people GROUP BY id < 0",
  "SELECT max(id < 0), id FROM people",
  "SELECT DISTINCT id FROM people",
  "SELECT id FROM people UNION ALL SELECT 99",
  "SELECT id, email FROM people ORDER BY email",
  "SELECT id FROM people WHERE id IN (SELECT id FROM people)",
  "SELECT id FROM people WHERE email LIKE 'n%' ORDER BY NULL",
  "WITH p AS (SELECT id FROM people ORDER BY NULL) SELECT group_concat(id) FROM p",
  "SELECT count(*) FROM people",
  "SELECT name FROM things",
  "SELECT id FROM things",
  "SELECT id FROM things ORDER BY name",
  "SELECT group_concat(id) FROM things",
  "SELECT name FROM lists",
  "SELECT group_concat(name) FROM lists",
  "SELECT name FROM lists ORDER BY NULL",
];

describe("a join of a table with such an index and one without", () => {
  it("leaves the other its indexes", async () => {
    const { database, sent } = listen(env.SHOP_DB);
    const [declaration] = config.policy.sources;
    if (declaration === undefined) throw new Error("no source");
    const datasets = config.policy.datasets.filter((dataset) => dataset.kind === "table");
    const schemas = createSchemaKeeper(declaration, datasets, database, () => {});
    const layers = governedLayers({ allowsRecursion: false, maxSteps: 1e9 });
    const reader = createReader(config, createD1Source(declaration, datasets, database, schemas, layers));
    const sql =
      "SELECT people.id, labels.name FROM people LEFT JOIN labels ON labels.person = people.id WHERE people.id + 0 < 3 ORDER BY NULL";
    expect(await reader.outcome("masked", sql)).toBe('[[1,"one"],[2,"two"]]');
    const [ran = ""] = sent.filter((one) => one.includes("octet_length"));
    expect(ran).toMatch(/FROM main\."people" (?:NOT INDEXED|ORDER BY)/);
    expect(ran).toContain('FROM main."labels")');
  });
});

describe.each(["masked", "teams"])("the order of rows, for %s", (account) => {
  it("does not follow what is masked, hidden or not declared", async () => {
    const answers: string[][] = [];
    for (const order of ORDERS) {
      await arrange(order);
      const seen: string[] = [];
      for (const sql of QUESTIONS) seen.push(`${sql}: ${await outcome(account, sql)}`);
      answers.push(seen);
    }
    const [first = [], second] = answers;
    expect(second).toEqual(first);
    const answerable = account === "masked" ? QUESTIONS : QUESTIONS.filter((sql) => !/things|lists|email/.test(sql));
    expect(first.filter((answer) => answer.includes(": [["))).toHaveLength(answerable.length);
  });
});
