// The query operation: a person's SELECT over one D1 source, governed, counted and cut to what the operator allows.
import { AppError } from "../errors.ts";
import { isRowRestricted, maskOf, visibleColumns } from "../policy/views.ts";
import { foldName } from "../sql/identifier.ts";
import type { SqlValue } from "../sql/parameters.ts";
import type { Statement } from "../sql/statement.ts";
import { parseStatement } from "../sql/statement.ts";
import type { GovernedRow, OpenTable, TableRead } from "../sources/source.ts";
import { deny } from "./catalogue.ts";
import type { Catalogue, OpenTables } from "./catalogue.ts";
import { StillRunning } from "./recorded.ts";
import type { Answered } from "./recorded.ts";
import { UNTRUSTED_NOTE, fenceRow, untrustedIn } from "./untrusted.ts";

export interface QueryRequest {
  readonly source: string;
  readonly sql: string;
  readonly params: readonly SqlValue[];
  readonly maxRows: number;
  readonly maxBytes: number;
  /** How long the person waits for the database. */
  readonly querySeconds: number;
  /** What the person's last query on the source saw. */
  readonly bookmark: string | null;
}

export interface QueryAnswer {
  readonly columns: readonly string[];
  readonly rows: readonly GovernedRow[];
  /** What the numbers mean: rows shown, and whether that is all of them. */
  readonly count:
    { readonly shown: number; readonly total: number } | { readonly shown: number; readonly atLeast: number };
  /** Columns in which some values are text that JSON cannot hold otherwise, as `column: integer as text`. */
  readonly encoded?: readonly string[];
  /** Why rows are missing, and what to do; absent when none are. */
  readonly cut?: string;
  /** Tables of which the person sees only the rows that their rules allow. */
  readonly restricted?: readonly string[];
  /** Columns of the tables used that are masked for this person. */
  readonly masked?: readonly string[];
  /** Columns in reach of the SQL whose text outsiders write; every text of the rows is then fenced. */
  readonly untrusted?: readonly string[];
  /** What the fence means; there with `untrusted`. */
  readonly note?: string;
  /** Rules of the tables in reach of the SQL. */
  readonly rules: readonly string[];
}

/** Runs one governed SELECT. Errors: `not_found` for the source, and those of `TableSource.read`. */
export async function query(catalogue: Catalogue, request: QueryRequest): Promise<Answered<QueryAnswer>> {
  const statement = parseStatement(request.sql);
  const open = openTables(catalogue, request.source);
  const reading = open.source.read(open.tables, statement, request.params, request);
  const read = await inTime(reading, request.querySeconds).catch((error: unknown) => {
    // A name of a denied table reads as one that is not there; the record knows better.
    const isMeant = (dataset: string): boolean => isNamed(statement, open.source.declaration.name, dataset);
    const denied =
      error instanceof AppError && !(error instanceof StillRunning) ? deny(error, catalogue, isMeant) : undefined;
    throw denied !== undefined && denied.denials.length > 0 ? denied : error;
  });
  const used = open.tables.filter((table) => read.used.includes(table.dataset.table));
  const untrusted = used.flatMap((table) => untrustedIn(table, statement));
  const shown = untrusted.length > 0 ? { ...read, rows: read.rows.map(fenceRow) } : read;
  const { rows, byBytes } = cutToBytes(shown, request.maxBytes);
  const masked = used.flatMap((table) => maskedColumns(table, statement));
  const rules = used.flatMap((table) => table.decision.rules);
  const restricted = used.filter((table) => isRowRestricted(table.decision)).map((table) => table.dataset.id);
  const isCut = read.more || byBytes;
  const encoded = read.columns.flatMap((column, index) =>
    [...(read.encodings[index] ?? [])].map((encoding) => `${column}: ${encoding}`),
  );
  const answer: QueryAnswer = {
    columns: read.columns,
    rows,
    count: read.more
      ? { shown: rows.length, atLeast: read.rows.length + 1 }
      : { shown: rows.length, total: read.rows.length },
    ...(encoded.length > 0 ? { encoded } : {}),
    ...(isCut ? { cut: cutText(rows.length, read, byBytes) } : {}),
    ...(restricted.length > 0 ? { restricted } : {}),
    ...(masked.length > 0 ? { masked } : {}),
    ...(untrusted.length > 0 ? { untrusted, note: UNTRUSTED_NOTE } : {}),
    rules,
  };
  return {
    answer,
    datasets: used.map((table) => table.dataset.id),
    rules,
    masked,
    untrusted,
    rows: rows.length,
    cut: isCut,
    bookmark: read.bookmark,
  };
}

/** Errors: `limit_reached` when the time is up; the reading goes on. */
async function inTime<T>(reading: Promise<T>, seconds: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const message = `The query took longer than ${seconds} seconds and was given up on. Filter by an indexed column, or ask for less.`;
  const timer = setTimeout(
    () => reject(new StillRunning(new AppError("limit_reached", message), reading)),
    seconds * 1000,
  );
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}

function isNamed(statement: Statement, source: string, dataset: string): boolean {
  return dataset.startsWith(`${source}.`) && statement.names.has(foldName(dataset.slice(source.length + 1)));
}

function openTables(catalogue: Catalogue, name: string): OpenTables {
  const tables = catalogue.open.filter((open) => open.kind === "d1");
  const found = tables.find((open) => open.source.declaration.name === name);
  if (found !== undefined) return found;
  const names = tables.map((open) => open.source.declaration.name);
  const choice = names.length === 0 ? "There is none that you may query." : `There are: ${names.join(", ")}.`;
  const message = `There is no source ${JSON.stringify(name)} that you may query. ${choice}`;
  throw deny(new AppError("not_found", message), catalogue, (dataset) => dataset.startsWith(`${name}.`));
}

/** Whole rows from the start, as long as their JSON stays within the bytes. */
function cutToBytes(
  { rows, isCutByValue }: TableRead,
  maxBytes: number,
): { rows: readonly GovernedRow[]; byBytes: boolean } {
  const encoder = new TextEncoder();
  let bytes = 0;
  const end = rows.findIndex((row) => (bytes += encoder.encode(JSON.stringify(row)).length + 1) > maxBytes);
  if (end === -1 && (rows.length > 0 || !isCutByValue)) return { rows, byBytes: isCutByValue };
  if (end <= 0) {
    throw new AppError(
      "limit_reached",
      `One row alone is larger than ${maxBytes} bytes. Select fewer columns, or shorten long text with substr().`,
    );
  }
  return { rows: rows.slice(0, end), byBytes: true };
}

function cutText(shown: number, { rows, more }: TableRead, byBytes: boolean): string {
  const why = byBytes ? "the size limit" : "the row limit";
  const total = more ? `at least ${rows.length + 1} rows` : `${rows.length} rows`;
  return `Cut by ${why}: ${shown} of ${total} shown, the rest is not here. Aggregate, filter or page with LIMIT and OFFSET.`;
}

/** Masked columns that the SQL names, or all of the table's when it selects with a star. */
function maskedColumns({ dataset, decision }: OpenTable, statement: Statement): readonly string[] {
  return visibleColumns(decision, dataset)
    .filter((column) => statement.selectsAll || statement.names.has(foldName(column.name)))
    .flatMap((column) => {
      const masked = maskOf(column);
      return masked === null ? [] : [`${dataset.id}.${column.name}:${masked}`];
    });
}
