// Documents that are tables: CSV, and JSON that is an array. Read into rows that a workspace can keep; what is no table is
// told in words, with its place.
import { byteLength } from "../lib/bytes.ts";
import { columnNames } from "../sql/identifier.ts";
import type { Cell } from "../sql/exact.ts";
import { CsvProblem, delimiterOf, readCsv } from "./csv.ts";
import { readJsonArray } from "./json-array.ts";
import { numbersOf } from "./numbers.ts";
import { governRow } from "./source.ts";
import type { GovernedDocument, GovernedRow } from "./source.ts";

export interface TableBounds {
  readonly maxRows: number;
  /** Bytes of one value at most. */
  readonly maxValueBytes: number;
}

export type Tabulated =
  | {
      readonly kind: "table";
      /** As the document names them. */
      readonly titles: readonly string[];
      /** Names that differ from each other. */
      readonly columns: readonly string[];
      readonly rows: readonly GovernedRow[];
      /** Whether there are others. */
      readonly more: boolean;
    }
  | { readonly kind: "problem"; readonly problem: string };

/** Rows as they were read, before any bound but that of their number. */
export interface RawTable {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** Characters of a document that is read as a table. */
const MAX_CHARACTERS = 5_000_000;
/** A Durable Object's table holds no more. */
const MAX_COLUMNS = 100;

/** Undefined for a document that is neither CSV nor JSON by its key, or whose JSON is no array. */
export function tabulate({ key, text }: GovernedDocument, bounds: TableBounds): Tabulated | undefined {
  const kind = /\.(csv|tsv|json)$/i.exec(key)?.[1]?.toLowerCase();
  if (kind === undefined) return undefined;
  if (text.length > MAX_CHARACTERS)
    return { kind: "problem", problem: `the document is longer than ${MAX_CHARACTERS} characters` };
  const read = kind === "json" ? readJsonArray(text, bounds.maxRows + 1) : readRecords(text, bounds.maxRows + 1);
  if (typeof read === "string") return { kind: "problem", problem: read };
  return read && bounded(read, bounds);
}

function bounded({ titles, rows }: RawTable, { maxRows, maxValueBytes }: TableBounds): Tabulated {
  if (titles.length === 0) return { kind: "problem", problem: "there are no columns" };
  if (titles.length > MAX_COLUMNS)
    return { kind: "problem", problem: `there are ${titles.length} columns; a table holds ${MAX_COLUMNS}` };
  const tooLarge = rows.findIndex((row) => row.some((cell) => isLarger(cell, maxValueBytes)));
  const end = Math.min(maxRows, tooLarge === -1 ? rows.length : tooLarge);
  const kept = rows.slice(0, end).map((row) => governRow(row));
  return { kind: "table", titles, columns: columnNames(titles), rows: kept, more: end < rows.length };
}

function isLarger(cell: Cell, maxBytes: number): boolean {
  if (typeof cell !== "string" || cell.length * 3 <= maxBytes) return false;
  return byteLength(cell) > maxBytes;
}

/** A text that says why not, where it is malformed. */
function readRecords(text: string, maxRows: number): RawTable | string {
  const records: (readonly (string | null)[])[] = [];
  let titles: readonly (string | null)[] | undefined;
  try {
    for (const { fields, line } of readCsv(text, delimiterOf(text))) {
      titles ??= fields;
      if (fields.length > titles.length)
        return `line ${line} has ${fields.length} fields, and the first line names ${titles.length} columns`;
      if (titles !== fields) records.push(fields);
      if (records.length === maxRows) break;
    }
  } catch (error) {
    if (error instanceof CsvProblem) return error.message;
    throw error;
  }
  const names = (titles ?? []).map((title) => title ?? "");
  const columns = names.map((_name, index) => {
    const values = records.map((fields) => fields[index] ?? null);
    return numbersOf(values) ?? values;
  });
  return { titles: names, rows: records.map((_fields, row) => columns.map((values) => values[row] ?? null)) };
}
