// The example custom-tool: what its README shows, and that the tool gives no user more than their roles open.
import { beforeAll, describe, expect, it } from "vitest";
import readme from "../../examples/custom-tool/README.md?raw";
import config from "../../examples/custom-tool/gatehouse.config.ts";
import { overdueInvoicesTool } from "../../examples/custom-tool/overdue-invoices.ts";
import schema from "../../examples/custom-tool/schema.sql?raw";
import { createTables, expectShownAnswer, listShownCalls, serveExample } from "../support/examples.ts";
import { ledgerOf } from "../support/members.ts";

const callAs = serveExample(config, [overdueInvoicesTool]);

beforeAll(async () => createTables(schema));

describe("the example custom-tool", () => {
  it.each(listShownCalls(readme))("gives the answer that its README shows to %s", async (_title, call) =>
    expectShownAnswer(callAs, call),
  );

  it.each([
    ["nora@example.com", "Coast Books", /Birch|Dune|912000|47000/],
    ["gil@example.com", "not_found", /Anker|Birch|Coast|Dune/],
  ])("gives %s %s and no invoice that their role does not open", async (email, expected, hidden) => {
    const { wire } = await callAs(email, "overdue-invoices", { day: "2999-01-01" });
    expect(wire).toContain(expected);
    expect(wire).not.toMatch(hidden);
  });

  it("refuses an argument that is not a day before anything is read", async () => {
    const ledger = ledgerOf("fay@example.com");
    const count = (await ledger.listRecords(0, 100)).length;
    const { wire } = await callAs("fay@example.com", "overdue-invoices", { day: "2026-07-01' OR 1=1" });
    expect(wire).toContain("Invalid ISO date");
    expect(wire).not.toContain("Coast");
    expect(await ledger.listRecords(0, 100)).toHaveLength(count);
  });
});
