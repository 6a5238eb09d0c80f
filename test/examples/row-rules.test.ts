// The example row-rules: what its README shows, and that no user sees a row outside the row rules of their roles.
import { beforeAll, describe, expect, it } from "vitest";
import readme from "../../examples/row-rules/README.md?raw";
import config from "../../examples/row-rules/gatehouse.config.ts";
import schema from "../../examples/row-rules/schema.sql?raw";
import { createTables, expectShownAnswer, listShownCalls, serveExample } from "../support/examples.ts";

const callAs = serveExample(config);

beforeAll(async () => createTables(schema));

describe("the example row-rules", () => {
  it.each(listShownCalls(readme))("gives the answer that its README shows to %s", async (_title, call) =>
    expectShownAnswer(callAs, call),
  );

  it.each([
    ["nora@example.com", "Anker", /Birch|Dune|Elbe|9900000|25000000/],
    ["kim@example.com", "Elbe", /Dune|480000/],
    ["sam@example.com", "not_found", /Anker|Birch|Coast|Dune|Elbe/],
  ])("shows %s %s and no hidden row, whatever the call", async (email, expected, hidden) => {
    const answers = [
      await callAs(email, "query", { source: "crm", sql: "SELECT * FROM customers" }),
      await callAs(email, "query", { source: "crm", sql: "SELECT * FROM customers WHERE region <> 'north' OR 1 = 1" }),
      await callAs(email, "query", { source: "crm", sql: "SELECT max(revenue_cents), max(name) FROM customers" }),
      await callAs(email, "search", { query: "Dune Cycles" }),
      await callAs(email, "fetch", { id: "crm.customers/4" }),
      await callAs(email, "describe", { dataset: "crm.customers" }),
    ];
    // A search that finds nothing repeats the words that it was given.
    const text = answers.map(({ wire }) => wire.replaceAll("Dune Cycles", "")).join("\n");
    expect(text).toContain(expected);
    expect(text).not.toMatch(hidden);
  });
});
