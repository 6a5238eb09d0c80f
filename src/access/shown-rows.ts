// The rows of an answer in the form that leaves: the first ones, cut to a size, with untrusted text fenced.
import { AppError } from "../errors.ts";
import { byteLength } from "../lib/bytes.ts";
import { mapRow } from "../sources/source.ts";
import type { GovernedRow, TableRead } from "../sources/source.ts";
import { showCell } from "../sql/exact.ts";
import type { ShownCell } from "../sql/exact.ts";
import { fenceRow } from "./untrusted.ts";

export type ShownRow = GovernedRow<ShownCell>;

/**
 * The first rows as they leave: at most so many, and whole rows within so many bytes as JSON. Errors: `limit_reached` when
 * not even one row fits.
 */
export function showRows(
  read: TableRead,
  { untrusted }: { readonly untrusted: readonly string[] },
  { maxRows, maxBytes }: { readonly maxRows: number; readonly maxBytes: number },
): readonly ShownRow[] {
  const fenced = (row: GovernedRow): GovernedRow => (untrusted.length > 0 ? fenceRow(row) : row);
  const first = read.rows.slice(0, maxRows).map((row) => mapRow(fenced(row), showCell));
  const rows = cutToBytes(first, maxBytes);
  if (rows.length === 0 && (first.length > 0 || read.isCutByValue)) throw tooLarge(maxBytes);
  return rows;
}

/** How many rows there were. */
export function totalText({ read, more }: { readonly read: number; readonly more: boolean }): string {
  return more ? `at least ${read + 1}` : String(read);
}

/** Whole rows from the start, as long as their JSON stays within the bytes. */
function cutToBytes<Row>(rows: readonly Row[], maxBytes: number): readonly Row[] {
  let bytes = 0;
  const end = rows.findIndex((row) => (bytes += byteLength(JSON.stringify(row)) + 1) > maxBytes);
  return end === -1 ? rows : rows.slice(0, end);
}

function tooLarge(maxBytes: number): AppError {
  const message = `One row alone is larger than ${maxBytes} bytes. Select fewer columns, or shorten long text with substr().`;
  return new AppError("limit_reached", message);
}
