// Parses CSV and JSON documents into rows that a workspace can store and queries can read. If a document cannot be read as a table, a
// text says why and where.
import { byteLength } from "../lib/bytes.ts";
import { makeUniqueColumnNames } from "../sql/identifier.ts";
import { getStorageType } from "../sql/result-encoding.ts";
import type { Cell } from "../sql/result-encoding.ts";
import { convertColumn } from "./column-types.ts";
import { detectDialect } from "./csv-dialect.ts";
import { CsvError, dropTrailingField, parseCsv } from "./csv-reader.ts";
import type { CsvField } from "./csv-reader.ts";
import { parseJsonArray, parseJsonLines } from "./json-array-reader.ts";
import { describeExcessColumns } from "./raw-table.ts";
import type { RawTable } from "./raw-table.ts";
import { governRow } from "../read/source.ts";
import { findWideCell } from "../read/wide-cell.ts";
import type { WideCell } from "../read/wide-cell.ts";
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
      /** The type of all values of each column; null where they are mixed or all missing. */
      readonly types: readonly StoredType[];
      readonly rows: readonly GovernedRow[];
      /** Whether the document has more rows. */
      readonly hasMore: boolean;
      /** The cell for which later rows are left out; null if there is none. */
      readonly wideCell: WideCell | null;
    }
  | { readonly kind: "problem"; readonly problem: string };

/** The type of the values of a column. */
export type StoredType = "INTEGER" | "REAL" | "TEXT" | null;

/** Longer documents are not read as tables. */
const MAX_DOCUMENT_CHARACTERS = 5_000_000;

/**
 * Parses a document as a table. Undefined if its key ends in no extension of a table (.csv, .tsv, .tab, .json, .jsonl, .ndjson), or if
 * its JSON holds no rows.
 */
export function parseTabularDocument(document: GovernedDocument, limits: TableLimits): TabularDocument | undefined {
  const extension = /\.([a-z]+)$/i.exec(document.key)?.[1]?.toLowerCase();
  const parse = READERS.get(extension ?? "");
  if (parse === undefined) return undefined;
  if (document.problem !== undefined) return { kind: "problem", problem: `it ${document.problem}` };
  if (document.text.length > MAX_DOCUMENT_CHARACTERS)
    return { kind: "problem", problem: `it is longer than ${MAX_DOCUMENT_CHARACTERS} characters` };
  const rawTable = parse(document.key, document.text.replace(/^\ufeff/, ""), limits.storedRows + 1);
  if (typeof rawTable === "string") return { kind: "problem", problem: rawTable };
  return rawTable && applyTableLimits(rawTable, limits);
}

type ReadTable = (key: string, text: string, readRows: number) => RawTable | string | undefined;

const readJson: ReadTable = (_key, text, readRows) => parseJsonArray(text, readRows);
const readJsonLines: ReadTable = (_key, text, readRows) => parseJsonLines(text, readRows);

const READERS: ReadonlyMap<string, ReadTable> = new Map([
  ["csv", parseCsvTable],
  ["tsv", parseCsvTable],
  ["tab", parseCsvTable],
  ["json", readJson],
  ["jsonl", readJsonLines],
  ["ndjson", readJsonLines],
]);

function applyTableLimits({ titles, rows }: RawTable, { storedRows, maxValueBytes }: TableLimits): TabularDocument {
  if (titles.length === 0) return { kind: "problem", problem: "it has no columns" };
  const oversizedRow = rows.findIndex((row) => row.some((cell) => isLargerThan(cell, maxValueBytes)));
  const end = Math.min(storedRows, oversizedRow === -1 ? rows.length : oversizedRow);
  const columns = makeUniqueColumnNames(titles);
  const rowsWithin = rows.slice(0, end).map((row) => governRow(row));
  return {
    kind: "table",
    titles,
    columns,
    types: titles.map((_title, index) => findStoredType(rows, index)),
    rows: rowsWithin,
    hasMore: end < rows.length,
    wideCell: end === oversizedRow ? findWideCell(columns, rows.slice(0, end + 1), maxValueBytes) : null,
  };
}

function isLargerThan(cell: Cell, maxValueBytes: number): boolean {
  if (typeof cell !== "string" || cell.length * 3 <= maxValueBytes) return false;
  return byteLength(cell) > maxValueBytes;
}

function findStoredType(rows: RawTable["rows"], index: number): StoredType {
  const types = new Set(rows.map((row) => getStorageType(row[index] ?? null)));
  types.delete("null");
  const [type, other] = types;
  if (other !== undefined) return null;
  return type === "integer" ? "INTEGER" : type === "real" ? "REAL" : type === "text" ? "TEXT" : null;
}

/** Returns the first `readRows` rows, or a text that says why the CSV is malformed. */
function parseCsvTable(key: string, text: string, readRows: number): RawTable | string {
  const { delimiter, start } = detectDialect(key, text);
  const records: (readonly CsvField[])[] = [];
  let header: readonly CsvField[] | undefined;
  try {
    for (const { fields, line } of parseCsv(text, delimiter, start)) {
      if (header === undefined) {
        const excess = describeExcessColumns(fields.length);
        if (excess !== undefined) return excess;
        header = fields;
        continue;
      }
      const row = dropTrailingField(fields, header.length);
      if (row.length > header.length)
        return `line ${line} has ${row.length} field(s), but the header has ${header.length}`;
      records.push(row);
      if (records.length === readRows) break;
    }
  } catch (error) {
    if (error instanceof CsvError) return error.message;
    throw error;
  }
  const titles = (header ?? []).map(({ text: title }) => title.trim());
  const fieldColumns = titles.map((_title, index) => records.map((fields) => fields[index] ?? MISSING_FIELD));
  const columns = fieldColumns.map((fields) => convertColumn(fields, delimiter));
  return { titles, rows: records.map((_fields, row) => columns.map((values) => values[row] ?? null)) };
}

/** Stands for the fields that a short record lacks. */
const MISSING_FIELD: CsvField = { text: "", isQuoted: false };
