// What a query may cost, and that results come as they are: no statement of any kind holds up the others, and no number
// is rounded on its way.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse } from "../../src/config.ts";
import { encodingOf, showCell } from "../../src/sql/exact.ts";
import { createReader } from "../support/governed.ts";

const NUMBER = { type: "integer", description: "Number" } as const;
const TEXT = { type: "text", description: "Text" } as const;

const config = (recursion: boolean) =>
  defineGatehouse({
    organisation: { name: "Test", contact: "Test" },
    sources: {
      shop: {
        kind: "d1",
        binding: "SHOP_DB",
        title: "Large",
        description: "Tables of a million rows",
        recursion,
        tables: {
          sales: {
            description: "Sales",
            key: "id",
            columns: {
              id: NUMBER,
              buyer_id: NUMBER,
              total: NUMBER,
              day: { type: "date", description: "Day" },
              note: TEXT,
            },
          },
          buyers: { description: "Buyers", key: "id", columns: { id: NUMBER, name: TEXT, email: TEXT } },
        },
      },
    },
    roles: {
      reader: {
        description: "Reads",
        rules: [
          { action: "read", datasets: ["shop.sales"] },
          { action: "read", datasets: ["shop.buyers"], masks: { email: { kind: "email" } } },
        ],
      },
    },
    members: [{ email: "reader@harbor.example", name: "R", roles: ["reader"] }],
  });

const { read, outcome } = createReader(config(false));

beforeAll(async () => {
  await env.SHOP_DB.batch(
    [
      "CREATE TABLE sales (id INTEGER PRIMARY KEY, buyer_id INTEGER, total INTEGER, day TEXT, note TEXT)",
      "CREATE INDEX sales_buyer ON sales (buyer_id)",
      "CREATE INDEX sales_day ON sales (day)",
      "CREATE TABLE buyers (id INTEGER PRIMARY KEY, name TEXT, email TEXT)",
      "CREATE INDEX buyers_email ON buyers (email)",
      // A table's size is told by its highest row number: these stand for a million rows and a hundred thousand.
      "INSERT INTO sales VALUES (1, 1, 5, '2026-01-01', 'a'), (1000000, 2, 7, '2026-02-01', 'b')",
      "INSERT INTO buyers VALUES (1, 'Ann', 'ann@a.example'), (100000, 'Bob', 'bob@b.example')",
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
});

describe("refused as too much work", () => {
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
    "WITH a(x) AS (VALUES (1), (2)), b(x) AS (SELECT 1 FROM a, a p, a q, a r), c(x) AS (SELECT 1 FROM b, b p, b q, b r), d(x) AS (SELECT 1 FROM c, c p, c q) SELECT count(*) FROM d",
    "WITH a(x) AS (SELECT 1 UNION ALL SELECT 2), b(x) AS (SELECT a.x FROM a, a p, a q, a r), c(x) AS (SELECT b.x FROM b, b p, b q, b r), d(x) AS (SELECT c.x FROM c, c p, c q) SELECT sum(x) FROM d",
    "WITH a(x) AS MATERIALIZED (SELECT value FROM json_each('[1,2,3,4,5,6,7,8,9]')), b(x) AS MATERIALIZED (SELECT a.x FROM a, a p, a q, a r) SELECT count(*) FROM b, b p, b q",
    "SELECT (WITH a(x) AS (VALUES (1), (2), (3), (4), (5), (6), (7), (8)) SELECT count(*) FROM a, a b, a c, a d, a e, a f, a g, a h, a i, a j, a k, a l)",
    "SELECT 1 WHERE 5 IN (WITH a(x) AS (VALUES (1), (2), (3), (4), (5), (6), (7), (8)) SELECT a.x FROM a, a b, a c, a d, a e, a f, a g, a h, a i, a j, a k, a l)",
  ])("%s", async (sql) => {
    const values = sql.includes("?") ? Array<string>(2).fill(JSON.stringify(Array(50_000).fill(1))) : [];
    expect(await outcome("reader", sql, values)).toMatch(/^query_refused: The query would take too much work\./);
  });

  it("the message names what to narrow, and no estimate", async () => {
    const seen = await outcome("reader", "SELECT count(*) FROM sales a, buyers b WHERE a.note < b.name");
    expect(seen).toContain("Join sales and buyers on equal columns");
    expect(seen).not.toMatch(/\d/);
  });

  it("recursion, unless the source allows it, and says what to do instead", async () => {
    const count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n";
    expect(await outcome("reader", count)).toMatch(/^query_refused: The SQL is recursive.*json_each instead\.$/);
    expect(await createReader(config(true)).outcome("reader", count)).toBe("[[1],[2],[3]]");
  });
});

describe("answered, on the same tables", () => {
  it.each([
    "SELECT count(*), sum(total), avg(total) FROM sales",
    "SELECT substr(day, 1, 7) AS month, sum(total) FROM sales GROUP BY month ORDER BY month",
    "SELECT b.name, sum(s.total) FROM sales s JOIN buyers b ON b.id = s.buyer_id GROUP BY b.id ORDER BY 2 DESC LIMIT 10",
    "SELECT * FROM sales WHERE day BETWEEN '2026-01-01' AND '2026-01-31'",
    "SELECT * FROM sales ORDER BY total DESC LIMIT 10",
    "SELECT *, row_number() OVER (PARTITION BY buyer_id ORDER BY day) FROM sales",
    "WITH m AS (SELECT substr(day, 1, 7) AS month, sum(total) AS s FROM sales GROUP BY 1) SELECT a.month, a.s - b.s FROM m a JOIN m b ON b.month = a.month",
    "SELECT count(*) FROM buyers a JOIN buyers b ON a.email = b.email",
    "SELECT count(*) FROM sales s JOIN buyers a ON a.id = s.buyer_id JOIN buyers b ON b.id = a.id JOIN buyers c ON c.id = s.buyer_id",
    "SELECT name, (SELECT max(total) FROM sales s WHERE s.buyer_id = b.id) FROM buyers b",
    "SELECT * FROM buyers WHERE id IN (SELECT buyer_id FROM sales WHERE total < 6)",
    "SELECT b.name FROM buyers b LEFT JOIN sales s ON s.buyer_id = b.id WHERE s.id IS NULL",
    "SELECT sales.id, value FROM sales, json_each('[1,2,3]')",
    "SELECT buyer_id FROM sales UNION SELECT id FROM buyers",
    "SELECT count(DISTINCT buyer_id) FROM sales WHERE note LIKE '%a%'",
  ])("%s", async (sql) => {
    expect(await outcome("reader", sql)).toMatch(/^\[\[/);
  });
});

/** The values as JSON shows them, and per column why some are text. */
async function readShown(account: string, sql: string) {
  const { columns, rows } = await read(account, sql);
  const encodings = columns.map((_name, index) => new Set(rows.map((row) => encodingOf(row[index] ?? null))));
  for (const found of encodings) found.delete(undefined);
  return { rows: rows.map((row) => row.map(showCell)), encodings };
}

describe("a range inside another loop counts as its whole table", () => {
  it.each([
    "SELECT count(*) FROM sales a JOIN sales b ON b.id BETWEEN a.id AND a.id + 100000",
    "SELECT count(*) FROM sales a JOIN sales b ON b.id > a.id",
    "SELECT count(*) FROM buyers a, sales b WHERE b.buyer_id >= a.id",
  ])("%s", async (sql) => {
    expect(await outcome("reader", sql)).toMatch(/^query_refused: The query would take too much work\./);
  });

  it("and alone it is read", async () => {
    expect(await outcome("reader", "SELECT count(*) FROM sales WHERE id > 10 AND id < 5000000")).toBe("[[1]]");
  });
});

describe("values come as they are", () => {
  it("integers that JSON cannot hold", async () => {
    const { rows, encodings } = await readShown(
      "reader",
      "SELECT 9007199254740991, -9007199254740991, 9007199254740992, -9223372036854775807 - 1, 9223372036854775807",
    );
    expect(rows).toEqual([
      [9007199254740991, -9007199254740991, "9007199254740992", "-9223372036854775808", "9223372036854775807"],
    ]);
    expect(encodings.map((found) => [...found].join())).toEqual(["", "", ...Array(3).fill("integer as text")]);
  });

  it("reals that are no numbers of JSON's", async () => {
    const { rows, encodings } = await readShown("reader", "SELECT 9e999, -9e999, 0.1 + 0.2, 1e308, 9e999 - 9e999");
    expect(rows).toEqual([["Infinity", "-Infinity", 0.1 + 0.2, 1e308, null]]);
    expect([...(encodings[0] ?? [])]).toEqual(["real as text"]);
  });

  it("bytes", async () => {
    const { rows, encodings } = await readShown("reader", "SELECT x'00ff10', x'', CAST('é' AS BLOB)");
    expect(rows).toEqual([["AP8Q", "", "w6k="]]);
    expect(encodings.every((found) => found.has("base64"))).toBe(true);
  });

  it("text that looks like any of it, and every kind in one column", async () => {
    const { rows, encodings } = await readShown(
      "reader",
      "VALUES ('Infinity'), ('guard_i1'), (''), (NULL), (1), (1.5), (9223372036854775807)",
    );
    expect(rows.flat()).toEqual(["Infinity", "guard_i1", "", null, 1, 1.5, "9223372036854775807"]);
    expect([...(encodings[0] ?? [])]).toEqual(["integer as text"]);
  });

  it("in the order that was asked for", async () => {
    const values = "WITH v(x) AS (VALUES (3), (1), (2)) SELECT x FROM v ORDER BY x";
    expect((await read("reader", values)).rows).toEqual([[1], [2], [3]]);
    expect((await read("reader", `${values} DESC LIMIT 2`)).rows).toEqual([[3], [2]]);
  });

  it("a value of any size does not leave, and what stands before it does", async () => {
    const large = "replace(printf('%.*c', 50000, 'x'), 'x', 'xxxxxxxxxx')";
    expect(await read("reader", `SELECT 1 UNION ALL SELECT ${large}`)).toMatchObject({
      rows: [[1]],
      more: true,
      isCutByValue: true,
    });
    expect(await read("reader", `SELECT CAST(${large} AS BLOB)`)).toMatchObject({ rows: [], isCutByValue: true });
  });
});
