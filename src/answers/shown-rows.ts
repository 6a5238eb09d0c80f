// Prepares the rows of an answer: takes the first rows, fences untrusted text, and cuts to a size in bytes.
import { AppError } from "../errors.ts";
import { byteLength } from "../lib/bytes.ts";
import { mapRow } from "../read/source.ts";
import type { GovernedRow, TableRead } from "../read/source.ts";
import { toJsonCell } from "../sql/result-encoding.ts";
import type { JsonCell } from "../sql/result-encoding.ts";
import { fenceRow } from "./untrusted-text.ts";

/** A row as an answer shows it. */
export type ShownRow = GovernedRow<JsonCell>;

/**
 * Gives the first rows as an answer shows them: at most `shownRows`, and only whole rows within `shownBytes` as JSON. Errors:
 * `limit_reached` when not even one row fits.
 */
export function showRows(
  read: TableRead,
  { untrusted }: { readonly untrusted: readonly string[] },
  { shownRows, shownBytes }: { readonly shownRows: number; readonly shownBytes: number },
): readonly ShownRow[] {
  const fenceIfUntrusted = (row: GovernedRow): GovernedRow => (untrusted.length > 0 ? fenceRow(row) : row);
  const firstRows = read.rows.slice(0, shownRows).map((row) => mapRow(fenceIfUntrusted(row), toJsonCell));
  const rows = cutToBytes(firstRows, shownBytes);
  if (rows.length === 0 && (firstRows.length > 0 || read.isCutBySize)) throw createRowTooLargeError(shownBytes);
  return rows;
}

/** Formats the number of rows that a query had: a number, or `at least n` when there were more than were read. */
export function formatTotal({ read, more }: { readonly read: number; readonly more: boolean }): string {
  return more ? `at least ${read + 1}` : String(read);
}

/** Takes whole rows from the start while their JSON stays within `shownBytes`. */
function cutToBytes<Row>(rows: readonly Row[], shownBytes: number): readonly Row[] {
  let bytes = 0;
  const end = rows.findIndex((row) => (bytes += byteLength(JSON.stringify(row)) + 1) > shownBytes);
  return end === -1 ? rows : rows.slice(0, end);
}

function createRowTooLargeError(shownBytes: number): AppError {
  const message = `A single row is larger than ${shownBytes} bytes. Select fewer columns, or shorten long text with substr().`;
  return new AppError("limit_reached", message);
}
