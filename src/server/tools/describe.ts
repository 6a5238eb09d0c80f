// The tool `describe`: what this person may see.
import * as z from "zod";
import { jsonResult } from "../result.ts";
import { defineReadTool } from "../tool.ts";

export const describeTool = defineReadTool({
  name: "describe",
  title: "Describe the data",
  description:
    "What this person may read. Without argument: all sources and dataset names. With a source (shop) or a group (shop.order*): its datasets. With a dataset (shop.orders): its columns, meanings and masks. Start here.",
  input: z.strictObject({ dataset: z.string().max(300).optional().describe("source, source.table or source.prefix*") }),
  names: ["dataset"],
  run: async (gateway, caller, { dataset }) => jsonResult(await gateway.describe(caller, dataset)),
});
