// The part of the JSON API that reads audit records: those of all users for auditors, and a user's own.
import type { Hono } from "hono";
import { EXPORT_FORMATS } from "../audit-reading/export-format.ts";
import type { AuditReading, NamedPage, TypedParameters } from "../audit-reading/audit-reading.ts";
import { AppError } from "../errors.ts";
import type { ApiEnv } from "./json-api.ts";

/** The path of the records of all users. */
const AUDIT_PATH = "/audit";
const DEFAULT_OWN_LIMIT = 50;
const MAX_OWN_LIMIT = 100;

const MEDIA_TYPES = { jsonl: "application/x-ndjson", csv: "text/csv; charset=utf-8" } as const;

/** Adds the routes. */
export function addAuditRoutes(app: Hono<ApiEnv>, reading: AuditReading): void {
  app.get(AUDIT_PATH, async ({ req, var: { session } }) => {
    const { format = "json", ...parameters } = readParameters(req.url);
    if (format !== "json" && format !== "jsonl" && format !== "csv")
      throw new AppError("invalid_input", "format takes json, jsonl or csv.");
    const page = await reading.list(session.identity, parameters);
    return format === "json" ? Response.json(page) : writeExport(page, parameters, format);
  });
  app.get(`${AUDIT_PATH}/:ledger/:seq`, async ({ req, var: { session } }) =>
    Response.json({ record: await reading.show(session.identity, req.param("ledger"), req.param("seq")) }),
  );
  app.get("/records", async ({ req, var: { session } }) => {
    const { cursor, limit: limitText = String(DEFAULT_OWN_LIMIT), ...others } = readParameters(req.url);
    const limit = /^\d{1,3}$/.test(limitText) ? Number(limitText) : 0;
    if (Object.keys(others).length > 0)
      throw new AppError("invalid_input", "There are the parameters cursor and limit.");
    if (limit < 1 || limit > MAX_OWN_LIMIT)
      throw new AppError("invalid_input", `limit takes a number from 1 to ${MAX_OWN_LIMIT}.`);
    const { records, older } = await reading.listOwn(session.identity, { cursor, limit });
    return Response.json({ records, next: older });
  });
}

/** Reads the parameters of a query. Errors: `invalid_input` when one is given twice: the record would name only one of them. */
function readParameters(url: string): TypedParameters {
  const { searchParams } = new URL(url);
  const parameters = Object.fromEntries(searchParams);
  if (Object.keys(parameters).length < searchParams.size)
    throw new AppError("invalid_input", "A parameter is given twice.");
  return parameters;
}

/** Writes a page as a file in a form of `audit export`; the header Link has the address of the next one. */
function writeExport({ records, next }: NamedPage, parameters: TypedParameters, format: "jsonl" | "csv"): Response {
  const { header, write } = EXPORT_FORMATS[format];
  const headers = new Headers({
    "Content-Type": MEDIA_TYPES[format],
    "Content-Disposition": `attachment; filename="audit-records.${format}"`,
  });
  if (next !== null) {
    const query = new URLSearchParams({ ...parameters, format, cursor: next });
    headers.set("Link", `</api${AUDIT_PATH}?${query.toString()}>; rel="next"`);
  }
  return new Response(header + write(records), { headers });
}
