// The tool `fetch`, with the input and result shape that ChatGPT's connectors expect.
import * as z from "zod";
import { jsonResult } from "../kit/tool-result.ts";
import { defineReadTool } from "../kit/define-tool.ts";

/** Reads a document, a table's description, a row or a stored result by id. */
export const fetchTool = defineReadTool({
  name: "fetch",
  title: "Fetch one thing",
  description: [
    "Read one thing by id: a document (an id from search), a table's description (source.table), a row (source.table/key) or a kept",
    "result as CSV (r1). A CSV or JSON document comes as a result to query, too.",
  ].join(" "),
  input: z.strictObject({
    id: z.string().min(1).max(1000),
    page: z.int().min(1).optional().describe("of a long document or result, from 1"),
  }),
  names: ["id"],
  run: async (gateway, caller, { id, page = 1 }) => jsonResult(await gateway.fetch(caller, id, page)),
});
