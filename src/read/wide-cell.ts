// Finds the cell that fills a size limit, so that an answer can name what to leave out. It sees only values that the user may see.
import { byteLength } from "../lib/bytes.ts";
import type { Cell } from "../sql/result-encoding.ts";

/** A cell for which rows are missing. */
export interface WideCell {
  readonly column: string;
  /** The number of its row in the result, from 1. */
  readonly row: number;
  readonly bytes: number;
}

/** The share of a limit from which a cell is called wide. Where cells are narrower, the number of rows fills the limit. */
export const MIN_WIDE_SHARE = 0.2;

/** Finds the widest cell of some rows; null if it is narrow beside the limit that the rows fill. */
export function findWideCell(
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
  limitBytes: number,
): WideCell | null {
  let widest: WideCell = { column: "", row: 0, bytes: limitBytes * MIN_WIDE_SHARE };
  for (const [rowIndex, row] of rows.entries()) {
    for (const [index, cell] of row.entries()) {
      const bytes = countCellBytes(cell);
      if (bytes > widest.bytes) widest = { column: columns[index] ?? "", row: rowIndex + 1, bytes };
    }
  }
  return widest.row === 0 ? null : widest;
}

function countCellBytes(cell: Cell): number {
  if (typeof cell === "string") return byteLength(cell);
  return typeof cell === "object" && cell?.kind === "blob" ? cell.hex.length / 2 : 0;
}
