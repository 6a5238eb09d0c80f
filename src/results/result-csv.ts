// Writes rows as CSV (RFC 4180): an empty field for null, "" for empty text. Lines end in a line feed alone, which costs
// fewer model tokens than CRLF.
import { escapeInvisible } from "../lib/visible-text.ts";
import type { JsonCell } from "../sql/result-encoding.ts";

/**
 * Writes a header line and one line per row. Invisible characters in column names are escaped, because a query or a document chose the
 * names; values are written unchanged.
 */
export function toCsv(columns: readonly string[], rows: readonly (readonly JsonCell[])[]): string {
  return toCsvLines([columns.map(escapeInvisible), ...rows]);
}

/** Writes one line per row, without a header line. */
export function toCsvLines(rows: readonly (readonly JsonCell[])[]): string {
  return rows.map((line) => `${line.map(formatCsvField).join(",")}\n`).join("");
}

/** Puts an apostrophe before text that a spreadsheet would run as a formula. Numbers stay as they are. */
export function makeInert(cell: JsonCell): JsonCell {
  return typeof cell === "string" && /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
}

function formatCsvField(cell: JsonCell): string {
  if (cell === null) return "";
  if (typeof cell === "number") return String(cell);
  return cell === "" || /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
