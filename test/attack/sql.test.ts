// Attacks on governed SQL that once worked, by a reviewer who looked for them. Each failed before it was held.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse, subject } from "../../src/config.ts";
import type { Gatehouse, GatehouseInput } from "../../src/config.ts";
import sample from "../../sample/gatehouse.config.ts";
import { createReader, tableSource } from "../support/governed.ts";
import { seedShop } from "../support/seed.ts";

const { read, outcome: message } = createReader(sample, tableSource(sample, "shop"));
const like = async (account: string, sql: string, name: string) =>
  (await message(account, sql)).replaceAll(name, "NAME");

beforeAll(async () => {
  await seedShop();
  await env.SHOP_DB.batch(
    [
      "CREATE VIEW all_customers AS SELECT * FROM customers",
      "CREATE TABLE undeclared (secret TEXT)",
      "CREATE INDEX undeclared_secret ON undeclared (secret)",
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
});

describe("A1: after a first error SQLite looks names up in the real schema, past the deny-CTEs", () => {
  const probes: [string, (name: string) => string][] = [
    ["alias.*", (name) => `SELECT b.* FROM products WHERE EXISTS (SELECT 1 FROM ${name})`],
    ["* without tables", (name) => `SELECT *, (SELECT 1 FROM ${name})`],
    [
      "USING",
      (name) =>
        `SELECT EXISTS (SELECT 1 FROM products a FULL JOIN products b ON 1 JOIN products c USING (id)), 1 IN ${name}`,
    ],
    ["arguments", (name) => `SELECT b.*, 1 IN ${name}(1) FROM products`],
    ["compound", (name) => `SELECT 1 FROM ${name} UNION SELECT b.*`],
  ];
  it.each(probes)("a table that exists and one that does not fail alike (%s)", async (_name, probe) => {
    for (const account of ["analyst", "support"]) {
      expect(await like(account, probe("undeclared"), "undeclared")).toBe(
        await like(account, probe("undeclarex"), "undeclarex"),
      );
      expect(await like(account, probe("all_customers"), "all_customers")).toBe(
        await like(account, probe("all_customerx"), "all_customerx"),
      );
    }
    expect(await like("support", probe("orders"), "orders")).toBe(await like("support", probe("ordres"), "ordres"));
  });
  it("an index that exists and one that does not fail alike", async () => {
    const probe = (index: string) =>
      `SELECT b.* FROM products WHERE EXISTS (SELECT 1 FROM undeclared INDEXED BY ${index})`;
    expect(await like("analyst", probe("undeclared_secret"), "undeclared_secret")).toBe(
      await like("analyst", probe("undeclared_nope"), "undeclared_nope"),
    );
  });
});

describe("A2: functions of the connection", () => {
  it("do not tell about writes to tables that the person may not read", async () => {
    const sql = "SELECT last_insert_rowid(), changes(), total_changes()";
    const before = await message("support", sql);
    await env.SHOP_DB.prepare(
      "INSERT INTO refunds VALUES (4711, 2, 500, 'late', 'requested', '2026-06-03 10:00:00')",
    ).run();
    expect(await message("support", sql)).toBe(before);
  });
});

describe("A3: the order of rows", () => {
  it("does not follow the unmasked values of a masked column", async () => {
    const ids = async () => (await read("analyst", "SELECT id, email FROM customers")).rows.map((row) => row[0]);
    const before = await ids();
    // Only the hidden part of an address changes; what the analyst may see stays the same.
    await env.SHOP_DB.prepare("UPDATE customers SET email = 'naaa.secret@north.example' WHERE id = 1").run();
    const shown = (await read("analyst", "SELECT id, email FROM customers ORDER BY id")).rows;
    expect(shown[0]).toEqual([1, "n…@north.example"]);
    expect(await ids()).toEqual(before);
  });
  it("does not follow a column that is hidden altogether", async () => {
    await env.SHOP_DB.prepare("CREATE INDEX customers_notes ON customers (notes)").run();
    const ids = async () => (await read("analyst", "SELECT id FROM customers")).rows.map((row) => row[0]);
    await env.SHOP_DB.prepare("UPDATE customers SET notes = 'a' || id").run();
    const before = await ids();
    await env.SHOP_DB.prepare("UPDATE customers SET notes = 'a' || (9 - id)").run();
    expect(await ids()).toEqual(before);
  });
});

type Roles = GatehouseInput["roles"];
type Rows = Extract<Roles[string]["rules"][number], { masks?: unknown }>["rows"];

/** A table of papers with one text column more, and one role with this row rule on it. */
function papersWith(column: string, rows: Rows): Gatehouse {
  const text = { type: "text", description: "Text" } as const;
  const columns = { id: { type: "integer", description: "Number" } as const, title: text, [column]: text };
  const papers = { description: "Papers", key: "id", columns };
  return defineGatehouse({
    organisation: { name: "Test", contact: "Test" },
    sources: { shop: { kind: "d1", binding: "SHOP_DB", title: "Shop", description: "Shop", tables: { papers } } },
    roles: { reader: { description: "r", rules: [{ action: "read", datasets: ["shop.papers"], rows }] } },
    attributes: ["desk"],
    members: [{ email: "reader@harbor.example", name: "R", roles: ["reader"] }],
  });
}

describe("A4: a column of a row rule that is renamed while the Worker runs", () => {
  it("never opens the rows that the rule hid", async () => {
    await env.SHOP_DB.prepare("CREATE TABLE papers (id INTEGER PRIMARY KEY, title TEXT, level TEXT)").run();
    await env.SHOP_DB.prepare("INSERT INTO papers VALUES (1, 'open', 'public'), (2, 'SECRET', 'secret')").run();
    const papers = createReader(papersWith("level", { column: "level", op: "!=", value: "secret" }));
    expect((await papers.read("reader", "SELECT title FROM papers")).rows).toEqual([["open"]]);
    await env.SHOP_DB.prepare("ALTER TABLE papers RENAME COLUMN level TO secrecy").run();
    const after = await papers.read("reader", "SELECT title FROM papers").then(
      ({ rows }) => JSON.stringify(rows),
      () => "refused",
    );
    expect(after).not.toContain("SECRET");
    await env.SHOP_DB.prepare("DROP TABLE papers").run();
  });
});

describe("A5: numbers in row rules", () => {
  it("a number where the column is text denies, instead of differing from every row", async () => {
    await env.SHOP_DB.prepare("CREATE TABLE papers (id INTEGER PRIMARY KEY, title TEXT, desk TEXT)").run();
    await env.SHOP_DB.prepare("INSERT INTO papers VALUES (1, 'theirs', '8'), (2, 'OWN DESK, HIDDEN', '7')").run();
    const config = papersWith("desk", { column: "desk", op: "!=", value: subject("desk") });
    // The policy file may not hold it; the members table may, from before a change of the policy.
    const members = config.policy.members.map((member) => ({ ...member, attributes: { desk: 7 } }));
    const papers = createReader({ policy: { ...config.policy, members } });
    await expect(papers.read("reader", "SELECT title FROM papers")).rejects.toMatchObject({ code: "query_failed" });
    await env.SHOP_DB.prepare("DROP TABLE papers").run();
  });

  it("whole numbers given as params are whole numbers", async () => {
    expect((await read("analyst", "SELECT 7 / ?, 'n' || ?", [2, 5])).rows).toEqual([[3, "n5"]]);
    expect((await read("analyst", "SELECT ? || '', -7 / ?", [5, -2])).rows).toEqual([["5", 3]]);
    expect((await read("analyst", "SELECT id FROM orders ORDER BY id LIMIT ?", [1])).rows).toEqual([[1]]);
  });
});

describe("A6: messages", () => {
  it.each([
    ["SELECT json_data FROM customers", "There is no column json_data here"],
    ["SELECT cpu FROM customers", "There is no column cpu here"],
    ["SELECT exceeded FROM orders", "There is no column exceeded here"],
  ])("%s is explained by what is wrong with it", async (sql, expected) => {
    expect(await message("analyst", sql)).toContain(expected);
  });
});
