// Layer 4 alone: programs that the database would run, from its EXPLAIN, and changes of its schema.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import {
  findForbiddenInstruction,
  listAutoIndexedPages,
  isSameSchema,
  readsPages,
} from "../../src/sql/program-check.ts";
import type { Instruction } from "../../src/sql/program-check.ts";

let rootPages: ReadonlySet<number>;

beforeAll(async () => {
  const { results } = await env.SHOP_DB.prepare(
    "SELECT rootpage FROM sqlite_schema WHERE tbl_name IN ('customers', 'orders')",
  ).all<{ rootpage: number }>();
  rootPages = new Set(results.map(({ rootpage }) => rootpage));
});

async function judge(sql: string, allowsTableFunctions = false): Promise<string | undefined> {
  const { results } = await env.SHOP_DB.prepare(`EXPLAIN ${sql}`).all<Record<string, unknown> & Instruction>();
  return findForbiddenInstruction(results, { rootPages, allowsTableFunctions })?.opcode;
}

describe("findForbiddenInstruction: programs that read only permitted tables", () => {
  it.each([
    "SELECT * FROM customers ORDER BY name",
    "SELECT region, count(DISTINCT name) FROM customers GROUP BY region HAVING count(*) > 1",
    "SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.total_cents > 5 ORDER BY o.placed_at DESC LIMIT 3",
    "SELECT id FROM customers UNION SELECT id FROM orders EXCEPT SELECT 5 INTERSECT SELECT 1",
    [
      "SELECT *, row_number() OVER (PARTITION BY status ORDER BY placed_at),",
      "sum(total_cents) OVER (ORDER BY id ROWS 2 PRECEDING) FROM orders",
    ].join(" "),
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n LEFT JOIN customers ON id = i",
    [
      "SELECT * FROM customers WHERE id IN (SELECT customer_id FROM orders)",
      "OR EXISTS (SELECT 1 FROM orders WHERE customer_id = customers.id)",
    ].join(" "),
    "SELECT * FROM customers a FULL JOIN orders b ON a.name = b.status",
    "SELECT group_concat(name, ',' ORDER BY id DESC) FILTER (WHERE id > 1) FROM customers",
    "VALUES (1, 2), (3, 4)",
    "SELECT json_extract('{}', '$.a'), strftime('%Y'), random()",
    "SELECT count(*) FROM customers",
    "SELECT max(id), min(name) FROM customers",
    "WITH m AS MATERIALIZED (SELECT * FROM customers) SELECT * FROM m a, m b WHERE a.name = b.name",
  ])("permits %s", async (sql) => {
    expect(await judge(sql)).toBeUndefined();
  });

  it("permits table-valued functions only if the options allow them", async () => {
    const sql = "SELECT value FROM json_each('[1]')";
    expect(await judge(sql)).toBe("VOpen");
    expect(await judge(sql, true)).toBeUndefined();
  });
});

describe("findForbiddenInstruction: programs that do something else", () => {
  it.each([
    ["SELECT * FROM tickets", "OpenRead"],
    ["SELECT * FROM customers, products", "OpenRead"],
    ["SELECT 1 FROM customers WHERE EXISTS (SELECT 1 FROM tickets)", "OpenRead"],
    ["SELECT * FROM sqlite_schema", "OpenRead"],
    ["DELETE FROM customers", "OpenWrite"],
    ["INSERT INTO customers (id) VALUES (99)", "OpenWrite"],
    ["UPDATE customers SET name = 'x'", "OpenWrite"],
    ["CREATE TABLE x (a)", "ReadCookie"],
  ])("forbids %s because of %s", async (sql, opcode) => {
    expect(await judge(sql)).toBe(opcode);
  });

  it("forbids an unknown instruction, and a write to a cursor that is not a temporary table's", () => {
    const options = { rootPages, allowsTableFunctions: false };
    const op = (opcode: string, p1 = 0, p2 = 0): Instruction => ({ opcode, p1, p2, p3: 0 });
    expect(findForbiddenInstruction([op("Init"), op("Teleport")], options)?.opcode).toBe("Teleport");
    expect(findForbiddenInstruction([op("OpenEphemeral", 1), op("Insert", 1)], options)).toBeUndefined();
    expect(findForbiddenInstruction([op("OpenEphemeral", 1), op("Insert", 2)], options)?.opcode).toBe("Insert");
    const [page = 0] = rootPages;
    expect(
      findForbiddenInstruction([op("OpenRead", 1, page), op("OpenEphemeral", 1), op("Delete", 1)], options)?.opcode,
    ).toBe("Delete");
  });
});

describe("isSameSchema", () => {
  const table = { type: "table", name: "a", table: "a", rootPage: 2, sql: "CREATE TABLE a (b)" };
  it.each([
    ["text", { ...table, sql: "CREATE TABLE a (b, c)" }],
    ["root page", { ...table, rootPage: 3 }],
    ["type", { ...table, type: "view" }],
  ])("returns false for an object with another %s", (_difference, changed) => {
    expect(isSameSchema([table], [changed])).toBe(false);
  });

  it("ignores the order of objects, but not their number", () => {
    const index = { type: "index", name: "i", table: "a", rootPage: 3, sql: null };
    expect(isSameSchema([table, index], [index, table])).toBe(true);
    expect(isSameSchema([table, index], [table])).toBe(false);
    expect(isSameSchema([table], [table, index])).toBe(false);
    expect(isSameSchema([], [])).toBe(true);
  });
});

describe("listAutoIndexedPages and readsPages", () => {
  const explain = async (sql: string) =>
    (await env.SHOP_DB.prepare(`EXPLAIN ${sql}`).all<Record<string, unknown> & Instruction>()).results;
  const readRootPage = async (name: string) =>
    Number(await env.SHOP_DB.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?").bind(name).first("rootpage"));

  it("list automatic indexes on tables, but not on materialized CTEs", async () => {
    await env.SHOP_DB.prepare("CREATE TABLE pairs (id INTEGER PRIMARY KEY, email TEXT, team TEXT)").run();
    const join = "SELECT b.* FROM pairs a CROSS JOIN pairs b ON b.team = a.team";
    expect(listAutoIndexedPages(await explain(join))).toEqual([await readRootPage("pairs")]);
    const computed = `WITH pairs AS MATERIALIZED (SELECT * FROM main.pairs) ${join}`;
    expect((await explain(computed)).some(({ opcode }) => opcode === "OpenAutoindex")).toBe(true);
    expect(listAutoIndexedPages(await explain(computed))).toEqual([]);
  });

  it("recognise the tables that a program reads by their root pages", async () => {
    const pages = new Set([await readRootPage("customers")]);
    expect(readsPages(await explain("SELECT * FROM customers"), pages)).toBe(true);
    expect(readsPages(await explain("SELECT * FROM orders"), pages)).toBe(false);
  });
});
