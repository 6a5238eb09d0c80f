// The work estimate counts window frames: SQLite reads a frame with EXCLUDE again for each row, and an aggregate that builds text copies
// the text for each row.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { createReader } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy } from "../support/policy-builder.ts";
import { pretendRows } from "../support/pretend-rows.ts";

/** `sales` counts as 30,000 rows. The row rule of `ruled` uses an indexed column. */
const config = buildPolicy({
  tables: { sales: { id: NUMBER, day: NUMBER, total: NUMBER, note: TEXT } },
  roles: {
    reader: [allow("shop.sales")],
    ruled: [allow("shop.sales", { rows: { column: "note", op: "=", value: "a" } })],
  },
});
const { outcome } = createReader(config);

beforeAll(async () => {
  await env.SHOP_DB.batch([
    env.SHOP_DB.prepare("CREATE TABLE sales (id INTEGER PRIMARY KEY, day INTEGER, total INTEGER, note TEXT)"),
    env.SHOP_DB.prepare("CREATE INDEX sales_note ON sales (note)"),
    env.SHOP_DB.prepare("INSERT INTO sales VALUES (1, 1, 5, 'a'), (30000, 2, 7, 'b')"),
  ]);
  await pretendRows(env.SHOP_DB, { sales: 30_000 });
});

type Case = [window: string, values?: readonly SqlValue[]];

describe("the work limit for a window that reads its frame again for each row", () => {
  it.each<Case>([
    ["sum(total) OVER (ORDER BY id ROWS BETWEEN 10000 PRECEDING AND 10000 FOLLOWING EXCLUDE CURRENT ROW)"],
    ["sum(total) OVER (ORDER BY id ROWS BETWEEN ? PRECEDING AND ? FOLLOWING EXCLUDE CURRENT ROW)", [10_000, 10_000]],
    ["count(*) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES)"],
    ["count(*) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW)"],
    ["max(total) OVER (ORDER BY day RANGE BETWEEN 10 PRECEDING AND 10 FOLLOWING EXCLUDE GROUP)"],
    ["max(total) OVER (ORDER BY day GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING exclude /* x */ ties)"],
    ["first_value(total) OVER (ORDER BY id ROWS BETWEEN 5000 + 5000 PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW)"],
    ["length(group_concat(note) OVER (ORDER BY id))"],
    ["length(json_group_array(note) OVER ())"],
  ])("refuses %s", async (window, values) => {
    const message = /^query_refused: The query would take too much work\. A window frame with EXCLUDE/;
    expect(await outcome("reader", `SELECT max(w) FROM (SELECT ${window} AS w FROM sales)`, values)).toMatch(message);
    expect(await outcome("reader", `SELECT ${window} FROM sales`, values)).toMatch(message);
  });

  it("refuses it when an index finds the rows of a row rule or of a condition", async () => {
    const window = "sum(total) OVER (ORDER BY id ROWS BETWEEN 10000 PRECEDING AND 10000 FOLLOWING EXCLUDE CURRENT ROW)";
    expect(await outcome("ruled", `SELECT ${window} FROM sales`)).toMatch(/too much work/);
    expect(await outcome("reader", `SELECT ${window} FROM sales WHERE note = 'a'`)).toMatch(/too much work/);
  });

  it("refuses it as a named window, and in a CTE", async () => {
    const namedWindowSql =
      "SELECT sum(total) OVER w FROM sales WINDOW w AS (ORDER BY id ROWS 20000 PRECEDING EXCLUDE TIES)";
    expect(await outcome("reader", namedWindowSql)).toMatch(/too much work/);
    expect(await outcome("reader", `WITH q AS (${namedWindowSql}) SELECT count(*) FROM q`)).toMatch(/too much work/);
  });
});

describe("the work limit for a window that SQLite updates from row to row", () => {
  it.each<Case>([
    ["sum(total) OVER (ORDER BY id)"],
    ["sum(total) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"],
    ["avg(total) OVER (ORDER BY id ROWS BETWEEN 10000 PRECEDING AND 10000 FOLLOWING)"],
    ["avg(total) OVER (ORDER BY id ROWS BETWEEN 6 PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW)"],
    ["avg(total) OVER (ORDER BY id ROWS BETWEEN ? PRECEDING AND CURRENT ROW EXCLUDE NO OTHERS)", [10_000]],
    ["row_number() OVER (PARTITION BY day ORDER BY total)"],
    ["lag(total, 10000) OVER (ORDER BY id)"],
  ])("allows %s", async (window, values) => {
    expect(await outcome("reader", `SELECT ${window} FROM sales`, values)).toMatch(/^\[\[/);
  });

  it("allows an aggregate of groups that builds text, next to a window", async () => {
    const sql = "SELECT group_concat(note), rank() OVER (ORDER BY count(*)) FROM sales GROUP BY day";
    expect(await outcome("reader", sql)).toMatch(/^\[\[/);
  });
});
