// The work limit refuses expensive queries and answers ordinary ones, and values reach the answer exactly.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { describeEncoding, toJsonCell } from "../../src/sql/result-encoding.ts";
import { createReader } from "../support/governed.ts";
import { DATE, NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import { pretendRows } from "../support/pretend-rows.ts";

/** The tables count as a million and a hundred thousand rows. */
const createConfig = (recursion: boolean) =>
  buildPolicy({
    sources: {
      shop: {
        binding: "SHOP_DB",
        recursion,
        tables: {
          sales: { id: key(NUMBER), buyer_id: NUMBER, total: NUMBER, day: DATE, note: TEXT },
          buyers: { id: key(NUMBER), name: TEXT, email: TEXT },
        },
      },
    },
    roles: { reader: [allow("shop.sales"), allow("shop.buyers", { masks: { email: mask.email } })] },
  });

const { read, outcome } = createReader(createConfig(false));

beforeAll(async () => {
  await env.SHOP_DB.batch(
    [
      "CREATE TABLE sales (id INTEGER PRIMARY KEY, buyer_id INTEGER, total INTEGER, day TEXT, note TEXT)",
      "CREATE INDEX sales_buyer ON sales (buyer_id)",
      "CREATE INDEX sales_day ON sales (day)",
      "CREATE TABLE buyers (id INTEGER PRIMARY KEY, name TEXT, email TEXT)",
      "CREATE INDEX buyers_email ON buyers (email)",
      "INSERT INTO sales VALUES (1, 1, 5, '2026-01-01', 'a'), (1000000, 2, 7, '2026-02-01', 'b')",
      "INSERT INTO buyers VALUES (1, 'Ann', 'ann@a.example'), (100000, 'Bob', 'bob@b.example')",
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
  await pretendRows(env.SHOP_DB, { sales: 1_000_000, buyers: 100_000 });
});

describe("the work limit", () => {
  it.each([
    "SELECT count(*) FROM sales a, sales b",
    "SELECT count(*) FROM sales a JOIN sales b ON a.note < b.note",
    "SELECT count(*) FROM sales a, buyers b, buyers c",
    "SELECT (SELECT count(*) FROM sales b WHERE b.total > a.total) FROM sales a",
    "SELECT * FROM sales a WHERE NOT EXISTS (SELECT 1 FROM sales b WHERE b.note LIKE a.note)",
    "SELECT count(*) FROM sales a CROSS JOIN json_each(a.note) b CROSS JOIN json_each(a.note) c",
    "SELECT count(*) FROM json_each('[1]') a, json_each('[1]') b, json_each('[1]') c, json_each('[1]') d, json_each('[1]') e",
    `SELECT count(*) FROM json_each(?) a, json_each(?) b`,
    "WITH t(x) AS (SELECT total FROM sales) SELECT count(*) FROM t a, t b",
    "WITH t(x) AS MATERIALIZED (SELECT total FROM sales) SELECT count(*) FROM t a, t b",
    "WITH a AS (SELECT 1 AS x FROM sales), b AS (SELECT 1 AS x FROM a, a) SELECT count(*) FROM b",
    "SELECT count(*) FROM (SELECT a.id FROM sales a, sales b LIMIT 1000000000000)",
    "SELECT * FROM sales UNION ALL SELECT a.* FROM sales a, sales b",
    [
      "WITH a(x) AS (VALUES (1), (2)), b(x) AS (SELECT 1 FROM a, a p, a q, a r),",
      "c(x) AS (SELECT 1 FROM b, b p, b q, b r), d(x) AS (SELECT 1 FROM c, c p, c q)",
      "SELECT count(*) FROM d",
    ].join(" "),
    [
      "WITH a(x) AS (SELECT 1 UNION ALL SELECT 2), b(x) AS (SELECT a.x FROM a, a p, a q, a r),",
      "c(x) AS (SELECT b.x FROM b, b p, b q, b r), d(x) AS (SELECT c.x FROM c, c p, c q)",
      "SELECT sum(x) FROM d",
    ].join(" "),
    [
      "WITH a(x) AS MATERIALIZED (SELECT value FROM json_each('[1,2,3,4,5,6,7,8,9]')),",
      "b(x) AS MATERIALIZED (SELECT a.x FROM a, a p, a q, a r)",
      "SELECT count(*) FROM b, b p, b q",
    ].join(" "),
    [
      "SELECT (WITH a(x) AS (VALUES (1), (2), (3), (4), (5), (6), (7), (8))",
      "SELECT count(*) FROM a, a b, a c, a d, a e, a f, a g, a h, a i, a j, a k, a l)",
    ].join(" "),
    [
      "SELECT 1 WHERE 5 IN (WITH a(x) AS (VALUES (1), (2), (3), (4), (5), (6), (7), (8))",
      "SELECT a.x FROM a, a b, a c, a d, a e, a f, a g, a h, a i, a j, a k, a l)",
    ].join(" "),
  ])("refuses %s", async (sql) => {
    const values = sql.includes("?") ? Array<string>(2).fill(JSON.stringify(Array(50_000).fill(1))) : [];
    expect(await outcome("reader", sql, values)).toMatch(/^query_refused: The query would take too much work\./);
  });

  it("names the tables to join in its message, and no estimate", async () => {
    const refusal = await outcome("reader", "SELECT count(*) FROM sales a, buyers b WHERE a.note < b.name");
    expect(refusal).toContain("Join sales and buyers on equal columns");
    expect(refusal).not.toMatch(/\d/);
  });

  it("refuses recursion and names an alternative, unless the source allows recursion", async () => {
    const count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n";
    expect(await outcome("reader", count)).toMatch(/^query_refused: The SQL is recursive.*json_each instead\.$/);
    expect(await createReader(createConfig(true)).outcome("reader", count)).toBe("[[1],[2],[3]]");
  });
});

describe("the work limit, on the same tables", () => {
  it.each([
    "SELECT count(*), sum(total), avg(total) FROM sales",
    "SELECT substr(day, 1, 7) AS month, sum(total) FROM sales GROUP BY month ORDER BY month",
    "SELECT b.name, sum(s.total) FROM sales s JOIN buyers b ON b.id = s.buyer_id GROUP BY b.id ORDER BY 2 DESC LIMIT 10",
    "SELECT * FROM sales WHERE day BETWEEN '2026-01-01' AND '2026-01-31'",
    "SELECT * FROM sales ORDER BY total DESC LIMIT 10",
    "SELECT *, row_number() OVER (PARTITION BY buyer_id ORDER BY day) FROM sales",
    [
      "WITH m AS (SELECT substr(day, 1, 7) AS month, sum(total) AS s FROM sales GROUP BY 1)",
      "SELECT a.month, a.s - b.s FROM m a JOIN m b ON b.month = a.month",
    ].join(" "),
    "SELECT count(*) FROM buyers a JOIN buyers b ON a.email = b.email",
    "SELECT count(*) FROM sales s JOIN buyers a ON a.id = s.buyer_id JOIN buyers b ON b.id = a.id JOIN buyers c ON c.id = s.buyer_id",
    "SELECT name, (SELECT max(total) FROM sales s WHERE s.buyer_id = b.id) FROM buyers b",
    "SELECT * FROM buyers WHERE id IN (SELECT buyer_id FROM sales WHERE total < 6)",
    "SELECT b.name FROM buyers b LEFT JOIN sales s ON s.buyer_id = b.id WHERE s.id IS NULL",
    "SELECT sales.id, value FROM sales, json_each('[1,2,3]')",
    "SELECT buyer_id FROM sales UNION SELECT id FROM buyers",
    "SELECT count(DISTINCT buyer_id) FROM sales WHERE note LIKE '%a%'",
  ])("allows %s", async (sql) => {
    expect(await outcome("reader", sql)).toMatch(/^\[\[/);
  });
});

/** The values as JSON shows them, and per column the encodings of those that are text. */
async function readShown(account: string, sql: string) {
  const { columns, rows } = await read(account, sql);
  const encodings = columns.map((_name, index) => new Set(rows.map((row) => describeEncoding(row[index] ?? null))));
  for (const columnEncodings of encodings) columnEncodings.delete(undefined);
  return { rows: rows.map((row) => row.map(toJsonCell)), encodings };
}

describe("the work estimate of a range", () => {
  it.each([
    "SELECT count(*) FROM sales a JOIN sales b ON b.id BETWEEN a.id AND a.id + 100000",
    "SELECT count(*) FROM sales a JOIN sales b ON b.id > a.id",
    "SELECT count(*) FROM buyers a, sales b WHERE b.buyer_id >= a.id",
  ])("counts the whole table inside another loop: %s", async (sql) => {
    expect(await outcome("reader", sql)).toMatch(/^query_refused: The query would take too much work\./);
  });

  it("allows a query of the range alone", async () => {
    expect(await outcome("reader", "SELECT count(*) FROM sales WHERE id > 10 AND id < 5000000")).toBe("[[1]]");
  });
});

describe("an answer", () => {
  it("shows integers that JSON cannot hold as text", async () => {
    const { rows, encodings } = await readShown(
      "reader",
      "SELECT 9007199254740991, -9007199254740991, 9007199254740992, -9223372036854775807 - 1, 9223372036854775807",
    );
    expect(rows).toEqual([
      [9007199254740991, -9007199254740991, "9007199254740992", "-9223372036854775808", "9223372036854775807"],
    ]);
    expect(encodings.map((columnEncodings) => [...columnEncodings].join())).toEqual([
      "",
      "",
      ...Array(3).fill("integer as text"),
    ]);
  });

  it("shows infinities as text", async () => {
    const { rows, encodings } = await readShown("reader", "SELECT 9e999, -9e999, 0.1 + 0.2, 1e308, 9e999 - 9e999");
    expect(rows).toEqual([["Infinity", "-Infinity", 0.1 + 0.2, 1e308, null]]);
    expect([...(encodings[0] ?? [])]).toEqual(["real as text"]);
  });

  it("shows bytes as base64", async () => {
    const { rows, encodings } = await readShown("reader", "SELECT x'00ff10', x'', CAST('é' AS BLOB)");
    expect(rows).toEqual([["AP8Q", "", "w6k="]]);
    expect(encodings.every((columnEncodings) => columnEncodings.has("base64"))).toBe(true);
  });

  it("shows every type of value in one column, including text that looks like an encoded value", async () => {
    const { rows, encodings } = await readShown(
      "reader",
      "VALUES ('Infinity'), ('guard_i1'), (''), (NULL), (1), (1.5), (9223372036854775807)",
    );
    expect(rows.flat()).toEqual(["Infinity", "guard_i1", "", null, 1, 1.5, "9223372036854775807"]);
    expect([...(encodings[0] ?? [])]).toEqual(["integer as text"]);
  });

  it("keeps the order of ORDER BY", async () => {
    const values = "WITH v(x) AS (VALUES (3), (1), (2)) SELECT x FROM v ORDER BY x";
    expect((await read("reader", values)).rows).toEqual([[1], [2], [3]]);
    expect((await read("reader", `${values} DESC LIMIT 2`)).rows).toEqual([[3], [2]]);
  });

  it("omits a value that is too large, and keeps the rows before it", async () => {
    const large = "replace(printf('%.*c', 50000, 'x'), 'x', 'xxxxxxxxxx')";
    expect(await read("reader", `SELECT 1 UNION ALL SELECT ${large}`)).toMatchObject({
      rows: [[1]],
      hasMore: true,
      isCutBySize: true,
    });
    expect(await read("reader", `SELECT CAST(${large} AS BLOB)`)).toMatchObject({ rows: [], isCutBySize: true });
  });
});
