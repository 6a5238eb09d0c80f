// What is asked, and how the same looks to somebody who writes the row rule into the SQL.

export interface Shape {
  readonly name: string;
  /** Who asks. */
  readonly accounts: readonly string[];
  readonly sql: string;
  readonly values: readonly (string | number)[];
  /** With the rule of `north` written out; the values follow the shape's own. */
  readonly ruledSql: string;
  readonly ruledValues: readonly string[];
}

export const SHAPES: readonly Shape[] = [
  {
    name: "point",
    accounts: ["all", "north"],
    sql: "SELECT id, status, total_cents FROM orders WHERE id = ?",
    values: [777_777],
    ruledSql: "SELECT id, status, total_cents FROM orders WHERE id = ? AND region = ?",
    ruledValues: ["north"],
  },
  {
    name: "500 rows of a range",
    accounts: ["all", "north"],
    sql: "SELECT id, customer_id, status, total_cents, placed_at FROM orders WHERE placed_at >= ? ORDER BY placed_at LIMIT 500",
    values: ["2026-03-01"],
    ruledSql:
      "SELECT id, customer_id, status, total_cents, placed_at FROM orders WHERE placed_at >= ? AND region = ? ORDER BY placed_at LIMIT 500",
    ruledValues: ["north"],
  },
  {
    name: "join and group",
    accounts: ["all", "north"],
    sql: "SELECT c.segment, count(*), sum(o.total_cents) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.placed_at >= ? GROUP BY c.segment",
    values: ["2026-06-15"],
    ruledSql:
      "SELECT c.segment, count(*), sum(o.total_cents) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.placed_at >= ? AND o.region = ? AND c.region = ? GROUP BY c.segment",
    ruledValues: ["north", "north"],
  },
  {
    name: "top 20",
    accounts: ["all", "north"],
    sql: "SELECT id, total_cents FROM orders ORDER BY total_cents DESC LIMIT 20",
    values: [],
    ruledSql: "SELECT id, total_cents FROM orders WHERE region = ? ORDER BY total_cents DESC LIMIT 20",
    ruledValues: ["north"],
  },
  {
    name: "count",
    accounts: ["all", "north"],
    sql: "SELECT count(*) FROM orders WHERE status = 'placed'",
    values: [],
    ruledSql: "SELECT count(*) FROM orders WHERE status = 'placed' AND region = ?",
    ruledValues: ["north"],
  },
  {
    name: "join on a token",
    accounts: ["tokens"],
    sql: "SELECT v.page, count(*) FROM visits v JOIN customers c ON c.email = v.email WHERE v.id < 10000 GROUP BY v.page",
    values: [],
    ruledSql: "",
    ruledValues: [],
  },
  {
    name: "one customer by token",
    accounts: ["tokens"],
    sql: "SELECT email, segment FROM customers WHERE id = ?",
    values: [77_777],
    ruledSql: "",
    ruledValues: [],
  },
];
