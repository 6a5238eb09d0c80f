// The query operation: a person's SELECT over one D1 source, governed, counted and cut to what the operator allows.
import { AppError } from "../errors.ts";
import { disclosureName } from "../policy/masks.ts";
import { visibleColumns } from "../policy/views.ts";
import { foldName } from "../sql/identifier.ts";
import type { SqlValue } from "../sql/parameters.ts";
import type { Statement } from "../sql/statement.ts";
import { parseStatement } from "../sql/statement.ts";
import type { GovernedRow, OpenTable } from "../sources/source.ts";
import type { OpenSource, OpenTables } from "./catalogue.ts";
import { Denied } from "./recorded.ts";
import type { Answered } from "./recorded.ts";

export interface QueryRequest {
  readonly source: string;
  readonly sql: string;
  readonly params: readonly SqlValue[];
  readonly maxRows: number;
  readonly maxBytes: number;
}

export interface QueryAnswer {
  readonly columns: readonly string[];
  readonly rows: readonly GovernedRow[];
  /** What the numbers mean: rows shown, and whether that is all of them. */
  readonly count:
    { readonly shown: number; readonly total: number } | { readonly shown: number; readonly atLeast: number };
  /** Why rows are missing, and what to do; absent when none are. */
  readonly cut?: string;
  /** Columns of the tables used that are masked for this person. */
  readonly masked?: readonly string[];
  /** Rules by which rows and columns were chosen. */
  readonly rules: readonly string[];
}

/** Runs one governed SELECT. Errors: `not_found` for the source, and those of `TableSource.read`. */
export async function query(catalogue: readonly OpenSource[], request: QueryRequest): Promise<Answered<QueryAnswer>> {
  const statement = parseStatement(request.sql);
  const open = openTables(catalogue, request.source);
  const read = await open.source.read(open.tables, statement, request.params, request.maxRows);
  const { rows, byBytes } = cutToBytes(read.rows, request.maxBytes);
  const used = open.tables.filter((table) => read.used.includes(table.dataset.table));
  const masked = used.flatMap((table) => maskedColumns(table, statement));
  const rules = used.flatMap((table) => table.decision.rules);
  const known = read.rows.length + (read.more ? 1 : 0);
  const isCut = read.more || byBytes;
  const answer: QueryAnswer = {
    columns: read.columns,
    rows,
    count: isCut ? { shown: rows.length, atLeast: known } : { shown: rows.length, total: rows.length },
    ...(isCut ? { cut: cutText(rows.length, known, byBytes, read.more) } : {}),
    ...(masked.length > 0 ? { masked } : {}),
    rules,
  };
  return { answer, datasets: used.map((table) => table.dataset.id), rules, masked, rows: rows.length, cut: isCut };
}

function openTables(catalogue: readonly OpenSource[], name: string): OpenTables {
  const tables = catalogue.filter((open) => open.kind === "d1");
  const found = tables.find((open) => open.source.declaration.name === name);
  if (found !== undefined) return found;
  const names = tables.map((open) => open.source.declaration.name);
  const choice = names.length === 0 ? "There is none that you may query." : `There are: ${names.join(", ")}.`;
  throw new Denied("not_found", `There is no source ${JSON.stringify(name)} that you may query. ${choice}`);
}

/** Whole rows from the start, as long as their JSON stays within the bytes. */
function cutToBytes(
  rows: readonly GovernedRow[],
  maxBytes: number,
): { rows: readonly GovernedRow[]; byBytes: boolean } {
  const encoder = new TextEncoder();
  let bytes = 0;
  const end = rows.findIndex((row) => (bytes += encoder.encode(JSON.stringify(row)).length + 1) > maxBytes);
  if (end === -1) return { rows, byBytes: false };
  if (end === 0) {
    throw new AppError(
      "limit_reached",
      `One row alone is larger than ${maxBytes} bytes. Select fewer columns, or shorten long text with substr().`,
    );
  }
  return { rows: rows.slice(0, end), byBytes: true };
}

function cutText(shown: number, known: number, byBytes: boolean, more: boolean): string {
  const why = byBytes ? "the size limit" : "the row limit";
  const total = more ? `at least ${known} rows` : `${known} rows`;
  return `Cut by ${why}: ${shown} of ${total} shown, the rest is not here. Aggregate, filter or page with LIMIT and OFFSET.`;
}

/** Masked columns that the SQL names, or all of the table's when it selects with a star. */
function maskedColumns({ dataset, decision }: OpenTable, statement: Statement): readonly string[] {
  const star = statement.text.includes("*");
  return visibleColumns(decision, dataset)
    .filter((column) => star || statement.names.has(foldName(column.name)))
    .flatMap((column) => {
      const masks = column.disclosures.filter((disclosure) => disclosure.kind !== "clear");
      return masks.length === 0 ? [] : [`${dataset.id}.${column.name}:${masks.map(disclosureName).join("|")}`];
    });
}
