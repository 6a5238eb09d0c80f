// An index on the column of a row rule finds all rows that a user sees. Without statistics SQLite takes them for ten, and joins of such
// tables with themselves passed the work limit: one of them stopped a local server for everybody.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse } from "../../src/config.ts";
import { createReader } from "../support/governed.ts";

const NUMBER = { type: "integer", description: "Number" } as const;
const TEXT = { type: "text", description: "Text" } as const;

const config = defineGatehouse({
  organisation: { name: "Test", contact: "Test" },
  sources: {
    shop: {
      kind: "d1",
      binding: "SHOP_DB",
      title: "Shop",
      description: "Cases that count as 30,000",
      tables: {
        cases: {
          description: "Cases",
          columns: { id: NUMBER, region: TEXT, status: TEXT, customer_id: NUMBER, note: TEXT },
        },
      },
    },
  },
  roles: {
    one: {
      description: "One region",
      rules: [{ action: "read", datasets: ["shop.cases"], rows: { column: "region", op: "=", value: "north" } }],
    },
    two: {
      description: "Two regions",
      rules: [
        { action: "read", datasets: ["shop.cases"], rows: { column: "region", op: "in", value: ["north", "east"] } },
      ],
    },
  },
  members: ["one", "two"].map((role) => ({ email: `${role}@harbor.example`, name: role, roles: [role] })),
});
const { outcome } = createReader(config);

beforeAll(async () => {
  await env.SHOP_DB.batch(
    [
      "CREATE TABLE cases (id INTEGER PRIMARY KEY, region TEXT, status TEXT, customer_id INTEGER, note TEXT)",
      "CREATE INDEX cases_region_status ON cases (region, status)",
      "CREATE INDEX cases_customer ON cases (customer_id)",
      "INSERT INTO cases VALUES (1, 'north', 'open', 7, 'a'), (30000, 'north', 'open', 7, 'b'), (29999, 'south', 'open', 7, 'c')",
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
});

describe.each(["one", "two"])("a user whose row rule has an index (%s)", (account) => {
  it.each([
    "SELECT count(*) FROM cases a, cases b, cases c, cases d",
    "SELECT count(*) FROM cases a, cases b",
    "SELECT count(*) FROM cases a JOIN cases b ON a.note < b.note",
  ])("is refused as too much work: %s", async (sql) => {
    expect(await outcome(account, sql)).toMatch(/^query_refused: The query would take too much work/);
  });

  it.each([
    ["SELECT count(*) FROM cases", "[[2]]"],
    ["SELECT id FROM cases WHERE id = 30000", "[[30000]]"],
    ["SELECT count(*) FROM cases WHERE status = 'open'", "[[2]]"],
    ["SELECT count(*) FROM cases a JOIN cases b ON a.customer_id = b.customer_id", "[[4]]"],
    ["SELECT count(*) FROM cases a JOIN cases b ON a.note = b.note", "[[2]]"],
    [
      "SELECT a.id, (SELECT count(*) FROM cases b WHERE b.customer_id = a.customer_id) FROM cases a ORDER BY 1",
      "[[1,2],[30000,2]]",
    ],
  ])("is answered: %s", async (sql, expected) => {
    expect(await outcome(account, sql)).toBe(expected);
  });
});
