// Rows as CSV (RFC 4180): nothing for null, "" for text that is empty. Lines end in a line feed, which costs fewer tokens than two
// characters.
import { escapeInvisible } from "../lib/visible-text.ts";
import type { ShownCell } from "../sql/exact.ts";

/**
 * A header line and a line for each row. Values are as they are; names of columns, which a query or a file chose, have nothing invisible
 * in them.
 */
export function toCsv(columns: readonly string[], rows: readonly (readonly ShownCell[])[]): string {
  return [columns.map(escapeInvisible), ...rows].map((line) => `${line.map(csvField).join(",")}\n`).join("");
}

function csvField(cell: ShownCell): string {
  if (cell === null) return "";
  if (typeof cell === "number") return String(cell);
  return cell === "" || /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
