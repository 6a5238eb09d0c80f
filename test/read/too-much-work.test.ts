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
    part: "a FULL JOIN",
    sql: "SELECT count(*) FROM customers c FULL JOIN events e ON e.customer_id = c.id",
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

  it("says that masked columns of a joined table have no index", async () => {
    const sql = "SELECT count(*) FROM customers a JOIN customers b ON a.email LIKE b.email";
    expect(await outcome("masked", sql)).toContain("Masked columns of customers have no index");
    expect(await outcome("owner", sql)).not.toContain("asked columns");
  });
});
