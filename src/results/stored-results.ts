// Finds, describes and reads stored results by name. It only sees results of an opened workspace, so never one that the user may
// no longer use.
import { shortenText } from "../lib/text-cut.ts";
import { AppError } from "../errors.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import { parseTrustedStatement } from "../sql/statement.ts";
import { toCsv } from "./result-csv.ts";
import { createRowTooLargeError, showRows, formatTotal } from "../answers/shown-rows.ts";
import type { FetchAnswer } from "../answers/fetch-answer.ts";
import { listLineageRules } from "./lineage.ts";
import type { Provenance } from "./lineage.ts";
import type { Audited } from "../audit/audit.ts";
import { UNTRUSTED_NOTE } from "../answers/untrusted-text.ts";
import type { ColumnLabels } from "../answers/column-labels.ts";
import { takeKeys } from "../answers/shown-keys.ts";
import type { ResultColumn } from "./workspace.ts";
import type { VisibleWorkspace, VisibleResult } from "./workspace-access.ts";

interface ResultName {
  readonly id: string;
  /** From 1; undefined if the name has no page. */
  readonly page: number | undefined;
}

/** Parses `r3`, `workspace.r3`, `gatehouse://result/r3` and `gatehouse://result/r3/2`; undefined for any other name. */
export function parseResultName(name: string): ResultName | undefined {
  const match = /^(?:(?:workspace\.)?(r[1-9][0-9]*)|gatehouse:\/\/result\/(r[1-9][0-9]*)(?:\/([1-9][0-9]*))?)$/.exec(
    name,
  );
  const id = match?.[1] ?? match?.[2];
  return id === undefined ? undefined : { id, page: match?.[3] === undefined ? undefined : Number(match[3]) };
}

/** Builds the URI of a result or of one of its pages. */
export function resultUri(id: string, page = 1): string {
  return page === 1 ? `gatehouse://result/${id}` : `gatehouse://result/${id}/${page}`;
}

/** Finds a result by id. Errors: `not_found`. */
export function findResult({ results }: VisibleWorkspace, id: string): VisibleResult {
  const result = results.find((candidate) => candidate.id === id);
  if (result !== undefined) return result;
  throw new AppError("not_found", describeMissingResult(id));
}

/** Says why a result does not exist and what to do. */
export function describeMissingResult(id: string): string {
  return [
    `There is no result ${id}. Results are deleted when they expire, to make room, and when permissions change.`,
    "Run its query again, or fetch its document again; describe workspace lists the results that exist.",
  ].join(" ");
}

/** Formats the number of stored rows, with the total if rows are missing. */
function formatRowCount(result: VisibleResult): string {
  const { rows, origin } = result;
  return isComplete(result) ? `${rows} rows` : `${rows} of ${formatTotal(origin)} rows`;
}

function isComplete({ rows, origin }: VisibleResult): boolean {
  return !origin.more && origin.read === rows;
}

/** Lists which results lack rows: this one, and those that it was computed from. */
export function listIncompleteResults(result: VisibleResult): readonly string[] {
  const { id, origin } = result;
  return isComplete(result) ? origin.incomplete : [...origin.incomplete, `${id} has ${formatRowCount(result)}`];
}

/** Summarises a result in one line: the number of rows, the source and the SQL. */
export function summariseResult(result: VisibleResult): string {
  const { origin } = result;
  const sql = origin.sql.replace(/\s+/g, " ").trim();
  const shortSql = shortenText(sql, 200);
  return `${formatRowCount(result)} of ${origin.source}: ${shortSql}`;
}

/** Gives the labels of a column: for a result of an earlier version, those of its origin. */
export function getColumnLabels({ origin }: Pick<VisibleResult, "origin">, { labels }: ResultColumn): ColumnLabels {
  return labels ?? { masked: origin.masked, untrusted: origin.untrusted, inexact: origin.inexact };
}

/** Lists the columns of a result with the types of their values, such as `integer or text`. */
export function describeResultColumns({
  columns,
}: Pick<VisibleResult, "columns">): readonly { readonly name: string; readonly type: string }[] {
  return columns.map(({ name, types }) => ({ name, type: types.length === 0 ? "null" : types.join(" or ") }));
}

/** Builds the audit fields of an answer with rows of this provenance. */
export function buildAuditFields({ lineage, rules, columns, masked, untrusted }: Provenance) {
  const datasets = lineage.flatMap(({ reads }) => reads.map(({ dataset }) => dataset));
  return { datasets: [...new Set(datasets)], rules, columns, masked, untrusted };
}

interface PageRequest {
  readonly id: string;
  readonly page: number;
  /** The byte limit of one value. */
  readonly maxValueBytes: number;
  /** The byte limit of a result. */
  readonly storedBytes: number;
}

/** Fetches one page of a result as CSV. Errors: `not_found`, `invalid_input` for a page that does not exist. */
export async function fetchResult(workspace: VisibleWorkspace, request: PageRequest): Promise<Audited<FetchAnswer>> {
  const { page, maxValueBytes, storedBytes } = request;
  const result = findResult(workspace, request.id);
  const { id, origin, pages } = result;
  const firstRow = pages[page - 1];
  if (firstRow === undefined)
    throw new AppError("invalid_input", `page ${page} does not exist: "${id}" has ${pages.length} page(s).`);
  const rowCount = (pages[page] ?? result.rows) - firstRow;
  const statement = parseTrustedStatement(`SELECT * FROM ${quoteIdentifier(id)} LIMIT ? OFFSET ?`);
  const limits = { maxReadRows: Math.max(1, rowCount), maxValueBytes, maxTotalBytes: storedBytes };
  const read = await workspace.source.read(workspace.tables, statement, [rowCount, firstRow], {
    ...limits,
    bookmark: null,
  });
  // Rows were stored within the limits of that time. An operator who lowers a limit must not make rows disappear silently.
  if (read.isCutBySize) throw createRowTooLargeError(maxValueBytes, read.wideCell);
  const labels = result.columns.map((column) => getColumnLabels(result, column));
  const { rows } = showRows(read, labels, { shownRows: rowCount, shownBytes: Infinity });
  const { masked, untrusted, restricted, inexact } = origin;
  const incomplete = listIncompleteResults(result);
  const answer: FetchAnswer = {
    id,
    title: `Result ${id}`,
    text: toCsv(read.columns, rows),
    url: resultUri(id),
    metadata: {
      kind: "result",
      source: origin.source,
      sql: origin.sql,
      rows: result.rows,
      columns: describeResultColumns(result).map(({ name, type }) => `${name}: ${type}`),
      until: new Date(result.expiresAtMs).toISOString(),
      ...(pages.length > 1 ? { page, pages: pages.length } : {}),
      ...(incomplete.length > 0 ? { incomplete } : {}),
      ...(restricted.length > 0 ? { restricted } : {}),
      ...(masked.length > 0 ? { masked } : {}),
      ...(inexact.length > 0 ? { inexact } : {}),
      ...(untrusted.length > 0 ? { untrusted: UNTRUSTED_NOTE } : {}),
      rules: listLineageRules(origin),
    },
  };
  const names = result.columns.map(({ name }) => name);
  const keys = takeKeys(origin.keys, names, read.rows.slice(0, rows.length));
  return { answer, ...buildAuditFields(origin), keys, rows: rows.length, cut: pages.length > 1 };
}
