// Runs queries of every kind that analysts write over the sample, through the real server and a real client. The guard and the work
// limits must let each of them through, with rows.
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { connectAs } from "../support/node/clients.ts";
import type { TestClient } from "../support/node/clients.ts";

let client: TestClient;

beforeAll(async () => {
  client = await connectAs("sdk v2, 2026", `${inject("origin")}/mcp`, "analyst@harbor.example");
});

afterAll(async () => {
  await client.close();
});

const QUERIES: Readonly<Record<string, readonly string[]>> = {
  "counting and grouping": [
    "SELECT count(*) FROM customers",
    "SELECT region, count(*) AS customers FROM customers GROUP BY region ORDER BY customers DESC",
    "SELECT status, count(*), sum(total_cents) / 100.0 AS euros FROM orders GROUP BY status",
    "SELECT count(DISTINCT customer_id) FROM orders WHERE status <> 'cancelled'",
    "SELECT category, min(price_cents), avg(price_cents), max(price_cents) FROM products GROUP BY category HAVING count(*) > 3",
    "SELECT segment, region, count(*) FROM customers GROUP BY segment, region ORDER BY 1, 2",
    "SELECT total_cents / 10000 AS bucket, count(*) FROM orders GROUP BY bucket ORDER BY bucket",
    "SELECT status, count(*) FILTER (WHERE total_cents > 10000) AS large, count(*) AS total FROM orders GROUP BY 1",
    "SELECT group_concat(DISTINCT category) FROM products",
    "SELECT strftime('%Y', birth_date) / 10 * 10 AS decade, count(*) FROM customers WHERE birth_date < '2000-01-01' GROUP BY decade",
  ],
  dates: [
    "SELECT strftime('%Y-%m', placed_at) AS month, count(*), sum(total_cents) FROM orders GROUP BY month ORDER BY month",
    "SELECT date(placed_at, 'weekday 0', '-6 days') AS week, count(*) FROM orders GROUP BY week ORDER BY week DESC LIMIT 8",
    "SELECT strftime('%w', placed_at) AS weekday, avg(total_cents) FROM orders GROUP BY weekday",
    "SELECT * FROM orders WHERE placed_at BETWEEN '2026-06-01' AND '2026-06-08' ORDER BY placed_at",
    "SELECT count(*) FROM orders WHERE placed_at >= date('2026-06-30', '-30 days')",
    "SELECT round(julianday('2026-06-30') - julianday(max(placed_at))) AS days FROM orders",
    "SELECT date(created_at, 'start of month') AS joined, count(*) FROM customers GROUP BY joined ORDER BY joined DESC LIMIT 12",
    "SELECT avg(julianday(closed_at) - julianday(opened_at)) FROM tickets WHERE closed_at IS NOT NULL",
  ],
  joins: [
    "SELECT c.name, o.id, o.total_cents FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY o.total_cents DESC LIMIT 10",
    "SELECT c.segment, sum(o.total_cents) FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY c.segment",
    [
      "SELECT p.category, sum(i.quantity * i.unit_price_cents) AS revenue FROM order_items i",
      "JOIN products p ON p.id = i.product_id GROUP BY 1 ORDER BY 2 DESC",
    ].join(" "),
    "SELECT c.name FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.id IS NULL",
    [
      "SELECT o.id, count(*) AS items, sum(i.quantity) FROM orders o JOIN order_items i ON i.order_id = o.id",
      "GROUP BY o.id ORDER BY items DESC LIMIT 5",
    ].join(" "),
    [
      "SELECT c.region, p.category, count(*) FROM order_items i JOIN orders o ON o.id = i.order_id",
      "JOIN customers c ON c.id = o.customer_id JOIN products p ON p.id = i.product_id GROUP BY 1, 2",
      "ORDER BY 3 DESC LIMIT 20",
    ].join(" "),
    "SELECT a.name, b.name FROM products a JOIN products b ON b.category = a.category AND b.id > a.id LIMIT 10",
    [
      "SELECT substr(c.email, instr(c.email, '@') + 1) AS domain, count(*) FROM customers c",
      "JOIN orders o ON o.customer_id = c.id GROUP BY domain ORDER BY 2 DESC LIMIT 10",
    ].join(" "),
    "SELECT t.status, o.status, count(*) FROM tickets t JOIN orders o ON o.id = t.order_id GROUP BY 1, 2",
    "SELECT * FROM customers NATURAL JOIN (SELECT 1 AS id)",
    [
      "SELECT p.name, coalesce(s.sold, 0) AS sold FROM products p LEFT JOIN",
      "(SELECT product_id, sum(quantity) AS sold FROM order_items GROUP BY product_id) s ON s.product_id = p.id",
      "ORDER BY sold LIMIT 10",
    ].join(" "),
    "SELECT count(*) FROM customers a JOIN customers b ON a.email = b.email AND a.id < b.id",
  ],
  subqueries: [
    "SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders GROUP BY customer_id HAVING sum(total_cents) > 100000)",
    "SELECT name FROM products p WHERE NOT EXISTS (SELECT 1 FROM order_items i WHERE i.product_id = p.id AND i.quantity > 5) LIMIT 5",
    "SELECT name, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) AS orders FROM customers c ORDER BY orders DESC LIMIT 5",
    "SELECT * FROM orders WHERE total_cents > (SELECT avg(total_cents) * 5 FROM orders)",
    "SELECT id, total_cents, total_cents * 100.0 / (SELECT sum(total_cents) FROM orders) AS share FROM orders ORDER BY share DESC LIMIT 3",
    "SELECT name FROM products WHERE price_cents = (SELECT max(price_cents) FROM products)",
    "SELECT * FROM (SELECT category, count(*) AS n FROM products GROUP BY category) WHERE n > 10",
    "SELECT id FROM orders WHERE (customer_id, placed_at) IN (SELECT customer_id, max(placed_at) FROM orders GROUP BY customer_id) LIMIT 5",
  ],
  "common table expressions": [
    [
      "WITH monthly AS (SELECT strftime('%Y-%m', placed_at) AS m, sum(total_cents) AS s FROM orders GROUP BY m)",
      "SELECT m, s, s - lag(s) OVER (ORDER BY m) AS change FROM monthly",
    ].join(" "),
    [
      "WITH spend AS (SELECT customer_id, sum(total_cents) AS s FROM orders GROUP BY 1), ranked AS",
      "(SELECT *, ntile(10) OVER (ORDER BY s DESC) AS decile FROM spend) SELECT decile, sum(s) FROM ranked",
      "GROUP BY decile",
    ].join(" "),
    [
      "WITH firsts AS (SELECT customer_id, min(placed_at) AS first FROM orders GROUP BY 1)",
      "SELECT strftime('%Y-%m', first) AS cohort, count(*) FROM firsts GROUP BY cohort ORDER BY cohort LIMIT 12",
    ].join(" "),
    [
      "WITH m AS (SELECT strftime('%Y-%m', placed_at) AS m, count(*) AS n FROM orders GROUP BY 1)",
      "SELECT a.m, a.n, b.n FROM m a JOIN m b ON substr(b.m, 6) = substr(a.m, 6) AND b.m > a.m",
    ].join(" "),
    [
      'WITH days(d) AS (SELECT value FROM json_each(\'["2026-06-01", "2026-06-02", "2026-06-03"]\')) SELECT d,',
      "(SELECT count(*) FROM orders WHERE date(placed_at) = d) FROM days",
    ].join(" "),
    "WITH a AS (SELECT * FROM orders WHERE status = 'returned'), b AS (SELECT * FROM a WHERE total_cents > 5000) SELECT count(*) FROM b",
    [
      "WITH top AS (SELECT product_id FROM order_items GROUP BY product_id ORDER BY sum(quantity) DESC LIMIT 5)",
      "SELECT p.name FROM products p JOIN top ON top.product_id = p.id",
    ].join(" "),
  ],
  "window functions": [
    "SELECT id, total_cents, rank() OVER (ORDER BY total_cents DESC) FROM orders LIMIT 10",
    "SELECT customer_id, id, row_number() OVER (PARTITION BY customer_id ORDER BY placed_at) AS nth FROM orders LIMIT 10",
    [
      "SELECT day, n, avg(n) OVER (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) FROM",
      "(SELECT date(placed_at) AS day, count(*) AS n FROM orders GROUP BY day) ORDER BY day DESC LIMIT 14",
    ].join(" "),
    [
      "SELECT m, s, sum(s) OVER (ORDER BY m) AS running FROM",
      "(SELECT strftime('%Y-%m', placed_at) AS m, sum(total_cents) AS s FROM orders GROUP BY m)",
    ].join(" "),
    [
      "SELECT * FROM (SELECT category, name, price_cents, dense_rank() OVER (PARTITION BY category",
      "ORDER BY price_cents DESC) AS r FROM products) WHERE r <= 2",
    ].join(" "),
    [
      "SELECT customer_id, placed_at, julianday(placed_at) - julianday(lag(placed_at)",
      "OVER (PARTITION BY customer_id ORDER BY placed_at)) AS gap FROM orders ORDER BY gap DESC LIMIT 5",
    ].join(" "),
    "SELECT DISTINCT segment, first_value(name) OVER (PARTITION BY segment ORDER BY created_at) FROM customers",
    "SELECT percent_rank() OVER (ORDER BY price_cents), cume_dist() OVER (ORDER BY price_cents), name FROM products LIMIT 5",
  ],
  "sets, text and JSON": [
    "SELECT region FROM customers UNION SELECT region FROM tickets",
    "SELECT id FROM customers EXCEPT SELECT customer_id FROM orders",
    "SELECT customer_id FROM orders INTERSECT SELECT customer_id FROM tickets LIMIT 5",
    [
      "SELECT 'customers' AS what, count(*) FROM customers UNION ALL SELECT 'orders', count(*) FROM orders",
      "UNION ALL SELECT 'tickets', count(*) FROM tickets",
    ].join(" "),
    "SELECT upper(name), length(name), replace(name, ' ', '_') FROM products LIMIT 3",
    "SELECT name FROM products WHERE name LIKE '%rope%' OR name GLOB '*anchor*' ORDER BY name COLLATE NOCASE",
    "SELECT printf('%.2f €', total_cents / 100.0) AS total FROM orders ORDER BY id LIMIT 3",
    "SELECT json_group_object(status, n) FROM (SELECT status, count(*) AS n FROM orders GROUP BY status)",
    [
      "SELECT CASE WHEN total_cents < 2000 THEN 'small' WHEN total_cents < 20000 THEN 'middle' ELSE 'large' END AS size,",
      "count(*) FROM orders GROUP BY size",
    ].join(" "),
    "SELECT iif(active, 'for sale', 'not any more') AS state, count(*) FROM products GROUP BY 1",
    'SELECT count(*) AS [select], max(id) AS "max id", min(id) `min id` FROM orders -- names with spaces\n',
    "SELECT * FROM orders ORDER BY random() LIMIT 3",
    "VALUES (1, 'a'), (2, 'b')",
  ],
};

describe.each(Object.entries(QUERIES))("answers an analyst's query with rows (%s)", (_kind, queries) => {
  it.each(queries)("%s", async (sql) => {
    const { isError, structured, text } = await client.call("query", { source: "shop", sql });
    expect(isError, text).toBe(false);
    expect(Reflect.get(Object(structured), "rows"), text).not.toEqual([]);
  });
});

it("the list of analysts' queries has at least sixty entries", () => {
  expect(Object.values(QUERIES).flat().length).toBeGreaterThanOrEqual(60);
});
