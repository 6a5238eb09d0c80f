// The tool `change`, which proposes an insert, update or delete of rows. No argument of it approves anything.
import * as z from "zod";
import { defineChangeTool } from "../kit/define-change-tool.ts";

/** Proposes a change, and returns its preview and the page on which a person decides. */
export const changeTool = defineChangeTool({
  name: "change",
  title: "Propose a change of rows",
  description: [
    "Propose to insert, update or delete rows of one table.",
    "Nothing changes until it is approved as the policy says, mostly by the person on a page; you cannot approve.",
    "The answer has a preview and the page. Values are exact literals: never masked ones. Call describe for what may be changed.",
  ].join(" "),
  input: z.strictObject({
    dataset: z.string().max(300).describe("source.table"),
    action: z.enum(["insert", "update", "delete"]),
    where: z.looseObject({}).optional().describe('rows: {"id": 42} or {"id": [42, 43]}'),
    values: z.looseObject({}).optional().describe('columns to set: {"status": "closed"}'),
    reason: z.string().min(1).max(2000).describe("for the person who decides"),
    key: z.string().min(1).max(200).optional().describe("the same key is the same change"),
  }),
  names: ["key"],
  propose: async (gateway, caller, { dataset, action, where = {}, values = {}, reason, key }) =>
    gateway.change(caller, { dataset, operation: action, where, values, reason, key }),
});
