// The tool `query`, which runs any SELECT or saved query under the caller's policy.
import * as z from "zod";
import { AppError } from "../../errors.ts";
import type { SqlValue } from "../../sql/parameters.ts";
import { jsonResult } from "../kit/tool-result.ts";
import { defineReadTool } from "../kit/define-tool.ts";

/** Runs a SELECT or a saved query and stores its rows as a result. */
export const queryTool = defineReadTool({
  name: "query",
  title: "Query a source",
  description: [
    "Run one SELECT (SQLite dialect: joins, CTEs, window functions) over the tables of one source, with plain table names.",
    "Rows and columns the person may not see are absent; masked values look like a…@x.example, or are 1962-01-01 for a year.",
    "Check count, cut, incomplete and restricted before concluding.",
    "The rows are kept as result (r1, r2, …): with source workspace, results are tables, so data of two sources can be joined.",
  ].join(" "),
  input: z.strictObject({
    source: z.string().max(100).optional().describe("e.g. shop, or workspace"),
    sql: z.string().max(20_000).optional().describe("one SELECT"),
    saved: z.string().max(100).optional().describe("name of a saved query, instead of source and sql"),
    params: z
      .array(z.unknown())
      .max(100)
      .optional()
      .describe("values for each ? in order, or for a saved query's params"),
    limit: z.int().min(1).optional().describe("rows to show"),
  }),
  names: ["source", "saved"],
  usage: "Give source and sql, or saved.",
  run: async (gateway, caller, { source, sql, saved, params = [], limit }) =>
    jsonResult(
      await gateway.query(caller, {
        target: parseQueryTarget(source, sql, saved),
        params: params.map(toSqlValue),
        rowLimit: limit,
      }),
    ),
});

function parseQueryTarget(source: string | undefined, sql: string | undefined, saved: string | undefined) {
  if (saved !== undefined && source === undefined && sql === undefined) return { saved };
  if (saved === undefined && source !== undefined && sql !== undefined) return { source, sql };
  throw new AppError(
    "invalid_input",
    "Give either source and sql, or saved. Call describe to list the sources and saved queries.",
  );
}

function toSqlValue(value: unknown, index: number): SqlValue {
  if (value === null || typeof value === "string") return value;
  // The gateway refuses numbers that JSON has rounded.
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return Number(value);
  throw new AppError("invalid_input", `params[${index}] must be text, a number, true, false or null.`);
}
