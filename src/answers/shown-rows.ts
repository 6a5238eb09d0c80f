// Prepares the rows of an answer: takes the first rows, fences untrusted text, and cuts to a size in bytes.
import { AppError } from "../errors.ts";
import { byteLength } from "../lib/bytes.ts";
import { shortenText } from "../lib/text-cut.ts";
import { escapeInvisible } from "../lib/visible-text.ts";
import { mapRow } from "../read/source.ts";
import type { GovernedRow, TableRead } from "../read/source.ts";
import { findWideCell } from "../read/wide-cell.ts";
import type { WideCell } from "../read/wide-cell.ts";
import { toJsonCell } from "../sql/result-encoding.ts";
import type { JsonCell } from "../sql/result-encoding.ts";
import type { ColumnLabels } from "./column-labels.ts";
import { fenceRow } from "./untrusted-text.ts";

/** A row as an answer shows it. */
export type ShownRow = GovernedRow<JsonCell>;

/** The rows that an answer shows. */
export interface ShownRows {
  readonly rows: readonly ShownRow[];
  /** The wide cell for which later rows are not shown; null if they are missing for another reason, or none are. */
  readonly wideCell: WideCell | null;
}

/**
 * Gives the first rows as an answer shows them: at most `shownRows`, and only whole rows within `shownBytes` as JSON. `columns` has the
 * labels of each column; text of outsiders is fenced. Errors: `limit_reached` when not even one row fits, with its widest cell.
 */
export function showRows(
  read: TableRead,
  columns: readonly ColumnLabels[],
  { shownRows, shownBytes }: { readonly shownRows: number; readonly shownBytes: number },
): ShownRows {
  const firstRows = read.rows.slice(0, shownRows).map((row) => mapRow(fenceRow(row, columns), toJsonCell));
  const rows = cutToBytes(firstRows, shownBytes);
  // The cell that took the room may stand in a row that is shown.
  const wideCell =
    rows.length < firstRows.length
      ? findWideCell(read.columns, read.rows.slice(0, rows.length + 1), shownBytes)
      : rows.length < shownRows
        ? read.wideCell
        : null;
  if (rows.length === 0 && (firstRows.length > 0 || read.isCutBySize))
    throw createRowTooLargeError(shownBytes, wideCell);
  return { rows, wideCell };
}

/** Names a cell and what to do about it, as a sentence. */
export function describeWideCell(cell: WideCell): string {
  return `${formatWideCell(cell)}: leave it out, or shorten it with substr().`;
}

/** Names a cell as a clause. A query or a document chose the column's name. */
export function formatWideCell({ column, row, bytes }: WideCell): string {
  const name = JSON.stringify(escapeInvisible(shortenText(column, MAX_NAME_CHARACTERS)));
  return `The column ${name} has ${bytes} bytes in row ${row}`;
}

const MAX_NAME_CHARACTERS = 100;

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

/** Creates the error for a row that no answer can show. */
export function createRowTooLargeError(maxBytes: number, wideCell: WideCell | null): AppError {
  const advice =
    wideCell === null ? "Select fewer columns, or shorten long text with substr()." : describeWideCell(wideCell);
  return new AppError("limit_reached", `A single row is larger than ${maxBytes} bytes. ${advice}`);
}
