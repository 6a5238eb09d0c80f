// The tool `search`, with the input and result shape that ChatGPT's connectors expect.
import * as z from "zod";
import { jsonResult } from "../kit/tool-result.ts";
import { defineReadTool } from "../kit/define-tool.ts";

const DEFAULT_LIMIT = 10;

/** Finds documents, tables, columns and stored results by words. */
export const searchTool = defineReadTool({
  name: "search",
  title: "Search",
  description: "Find documents, tables, columns and kept results by words. Give a result's id to fetch.",
  input: z.strictObject({
    query: z.string().min(1).max(1000),
    limit: z.int().min(1).max(50).optional(),
  }),
  run: async (gateway, caller, { query, limit = DEFAULT_LIMIT }) =>
    jsonResult(await gateway.search(caller, query, limit)),
});
