// Window frames count as work: SQLite reads a frame with EXCLUDE again for every row, and copies the text of an aggregate that builds one.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse } from "../../src/config.ts";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { createReader } from "../support/governed.ts";

const NUMBER = { type: "integer", description: "Number" } as const;

const config = defineGatehouse({
  organisation: { name: "Test", contact: "Test" },
  sources: {
    shop: {
      kind: "d1",
      binding: "SHOP_DB",
      title: "Shop",
      description: "A table that counts as 30,000 rows",
      tables: {
        sales: {
          description: "Sales",
          columns: { id: NUMBER, day: NUMBER, total: NUMBER, note: { type: "text", description: "Note" } },
        },
      },
    },
  },
  roles: {
    reader: { description: "Reads", rules: [{ action: "read", datasets: ["shop.sales"] }] },
    ruled: {
      description: "Reads by an indexed column",
      rules: [{ action: "read", datasets: ["shop.sales"], rows: { column: "note", op: "=", value: "a" } }],
    },
  },
  members: ["reader", "ruled"].map((role) => ({ email: `${role}@harbor.example`, name: role, roles: [role] })),
});
const { outcome } = createReader(config);

beforeAll(async () => {
  await env.SHOP_DB.batch([
    env.SHOP_DB.prepare("CREATE TABLE sales (id INTEGER PRIMARY KEY, day INTEGER, total INTEGER, note TEXT)"),
    env.SHOP_DB.prepare("CREATE INDEX sales_note ON sales (note)"),
    env.SHOP_DB.prepare("INSERT INTO sales VALUES (1, 1, 5, 'a'), (30000, 2, 7, 'b')"),
  ]);
});

type Case = [over: string, values?: readonly SqlValue[]];

describe("a window that goes through its frame for every row is refused as too much work", () => {
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
  ])("%s", async (window, values) => {
    const message = /^query_refused: The query would take too much work\. A window frame with EXCLUDE/;
    expect(await outcome("reader", `SELECT max(w) FROM (SELECT ${window} AS w FROM sales)`, values)).toMatch(message);
    expect(await outcome("reader", `SELECT ${window} FROM sales`, values)).toMatch(message);
  });

  it("also where an index finds the rows of a row rule or of a condition", async () => {
    const over = "sum(total) OVER (ORDER BY id ROWS BETWEEN 10000 PRECEDING AND 10000 FOLLOWING EXCLUDE CURRENT ROW)";
    expect(await outcome("ruled", `SELECT ${over} FROM sales`)).toMatch(/too much work/);
    expect(await outcome("reader", `SELECT ${over} FROM sales WHERE note = 'a'`)).toMatch(/too much work/);
  });

  it("also by the name of a window, and in a CTE", async () => {
    const named = "SELECT sum(total) OVER w FROM sales WINDOW w AS (ORDER BY id ROWS 20000 PRECEDING EXCLUDE TIES)";
    expect(await outcome("reader", named)).toMatch(/too much work/);
    expect(await outcome("reader", `WITH q AS (${named}) SELECT count(*) FROM q`)).toMatch(/too much work/);
  });
});

describe("a window whose value SQLite keeps up to date runs", () => {
  it.each<Case>([
    ["sum(total) OVER (ORDER BY id)"],
    ["sum(total) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"],
    ["avg(total) OVER (ORDER BY id ROWS BETWEEN 10000 PRECEDING AND 10000 FOLLOWING)"],
    ["avg(total) OVER (ORDER BY id ROWS BETWEEN 6 PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW)"],
    ["avg(total) OVER (ORDER BY id ROWS BETWEEN ? PRECEDING AND CURRENT ROW EXCLUDE NO OTHERS)", [10_000]],
    ["row_number() OVER (PARTITION BY day ORDER BY total)"],
    ["lag(total, 10000) OVER (ORDER BY id)"],
  ])("%s", async (window, values) => {
    expect(await outcome("reader", `SELECT ${window} FROM sales`, values)).toMatch(/^\[\[/);
  });

  it("as an aggregate of groups, beside another window", async () => {
    const sql = "SELECT group_concat(note), rank() OVER (ORDER BY count(*)) FROM sales GROUP BY day";
    expect(await outcome("reader", sql)).toMatch(/^\[\[/);
  });
});
