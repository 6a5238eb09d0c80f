// The tool `overdue-invoices`: lists unpaid invoices, so that every assistant uses the same definition of "overdue".
import * as z from "zod";
import { jsonResult } from "../../src/server/kit/tool-result.ts";
import { defineReadTool } from "../../src/server/kit/define-tool.ts";

export const overdueInvoicesTool = defineReadTool({
  name: "overdue-invoices",
  title: "Overdue invoices",
  // For the model: what the tool returns, and when to use it. Every word costs context in each conversation.
  description: "The unpaid invoices that were due before a day, oldest first.",
  // A plain object without unions, which some clients refuse.
  input: z.strictObject({ day: z.iso.date().describe("e.g. 2026-07-01") }),
  // A tool has access to the gateway only, which checks the caller's permissions and records every read.
  run: async (gateway, caller, { day }) => {
    const sql = `SELECT id, customer, amount_cents, due_on FROM invoices
      WHERE paid_on IS NULL AND due_on < ? ORDER BY due_on, id`;
    return jsonResult(
      await gateway.query(caller, { target: { source: "billing", sql }, params: [day], rowLimit: undefined }),
    );
  },
});
