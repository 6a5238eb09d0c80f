// Layer 4 by itself: programs that the database would run, from its own EXPLAIN.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { forbiddenInstruction, indexedPages, isSameSchema, readsPages } from "../../src/sql/verify.ts";
import type { Instruction } from "../../src/sql/verify.ts";

let rootPages: ReadonlySet<number>;

beforeAll(async () => {
  const { results } = await env.SHOP_DB.prepare(
    "SELECT rootpage FROM sqlite_schema WHERE tbl_name IN ('customers', 'orders')",
  ).all<{ rootpage: number }>();
  rootPages = new Set(results.map(({ rootpage }) => rootpage));
});

async function judge(sql: string, allowsTableFunctions = false): Promise<string | undefined> {
  const { results } = await env.SHOP_DB.prepare(`EXPLAIN ${sql}`).all<Record<string, unknown> & Instruction>();
  return forbiddenInstruction(results, { rootPages, allowsTableFunctions })?.opcode;
}

describe("programs that only read what was opened", () => {
  it.each([
    "SELECT * FROM customers ORDER BY name",
    "SELECT region, count(DISTINCT name) FROM customers GROUP BY region HAVING count(*) > 1",
    "SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.total_cents > 5 ORDER BY o.placed_at DESC LIMIT 3",
    "SELECT id FROM customers UNION SELECT id FROM orders EXCEPT SELECT 5 INTERSECT SELECT 1",
    "SELECT *, row_number() OVER (PARTITION BY status ORDER BY placed_at), sum(total_cents) OVER (ORDER BY id ROWS 2 PRECEDING) FROM orders",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n LEFT JOIN customers ON id = i",
    "SELECT * FROM customers WHERE id IN (SELECT customer_id FROM orders) OR EXISTS (SELECT 1 FROM orders WHERE customer_id = customers.id)",
    "SELECT * FROM customers a FULL JOIN orders b ON a.name = b.status",
    "SELECT group_concat(name, ',' ORDER BY id DESC) FILTER (WHERE id > 1) FROM customers",
    "VALUES (1, 2), (3, 4)",
    "SELECT json_extract('{}', '$.a'), strftime('%Y'), random()",
    "SELECT count(*) FROM customers",
    "SELECT max(id), min(name) FROM customers",
    "WITH m AS MATERIALIZED (SELECT * FROM customers) SELECT * FROM m a, m b WHERE a.name = b.name",
  ])("%s", async (sql) => {
    expect(await judge(sql)).toBeUndefined();
  });

  it("table-valued functions, where they were named", async () => {
    const sql = "SELECT value FROM json_each('[1]')";
    expect(await judge(sql)).toBe("VOpen");
    expect(await judge(sql, true)).toBeUndefined();
  });
});

describe("programs that do something else", () => {
  it.each([
    ["SELECT * FROM tickets", "OpenRead"],
    ["SELECT * FROM customers, products", "OpenRead"],
    ["SELECT 1 FROM customers WHERE EXISTS (SELECT 1 FROM tickets)", "OpenRead"],
    ["SELECT * FROM sqlite_schema", "OpenRead"],
    ["DELETE FROM customers", "OpenWrite"],
    ["INSERT INTO customers (id) VALUES (99)", "OpenWrite"],
    ["UPDATE customers SET name = 'x'", "OpenWrite"],
    ["CREATE TABLE x (a)", "ReadCookie"],
  ])("%s: %s", async (sql, opcode) => {
    expect(await judge(sql)).toBe(opcode);
  });

  it("an instruction that nobody knows yet, and a write to something that was not made by the program", () => {
    const options = { rootPages, allowsTableFunctions: false };
    const at = (opcode: string, p1 = 0, p2 = 0): Instruction => ({ opcode, p1, p2, p3: 0 });
    expect(forbiddenInstruction([at("Init"), at("Teleport")], options)?.opcode).toBe("Teleport");
    expect(forbiddenInstruction([at("OpenEphemeral", 1), at("Insert", 1)], options)).toBeUndefined();
    expect(forbiddenInstruction([at("OpenEphemeral", 1), at("Insert", 2)], options)?.opcode).toBe("Insert");
    const [page = 0] = rootPages;
    expect(
      forbiddenInstruction([at("OpenRead", 1, page), at("OpenEphemeral", 1), at("Delete", 1)], options)?.opcode,
    ).toBe("Delete");
  });
});

describe("the schema", () => {
  const table = { type: "table", name: "a", table: "a", rootPage: 2, sql: "CREATE TABLE a (b)" };
  it.each([
    ["another text", { ...table, sql: "CREATE TABLE a (b, c)" }],
    ["another place", { ...table, rootPage: 3 }],
    ["another kind", { ...table, type: "view" }],
  ])("differs by %s", (_name, other) => {
    expect(isSameSchema([table], [other])).toBe(false);
  });

  it("is the same in any order, and not with more or less in it", () => {
    const index = { type: "index", name: "i", table: "a", rootPage: 3, sql: null };
    expect(isSameSchema([table, index], [index, table])).toBe(true);
    expect(isSameSchema([table, index], [table])).toBe(false);
    expect(isSameSchema([table], [table, index])).toBe(false);
    expect(isSameSchema([], [])).toBe(true);
  });
});

describe("the indexes of a program", () => {
  const programOf = async (sql: string) =>
    (await env.SHOP_DB.prepare(`EXPLAIN ${sql}`).all<Record<string, unknown> & Instruction>()).results;
  const pageOf = async (name: string) =>
    Number(await env.SHOP_DB.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?").bind(name).first("rootpage"));

  it("that it makes are those on tables, not those on what was computed", async () => {
    await env.SHOP_DB.prepare("CREATE TABLE pairs (id INTEGER PRIMARY KEY, email TEXT, team TEXT)").run();
    const join = "SELECT b.* FROM pairs a CROSS JOIN pairs b ON b.team = a.team";
    expect(indexedPages(await programOf(join))).toEqual([await pageOf("pairs")]);
    const computed = `WITH pairs AS MATERIALIZED (SELECT * FROM main.pairs) ${join}`;
    expect((await programOf(computed)).some(({ opcode }) => opcode === "OpenAutoindex")).toBe(true);
    expect(indexedPages(await programOf(computed))).toEqual([]);
  });

  it("that it reads are known by their pages", async () => {
    const pages = new Set([await pageOf("customers")]);
    expect(readsPages(await programOf("SELECT * FROM customers"), pages)).toBe(true);
    expect(readsPages(await programOf("SELECT * FROM orders"), pages)).toBe(false);
  });
});
