// A refusal for too much work names the costliest part of the query and a rewrite that helps. It reveals neither sizes nor names of Gatehouse.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { createReader } from "../support/governed.ts";
import type { Reader } from "../support/governed.ts";
import { LARGE_SHOP_ROLES, createLargeShop, largeShopConfig } from "../support/large-shop.ts";

interface Refusal {
  readonly part: string;
  readonly sql: string;
  readonly says: readonly string[];
  readonly omits?: readonly string[];
}

const REFUSALS: readonly Refusal[] = [
  {
    part: "a cross join of tables",
    sql: "SELECT count(*) FROM orders a, customers b",
    says: ["a join of orders and customers", "Connect orders and customers by a condition"],
    omits: ["equal columns"],
  },
  {
    part: "a cross join of a table with itself",
    sql: "SELECT count(*) FROM orders, orders AS later",
    says: ["a join of orders with itself"],
    omits: ["equal columns"],
  },
  {
    part: "a join on a comparison",
    sql: "SELECT count(*) FROM orders o JOIN events e ON e.page < o.status",
    says: ["a join of orders and events", "on equal columns", "in a WITH query first"],
  },
  {
    part: "a cross join of WITH queries",
    sql: `WITH spending AS (SELECT customer_id, sum(total_cents) AS cents FROM orders GROUP BY customer_id)
      SELECT count(*) FROM spending first, spending second`,
    says: ["a join of spending with itself", "group or limit them"],
    omits: ["equal columns", "orders"],
  },
  {
    part: "a cross join of subqueries",
    sql: "SELECT count(*) FROM (SELECT DISTINCT customer_id FROM orders) buyers, (SELECT DISTINCT id FROM customers) everyone",
    says: ["a join of buyers and everyone"],
    omits: ["equal columns"],
  },
  {
    part: "a join of a WITH query with itself",
    sql: `WITH big AS (SELECT * FROM orders WHERE total_cents > 5) SELECT count(*) FROM big a, big b WHERE a.status < b.status`,
    says: ["a join of big with itself", "Join big with itself on equal columns"],
    omits: ["orders"],
  },
  {
    part: "a join of two WITH queries",
    sql: `WITH big AS (SELECT id, status FROM orders), people AS (SELECT id, city FROM customers)
      SELECT count(*) FROM people JOIN big ON big.status < people.city`,
    says: ["a join of big and people"],
    omits: ["orders", "customers"],
  },
  {
    part: "a join of a WITH query with a table",
    sql: "WITH Big AS (SELECT id, status FROM orders) SELECT count(*) FROM Big JOIN customers c ON big.status < c.city",
    says: ["a join of Big and customers"],
    omits: ["orders"],
  },
  {
    part: "a join of a WITH query that reads another",
    sql: "WITH a AS (SELECT * FROM orders), later AS (SELECT * FROM a WHERE id > 9) SELECT count(*) FROM later x, later y",
    says: ["a join of later with itself"],
    omits: ["orders"],
  },
  {
    part: "a join of a WITH query that joins two tables with itself",
    sql: `WITH bought AS (SELECT o.id, o.status, c.city FROM orders o JOIN customers c ON c.id = o.customer_id)
      SELECT count(*) FROM bought x JOIN bought y ON x.status < y.city`,
    says: ["a join of bought with itself"],
    omits: ["orders", "a join of customers"],
  },
  {
    part: "a join inside a WITH query",
    sql: `WITH pairs AS (SELECT o.product_id, c.city FROM orders o JOIN customers c ON c.city > o.status)
      SELECT count(*) FROM pairs JOIN products p ON p.id = pairs.product_id`,
    says: ["a join of orders", "customers"],
    omits: ["pairs"],
  },
  {
    part: "a join of two subqueries",
    sql: "SELECT count(*) FROM (SELECT status FROM orders) x JOIN (SELECT page FROM events) y ON x.status < y.page",
    says: ["a join of x and y"],
    omits: ["orders", "events"],
  },
  {
    part: "a join of two subqueries without a name",
    sql: "SELECT count(*) FROM (SELECT status FROM orders) JOIN (SELECT page FROM events) ON status < page",
    says: ["a join of orders and events"],
  },
  {
    part: "a FULL JOIN of WITH queries",
    sql: `WITH people AS (SELECT * FROM customers), visits AS (SELECT * FROM events)
      SELECT count(*) FROM people FULL JOIN visits ON visits.customer_id = people.id`,
    says: ["a FULL JOIN of people and visits"],
    omits: ["customers", "events"],
  },
  {
    part: "a correlated subquery over a WITH query",
    sql: `WITH big AS (SELECT * FROM orders), visits AS (SELECT * FROM events)
      SELECT big.id, (SELECT count(*) FROM visits v WHERE v.page < big.status) AS n FROM big ORDER BY n DESC LIMIT 5`,
    says: ["the subquery over visits", "again for each row of big"],
    omits: ["orders", "events"],
  },
  {
    part: "a FULL JOIN",
    sql: "SELECT count(*) FROM customers c FULL JOIN events e ON e.customer_id < c.id",
    says: ["a FULL JOIN of customers and events", "LEFT JOIN", "UNION ALL", "NOT EXISTS"],
  },
  {
    part: "a correlated subquery",
    sql: "SELECT o.id, (SELECT count(*) FROM events e WHERE e.page < o.status) AS n FROM orders o ORDER BY n DESC LIMIT 5",
    says: ["the subquery over events", "again for each row of orders", "WITH query with GROUP BY"],
    omits: ["equal columns"],
  },
  {
    part: "a correlated EXISTS",
    sql: "SELECT count(*) FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.status LIKE c.city)",
    says: ["the subquery over orders", "again for each row of customers"],
    omits: ["equal columns"],
  },
  {
    part: "a window frame with EXCLUDE",
    sql: `SELECT max(s) FROM (SELECT sum(total_cents) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      EXCLUDE TIES) AS s FROM orders)`,
    says: ["A window frame with EXCLUDE", "make the frame smaller"],
    omits: ["join"],
  },
  {
    part: "a window function that builds text",
    sql: "SELECT max(length(t)) FROM (SELECT group_concat(status) OVER (ORDER BY id) AS t FROM orders)",
    says: ["a window function that builds text"],
    omits: ["join"],
  },
];

describe("the refusal of too much work", () => {
  let outcome: Reader["outcome"];
  beforeAll(async () => {
    await createLargeShop(env.SHOP_DB, true);
    outcome = createReader(largeShopConfig).outcome;
  });

  describe.each(LARGE_SHOP_ROLES)("for the role %s", (role) => {
    it.each(REFUSALS)("names $part and a rewrite", async ({ sql, says, omits }) => {
      const refusal = await outcome(role, sql);
      expect(refusal).toMatch(/^query_refused: The query would take too much work\. /);
      for (const text of says) expect(refusal).toContain(text);
      for (const text of omits ?? []) expect(refusal).not.toContain(text);
    });

    it.each(REFUSALS)("reveals no number and no name of Gatehouse for $part", async ({ sql }) => {
      expect(await outcome(role, sql)).not.toMatch(/\d|guard|subquery-|nonce|main\./);
    });
  });

  it("says that masked columns of a table have no index where a WITH query joins it", async () => {
    const sql =
      "WITH people AS (SELECT * FROM customers) SELECT count(*) FROM people a JOIN people b ON a.email LIKE b.email";
    expect(await outcome("masked", sql)).toContain("a join of people with itself");
    expect(await outcome("masked", sql)).toContain("Masked columns of customers have no index");
  });

  it("says that masked columns of a joined table have no index", async () => {
    const sql = "SELECT count(*) FROM customers a JOIN customers b ON a.email LIKE b.email";
    expect(await outcome("masked", sql)).toContain("Masked columns of customers have no index");
    expect(await outcome("owner", sql)).not.toContain("asked columns");
  });
});
