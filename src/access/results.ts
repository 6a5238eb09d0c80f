// Kept results by name: finding, describing and reading them page by page, always through the person's open workspace.
import { AppError } from "../errors.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import { readStatement } from "../sql/statement.ts";
import { toCsv } from "./csv.ts";
import { showRows, totalText } from "./shown-rows.ts";
import type { FetchAnswer } from "./fetched.ts";
import { grantingRulesOf } from "./lineage.ts";
import type { Provenance } from "./lineage.ts";
import type { Answered } from "./recorded.ts";
import { UNTRUSTED_NOTE } from "./untrusted.ts";
import type { OpenWorkspace, UsableResult } from "./workspace.ts";

export interface ResultName {
  readonly id: string;
  /** From 1, when the name has one. */
  readonly page: number | undefined;
}

/** What `r3`, `workspace.r3`, `gatehouse://result/r3` and the last with a page behind it name; undefined for other names. */
export function resultNameOf(name: string): ResultName | undefined {
  const found = /^(?:(?:workspace\.)?(r[1-9][0-9]*)|gatehouse:\/\/result\/(r[1-9][0-9]*)(?:\/([1-9][0-9]*))?)$/.exec(
    name,
  );
  const id = found?.[1] ?? found?.[2];
  return id === undefined ? undefined : { id, page: found?.[3] === undefined ? undefined : Number(found[3]) };
}

export function resultUri(id: string, page = 1): string {
  return page === 1 ? `gatehouse://result/${id}` : `gatehouse://result/${id}/${page}`;
}

/** The result of this id. Errors: `not_found`. */
export function findResult({ results }: OpenWorkspace, id: string): UsableResult {
  const found = results.find((result) => result.id === id);
  if (found !== undefined) return found;
  const message = `There is no result ${id}. Results go after a while, when newer ones need their room, and when permissions change. Run its query again; describe workspace tells which there are.`;
  throw new AppError("not_found", message);
}

/** How many rows it has, and of how many where those are not all. */
function countOf(result: UsableResult): string {
  const { rows, origin } = result;
  return isWhole(result) ? `${rows} rows` : `${rows} of ${totalText(origin)} rows`;
}

function isWhole({ rows, origin }: UsableResult): boolean {
  return !origin.more && origin.read === rows;
}

/** The results that do not have all rows, of this one and those that it was made from. */
export function incompleteIn(result: UsableResult): readonly string[] {
  const { id, origin } = result;
  return isWhole(result) ? origin.incomplete : [...origin.incomplete, `${id} has ${countOf(result)}`];
}

/** One line on a result: how many rows of what. */
export function summarise(result: UsableResult): string {
  const { origin } = result;
  const sql = origin.sql.replace(/\s+/g, " ").trim();
  return `${countOf(result)} of ${origin.source}: ${sql.length > 200 ? `${sql.slice(0, 199).toWellFormed()}…` : sql}`;
}

/** Its columns with the types of their values. */
export function columnsOf({
  columns,
}: Pick<UsableResult, "columns">): readonly { readonly name: string; readonly type: string }[] {
  return columns.map(({ name, types }) => ({ name, type: types.length === 0 ? "null" : types.join(" or ") }));
}

/** What a record says of rows with this provenance. */
export function recordOf({ lineage, rules, masked, untrusted }: Provenance) {
  const datasets = lineage.flatMap(({ reads }) => reads.map(({ dataset }) => dataset));
  return { datasets: [...new Set(datasets)], rules, masked, untrusted };
}

export interface PageRequest {
  readonly id: string;
  readonly page: number;
  /** Bytes of one value at most. */
  readonly maxBytes: number;
  /** Bytes of a result at most. */
  readonly keptBytes: number;
}

/** A page of a result as CSV. Errors: `not_found`, `invalid_input` for a page that there is not. */
export async function fetchResult(workspace: OpenWorkspace, request: PageRequest): Promise<Answered<FetchAnswer>> {
  const { page, maxBytes, keptBytes } = request;
  const result = findResult(workspace, request.id);
  const { id, origin, pages } = result;
  const first = pages[page - 1];
  if (first === undefined)
    throw new AppError("invalid_input", `page ${page} does not exist: "${id}" has ${pages.length} page(s).`);
  const count = (pages[page] ?? result.rows) - first;
  const statement = readStatement(`SELECT * FROM ${quoteIdentifier(id)} LIMIT ? OFFSET ?`);
  const limits = { maxRows: Math.max(1, count), maxValueBytes: maxBytes, maxTotalBytes: keptBytes };
  const read = await workspace.source.read(workspace.tables, statement, [count, first], { ...limits, bookmark: null });
  const rows = showRows(read, origin, { maxRows: count, maxBytes: Infinity });
  const { masked, untrusted, restricted } = origin;
  const incomplete = incompleteIn(result);
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
      columns: columnsOf(result).map(({ name, type }) => `${name}: ${type}`),
      until: new Date(result.expiresAtMs).toISOString(),
      ...(pages.length > 1 ? { page, pages: pages.length } : {}),
      ...(incomplete.length > 0 ? { incomplete } : {}),
      ...(restricted.length > 0 ? { restricted } : {}),
      ...(masked.length > 0 ? { masked } : {}),
      ...(untrusted.length > 0 ? { untrusted: UNTRUSTED_NOTE } : {}),
      rules: grantingRulesOf(origin),
    },
  };
  return { answer, ...recordOf(origin), rows: rows.length, cut: pages.length > 1 };
}
