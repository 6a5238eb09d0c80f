// The example masks: what its README shows, and that no answer to the analyst contains an unmasked or hidden value.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import readme from "../../examples/masks/README.md?raw";
import config from "../../examples/masks/gatehouse.config.ts";
import schema from "../../examples/masks/schema.sql?raw";
import { SOURCE_TABLES_SQL } from "../../src/masking-tokens/masking-token-table.ts";
import { createTables, expectShownAnswer, listShownCalls, serveExample } from "../support/examples.ts";

const HIDDEN = /Ines|Jonas|Maya|almeida|555|1984-03|58200|47900|71400|DE02|lead a team|autumn/;
const callAs = serveExample(config);

beforeAll(async () => {
  await env.EXAMPLE_DB.batch(SOURCE_TABLES_SQL.map((sql) => env.EXAMPLE_DB.prepare(sql)));
  await createTables(schema);
});

/** Reads the first employee as this user, by column. */
async function readEmployee(email: string): Promise<Readonly<Record<string, unknown>>> {
  const { structured } = await callAs(email, "fetch", { id: "staff.employees/1" });
  return JSON.parse(String(structured["text"]));
}

describe("the example masks", () => {
  it.each(listShownCalls(readme))("gives the answer that its README shows to %s", async (_title, call) =>
    expectShownAnswer(callAs, call),
  );

  it("shows each column as the table of its README does", async () => {
    const [hr, analyst] = [await readEmployee("hana@example.com"), await readEmployee("leo@example.com")];
    const rows = [...readme.matchAll(/^\| `(\w+)` \| `([^`]+)` \| (?:`([^`]+)`|no such column)/gm)];
    expect(rows).toHaveLength(7);
    for (const [, column = "", clear, masked] of rows) {
      expect(String(hr[column])).toBe(clear);
      if (masked === undefined) expect(analyst).not.toHaveProperty(column);
      else expect(String(analyst[column]).replace(/^tok_[a-z0-9]+$/, "tok_…")).toBe(masked);
    }
  });

  it.each([
    ["query", { source: "staff", sql: "SELECT * FROM employees" }],
    ["query", { source: "staff", sql: "SELECT * FROM employees ORDER BY salary DESC, birth_date" }],
    ["query", { source: "staff", sql: "SELECT max(name), min(email), sum(salary), group_concat(iban) FROM employees" }],
    ["query", { source: "staff", sql: "SELECT id FROM employees WHERE salary > 60000" }],
    ["query", { source: "staff", sql: "SELECT e.review FROM employees e" }],
    ["fetch", { id: "staff.employees/3" }],
    ["search", { query: "review" }],
    ["describe", { dataset: "staff.employees" }],
  ])("shows the analyst no unmasked value when calling %s with %j", async (tool, args) => {
    const hr = await callAs("hana@example.com", tool, args);
    const analyst = await callAs("leo@example.com", tool, args);
    expect(analyst.wire).not.toMatch(HIDDEN);
    expect(analyst.wire).not.toBe(hr.wire);
  });
});
