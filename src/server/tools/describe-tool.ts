// The tool `describe`, which lists the sources, datasets and columns that the caller may see.
import * as z from "zod";
import { jsonResult } from "../kit/tool-result.ts";
import { defineReadTool } from "../kit/define-tool.ts";

/** Describes all sources, one source, a group of datasets, or one dataset. */
export const describeTool = defineReadTool({
  name: "describe",
  title: "Describe the data",
  description: [
    "What this person may read.",
    "Without argument: all sources and dataset names.",
    "With a source (shop) or a group (shop.order*): its datasets.",
    "With a dataset (shop.orders): its columns, meanings and masks.",
    "Start here.",
  ].join(" "),
  input: z.strictObject({ dataset: z.string().max(300).optional().describe("source, source.table or source.prefix*") }),
  names: ["dataset"],
  run: async (gateway, caller, { dataset }) => jsonResult(await gateway.describe(caller, dataset)),
});
