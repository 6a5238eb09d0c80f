// Attacks on governed SQL that once succeeded, found in a review. Each test failed before its defence existed.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { subject } from "../../src/config/define-gatehouse.ts";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import sample from "../../sample/gatehouse.config.ts";
import { createReader, tableSource } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import type { Rows } from "../support/policy-builder.ts";
import { seedShop } from "../support/seed.ts";

const { read, outcome: message } = createReader(sample, tableSource(sample, "shop"));
const messageWithoutName = async (account: string, sql: string, name: string) =>
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

describe("error messages, for which SQLite looks up names in the real schema after a first error", () => {
  const probes: [string, (name: string) => string][] = [
    ["alias.*", (name) => `SELECT b.* FROM products WHERE EXISTS (SELECT 1 FROM ${name})`],
    ["* without tables", (name) => `SELECT *, (SELECT 1 FROM ${name})`],
    [
      "USING",
      (name) =>
        `SELECT EXISTS (SELECT 1 FROM products a FULL JOIN products b ON 1 JOIN products c USING (id)), 1 IN ${name}`,
    ],
    ["arguments of a table", (name) => `SELECT b.*, 1 IN ${name}(1) FROM products`],
    ["a compound SELECT", (name) => `SELECT 1 FROM ${name} UNION SELECT b.*`],
  ];
  it.each(probes)("are the same for an existing and a missing table (%s)", async (_name, probe) => {
    for (const account of ["analyst", "support"]) {
      expect(await messageWithoutName(account, probe("undeclared"), "undeclared")).toBe(
        await messageWithoutName(account, probe("undeclarex"), "undeclarex"),
      );
      expect(await messageWithoutName(account, probe("all_customers"), "all_customers")).toBe(
        await messageWithoutName(account, probe("all_customerx"), "all_customerx"),
      );
    }
    expect(await messageWithoutName("support", probe("orders"), "orders")).toBe(
      await messageWithoutName("support", probe("ordres"), "ordres"),
    );
  });
  it("are the same for an existing and a missing index", async () => {
    const probe = (index: string) =>
      `SELECT b.* FROM products WHERE EXISTS (SELECT 1 FROM undeclared INDEXED BY ${index})`;
    expect(await messageWithoutName("analyst", probe("undeclared_secret"), "undeclared_secret")).toBe(
      await messageWithoutName("analyst", probe("undeclared_nope"), "undeclared_nope"),
    );
  });
});

describe("functions about the connection", () => {
  it("do not reveal writes to tables that the user may not read", async () => {
    const sql = "SELECT last_insert_rowid(), changes(), total_changes()";
    const before = await message("support", sql);
    await env.SHOP_DB.prepare(
      "INSERT INTO refunds VALUES (4711, 2, 500, 'late', 'requested', '2026-06-03 10:00:00')",
    ).run();
    expect(await message("support", sql)).toBe(before);
  });
});

describe("the order of rows", () => {
  it("does not depend on the unmasked values of a masked column", async () => {
    const ids = async () => (await read("analyst", "SELECT id, email FROM customers")).rows.map((row) => row[0]);
    const before = await ids();
    // Only the masked part of an email address changes; the visible part stays the same.
    await env.SHOP_DB.prepare("UPDATE customers SET email = 'naaa.secret@north.example' WHERE id = 1").run();
    const visibleRows = (await read("analyst", "SELECT id, email FROM customers ORDER BY id")).rows;
    expect(visibleRows[0]).toEqual([1, "n…@north.example"]);
    expect(await ids()).toEqual(before);
  });
  it("does not depend on a hidden column", async () => {
    await env.SHOP_DB.prepare("CREATE INDEX customers_notes ON customers (notes)").run();
    const ids = async () => (await read("analyst", "SELECT id FROM customers")).rows.map((row) => row[0]);
    await env.SHOP_DB.prepare("UPDATE customers SET notes = 'a' || id").run();
    const before = await ids();
    await env.SHOP_DB.prepare("UPDATE customers SET notes = 'a' || (9 - id)").run();
    expect(await ids()).toEqual(before);
  });
});

/** A policy with a table of papers that has an extra text column, and a role with this row rule on it. */
function papersWith(column: string, rows: Rows): Gatehouse {
  return buildPolicy({
    tables: { papers: { id: key(NUMBER), title: TEXT, [column]: TEXT } },
    roles: { reader: [allow("shop.papers", { rows })] },
    attributes: ["desk"],
  });
}

describe("renaming a column of a row rule while the Worker runs", () => {
  it("does not reveal the rows that the rule hides", async () => {
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

describe("numbers", () => {
  it("make a row rule deny when the column is text, instead of matching every row", async () => {
    await env.SHOP_DB.prepare("CREATE TABLE papers (id INTEGER PRIMARY KEY, title TEXT, desk TEXT)").run();
    await env.SHOP_DB.prepare("INSERT INTO papers VALUES (1, 'theirs', '8'), (2, 'OWN DESK, HIDDEN', '7')").run();
    const config = papersWith("desk", { column: "desk", op: "!=", value: subject("desk") });
    // The policy file cannot contain such a value, but the members table can, from before a change of the policy.
    const members = config.policy.members.map((member) => ({ ...member, attributes: { desk: 7 } }));
    const papers = createReader({ policy: { ...config.policy, members } });
    await expect(papers.read("reader", "SELECT title FROM papers")).rejects.toMatchObject({ code: "query_failed" });
    await env.SHOP_DB.prepare("DROP TABLE papers").run();
  });

  it("stay integers when they are passed as params", async () => {
    expect((await read("analyst", "SELECT 7 / ?, 'n' || ?", [2, 5])).rows).toEqual([[3, "n5"]]);
    expect((await read("analyst", "SELECT ? || '', -7 / ?", [5, -2])).rows).toEqual([["5", 3]]);
    expect((await read("analyst", "SELECT id FROM orders ORDER BY id LIMIT ?", [1])).rows).toEqual([[1]]);
  });
});

describe("the message for a column whose name resembles a resource error", () => {
  it.each([
    ["SELECT json_data FROM customers", "There is no column json_data here"],
    ["SELECT cpu FROM customers", "There is no column cpu here"],
    ["SELECT exceeded FROM orders", "There is no column exceeded here"],
  ])("names the missing column: %s", async (sql, expected) => {
    expect(await message("analyst", sql)).toContain(expected);
  });
});
