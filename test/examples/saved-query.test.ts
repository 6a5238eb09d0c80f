// The example saved-query: what its README shows, and that a user with a savedOnly role reads in no other way.
import { beforeAll, describe, expect, it } from "vitest";
import readme from "../../examples/saved-query/README.md?raw";
import config from "../../examples/saved-query/gatehouse.config.ts";
import schema from "../../examples/saved-query/schema.sql?raw";
import { createTables, expectShownAnswer, listShownCalls, serveExample } from "../support/examples.ts";

const callAs = serveExample(config);

beforeAll(async () => createTables(schema));

describe("the example saved-query", () => {
  it.each(listShownCalls(readme))("gives the answer that its README shows to %s", async (_title, call) =>
    expectShownAnswer(callAs, call),
  );

  it.each([
    ["query", { source: "shop", sql: "SELECT * FROM orders" }],
    ["query", { source: "shop", sql: "SELECT count(*) FROM orders" }],
    ["query", { source: "workspace", sql: "SELECT * FROM orders" }],
    ["fetch", { id: "shop.orders/3" }],
    ["fetch", { id: "shop.orders" }],
    ["describe", { dataset: "shop.orders" }],
    ["search", { query: "customer status" }],
  ])("shows the board no order, customer or column when calling %s with %j", async (tool, args) => {
    const answer = await callAs("bo@example.com", tool, args);
    expect(answer.wire).not.toMatch(/Anker|Birch|Coast|Dune|950000|total_cents|Company name/);
    expect((await callAs("ada@example.com", tool, args)).wire).not.toBe(answer.wire);
  });

  it("lets the board query the results of its saved queries", async () => {
    const { structured } = await callAs("bo@example.com", "query", {
      saved: "revenue-by-month",
      params: ["2026-01-01"],
    });
    const sql = `SELECT sum(revenue_cents) FROM ${String(structured["result"])}`;
    const total = await callAs("bo@example.com", "query", { source: "workspace", sql });
    expect(total.structured).toMatchObject({ rows: [[307000]] });
  });
});
