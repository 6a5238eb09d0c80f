// The benchmarked queries, each also in a form with the row rule written into the SQL, for the direct measurement.

/** A benchmarked query. */
export interface Shape {
  readonly name: string;
  /** The users that run it. */
  readonly accounts: readonly string[];
  readonly sql: string;
  readonly values: readonly (string | number)[];
  /** The query with the row rule of `north` written out. `ruledValues` follow `values`. */
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
    sql: `SELECT c.segment, count(*), sum(o.total_cents) FROM orders o JOIN customers c ON c.id = o.customer_id
      WHERE o.placed_at >= ? GROUP BY c.segment`,
    values: ["2026-06-15"],
    ruledSql: `SELECT c.segment, count(*), sum(o.total_cents) FROM orders o JOIN customers c ON c.id = o.customer_id
      WHERE o.placed_at >= ? AND o.region = ? AND c.region = ? GROUP BY c.segment`,
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
    name: "join on a masking token",
    accounts: ["tokens"],
    sql: "SELECT v.page, count(*) FROM visits v JOIN customers c ON c.email = v.email WHERE v.id < 10000 GROUP BY v.page",
    values: [],
    ruledSql: "",
    ruledValues: [],
  },
  {
    name: "one customer with a masking token",
    accounts: ["tokens"],
    sql: "SELECT email, segment FROM customers WHERE id = ?",
    values: [77_777],
    ruledSql: "",
    ruledValues: [],
  },
];
