// Parses CSV documents and JSON arrays into rows that a workspace can store and queries can read. If a document cannot be read
// as a table, a text says why and where.
import { byteLength } from "../lib/bytes.ts";
import { makeUniqueColumnNames } from "../sql/identifier.ts";
import type { Cell } from "../sql/result-encoding.ts";
import { CsvError, detectDelimiter, parseCsv } from "./csv-reader.ts";
import { parseJsonArray } from "./json-array-reader.ts";
import { parseNumberColumn } from "./exact-numbers.ts";
import { governRow } from "../read/source.ts";
import type { GovernedDocument, GovernedRow } from "../read/source.ts";

export interface TableLimits {
  readonly storedRows: number;
  /** The size limit of one value. */
  readonly maxValueBytes: number;
}

export type TabularDocument =
  | {
      readonly kind: "table";
      /** Column names as the document has them. */
      readonly titles: readonly string[];
      /** Column names made unique. */
      readonly columns: readonly string[];
      readonly rows: readonly GovernedRow[];
      /** Whether the document has more rows. */
      readonly hasMore: boolean;
    }
  | { readonly kind: "problem"; readonly problem: string };

/** Rows before any size limit other than the row limit is applied. */
export interface RawTable {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** Longer documents are not read as tables. */
const MAX_DOCUMENT_CHARACTERS = 5_000_000;
/** The column limit of SQLite in Durable Objects. */
const MAX_COLUMNS = 100;

/** Parses a document as a table. Undefined if its key does not end in .csv, .tsv or .json, or if its JSON is not an array. */
export function parseTabularDocument(
  { key, text }: GovernedDocument,
  limits: TableLimits,
): TabularDocument | undefined {
  const format = /\.(csv|tsv|json)$/i.exec(key)?.[1]?.toLowerCase();
  if (format === undefined) return undefined;
  if (text.length > MAX_DOCUMENT_CHARACTERS)
    return { kind: "problem", problem: `it is longer than ${MAX_DOCUMENT_CHARACTERS} characters` };
  const rawTable =
    format === "json" ? parseJsonArray(text, limits.storedRows + 1) : parseCsvTable(text, limits.storedRows + 1);
  if (typeof rawTable === "string") return { kind: "problem", problem: rawTable };
  return rawTable && applyTableLimits(rawTable, limits);
}

function applyTableLimits({ titles, rows }: RawTable, { storedRows, maxValueBytes }: TableLimits): TabularDocument {
  if (titles.length === 0) return { kind: "problem", problem: "it has no columns" };
  if (titles.length > MAX_COLUMNS)
    return { kind: "problem", problem: `it has ${titles.length} columns; a table can have at most ${MAX_COLUMNS}` };
  const oversizedRow = rows.findIndex((row) => row.some((cell) => isLargerThan(cell, maxValueBytes)));
  const end = Math.min(storedRows, oversizedRow === -1 ? rows.length : oversizedRow);
  const rowsWithin = rows.slice(0, end).map((row) => governRow(row));
  return {
    kind: "table",
    titles,
    columns: makeUniqueColumnNames(titles),
    rows: rowsWithin,
    hasMore: end < rows.length,
  };
}

function isLargerThan(cell: Cell, maxValueBytes: number): boolean {
  if (typeof cell !== "string" || cell.length * 3 <= maxValueBytes) return false;
  return byteLength(cell) > maxValueBytes;
}

/** Returns the first `readRows` rows, or a text that says why the CSV is malformed. */
function parseCsvTable(text: string, readRows: number): RawTable | string {
  const records: (readonly (string | null)[])[] = [];
  let titles: readonly (string | null)[] | undefined;
  try {
    for (const { fields, line } of parseCsv(text, detectDelimiter(text))) {
      titles ??= fields;
      if (fields.length > titles.length)
        return `line ${line} has ${fields.length} field(s), but the header has ${titles.length}`;
      if (titles !== fields) records.push(fields);
      if (records.length === readRows) break;
    }
  } catch (error) {
    if (error instanceof CsvError) return error.message;
    throw error;
  }
  const titleTexts = (titles ?? []).map((title) => title ?? "");
  const columns = titleTexts.map((_name, index) => {
    const values = records.map((fields) => fields[index] ?? null);
    return parseNumberColumn(values) ?? values;
  });
  return { titles: titleTexts, rows: records.map((_fields, row) => columns.map((values) => values[row] ?? null)) };
}
