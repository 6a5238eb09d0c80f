// How many rows a query returns by its text: aggregates, LIMIT, VALUES, GROUP BY and DISTINCT.
import { describe, expect, it } from "vitest";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { outlineQueries } from "../../src/sql/query-outline.ts";
import { createRowBounds } from "../../src/sql/row-bounds.ts";
import { parseStatement } from "../../src/sql/statement.ts";

/** The tables of these tests: a million orders of 10,000 buyers. Nothing is known about `note`. */
const COLUMNS: Readonly<Record<string, number>> = { id: 1_000_000, buyer: 10_000, placed_at: 1_000_000 };

const countValuesLog2 = (table: string, column: string) => {
  if (table !== "orders") return "no such column";
  const values = COLUMNS[column];
  return values === undefined ? "unknown" : Math.log2(values);
};

function createBounds(sql: string, values: readonly SqlValue[] = []) {
  const outline = outlineQueries(parseStatement(sql).tokens);
  return { outline, bounds: createRowBounds(outline, values, countValuesLog2) };
}

/** Bounds the rows of a statement that reads a million rows. */
function boundRows(sql: string, values?: readonly SqlValue[]): number {
  const { outline, bounds } = createBounds(sql, values);
  const [statement] = outline.queries;
  return statement === undefined ? Number.NaN : Math.round(2 ** bounds.boundRowsLog2(statement, Math.log2(1_000_000)));
}

describe("the rows of a query that reads a million", () => {
  it.each<[sql: string, rows: number, values?: readonly SqlValue[]]>([
    ["SELECT count(*) FROM orders", 1],
    ["SELECT 1 + max(id) * 2, avg(id) FROM orders WHERE note = 'a'", 1],
    ["SELECT total(id) FILTER (WHERE id > 3) FROM orders", 1],
    ["SELECT 1 FROM orders HAVING count(*) > 1", 1],
    ["SELECT a.n / b.n FROM (SELECT count(*) n FROM orders) a, (SELECT count(*) n FROM orders) b", 1],
    ["WITH a AS (SELECT count(*) n FROM orders), b AS (SELECT n FROM a) SELECT * FROM a JOIN b", 1],
    ["SELECT id FROM orders LIMIT 10", 10],
    ["SELECT id FROM orders ORDER BY id LIMIT 20 OFFSET 5000", 20],
    ["SELECT id FROM orders LIMIT 5000, 30", 30],
    ["SELECT id FROM orders LIMIT ?", 40, [40]],
    ["SELECT id FROM orders WHERE id > ? LIMIT ?", 50, [7, 50]],
    ["VALUES (1), (2), (3)", 3],
    ["SELECT 1 UNION ALL SELECT 2", 2],
    ["SELECT 1", 1],
    ["SELECT DISTINCT buyer FROM orders", 10_000],
    ["SELECT buyer, count(*) FROM orders GROUP BY buyer", 10_000],
    ["SELECT buyer AS who, count(*) FROM orders GROUP BY who", 10_000],
    ["SELECT buyer, count(*) FROM orders GROUP BY 1", 10_000],
    ["SELECT o.buyer, count(*) FROM orders o GROUP BY o.buyer HAVING count(*) > 2", 10_000],
    ["SELECT strftime('%m', placed_at) AS month, count(*) FROM orders GROUP BY month", 12],
    ["SELECT CAST(strftime('%w', placed_at) AS INTEGER), count(*) FROM orders GROUP BY 1", 7],
    ["SELECT strftime('%Y-%m', placed_at) FROM orders GROUP BY 1", 300],
    ["SELECT substr(placed_at, 1, 7) FROM orders GROUP BY 1", 512],
    ["SELECT note = 'a', count(*) FROM orders GROUP BY 1", 3],
    ["SELECT CASE WHEN note < 'a' THEN 'low' WHEN note < 'm' THEN 'mid' ELSE 'high' END c FROM orders GROUP BY c", 4],
    ["SELECT id % 5 FROM orders GROUP BY 1", 10],
    ["SELECT x.m FROM (SELECT strftime('%m', placed_at) AS m FROM orders) x GROUP BY x.m", 12],
    ["WITH x(a, m) AS (SELECT id, strftime('%m', placed_at) FROM orders) SELECT DISTINCT m FROM x", 12],
    ["WITH x AS (SELECT *, strftime('%m', placed_at) AS m FROM orders) SELECT buyer FROM x GROUP BY buyer", 10_000],
    ["SELECT note FROM orders GROUP BY note", 251],
    ["SELECT count(*) FROM (SELECT note FROM orders GROUP BY note) GROUP BY note", 251],
  ])("are bounded for %s", (sql, rows, values) => {
    expect(boundRows(sql, values)).toBe(rows);
  });

  it.each([
    "SELECT id FROM orders",
    "SELECT id FROM orders LIMIT -1",
    "SELECT id FROM orders LIMIT 1 + 1000000",
    "SELECT max(id, 3) FROM orders",
    "SELECT count(*) OVER () FROM orders",
    "SELECT sum(id) FILTER (WHERE id > 3) OVER (ORDER BY id) FROM orders",
    "SELECT (SELECT count(*) FROM orders) FROM orders",
    "SELECT id FROM orders WHERE id IN (SELECT max(id) FROM orders)",
    "SELECT id FROM orders UNION SELECT id FROM (SELECT id FROM orders LIMIT 3)",
    "SELECT DISTINCT * FROM orders",
    "SELECT id, count(*) FROM orders GROUP BY id",
    "SELECT DISTINCT placed_at, note FROM orders",
    "WITH c AS (SELECT id FROM orders) SELECT id FROM c",
  ])("are not bounded for %s", (sql) => {
    expect(boundRows(sql)).toBeGreaterThanOrEqual(1_000_000);
  });
});

describe("the steps of a recursive query", () => {
  it.each([
    ["SELECT '2026-01-01' UNION ALL SELECT date(d, '+1 day') FROM c WHERE d < '2026-01-31'", 31],
    ["SELECT date('2025-01-01') UNION ALL SELECT date(d, '+1 month') FROM c WHERE d < '2026-12-01'", 26],
    ["SELECT 1 UNION ALL SELECT d + 1 FROM c WHERE d < 90", 91],
    ["SELECT 1 UNION ALL SELECT d + 1 FROM c LIMIT 12", 12],
    ["SELECT 1 UNION ALL SELECT d + 1 FROM c", 1024],
  ])("are guessed for %s", (body, steps) => {
    const { outline, bounds } = createBounds(`WITH RECURSIVE c(d) AS (${body}) SELECT d FROM c`);
    const query = outline.queries.find(({ kind }) => kind === "cte");
    expect(Math.round(2 ** (query === undefined ? Number.NaN : bounds.countStepsLog2(query)))).toBe(steps);
  });
});

describe("the runs of subqueries that are correlated with a query", () => {
  it.each([
    ["SELECT id, (SELECT max(id) FROM orders i) FROM orders o LIMIT 10", 10],
    ["SELECT id, (SELECT max(id) FROM orders i) FROM orders o ORDER BY note LIMIT 10", 10],
    ["SELECT id, (SELECT max(id) FROM orders i) FROM orders o LIMIT 10 OFFSET 500", 510],
    ["SELECT id, (SELECT max(id) FROM orders i) FROM orders o LIMIT 500, 10", 510],
    ["SELECT id, (SELECT max(id) FROM orders i) m FROM orders o ORDER BY m LIMIT 10", Number.POSITIVE_INFINITY],
    ["SELECT id, (SELECT max(id) FROM orders i) m FROM orders o ORDER BY 2 LIMIT 10", Number.POSITIVE_INFINITY],
    ["SELECT DISTINCT (SELECT max(id) FROM orders i) FROM orders o LIMIT 10", Number.POSITIVE_INFINITY],
    ["SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM orders i) LIMIT 10", Number.POSITIVE_INFINITY],
    ["SELECT sum((SELECT max(id) FROM orders i)) FROM orders o LIMIT 10", Number.POSITIVE_INFINITY],
    ["SELECT id, (SELECT max(id) FROM orders i) FROM orders o", Number.POSITIVE_INFINITY],
  ])("are bounded by the LIMIT of %s", (sql, runs) => {
    const { outline, bounds } = createBounds(sql);
    const [statement] = outline.queries;
    expect(Math.round(2 ** (statement === undefined ? Number.NaN : bounds.boundListRunsLog2(statement)))).toBe(runs);
  });
});
