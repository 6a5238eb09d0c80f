// The rows that a reader of CSV or JSON gives to tabular-document.ts, and the limit that readers check before they build any: a
// document of many columns, an attack, would otherwise take rows times columns of memory.
import type { Cell } from "../sql/result-encoding.ts";

/** Rows before any size limit other than the row limit is applied. */
export interface RawTable {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** The column limit of SQLite in Durable Objects. */
const MAX_COLUMNS = 100;

/** Says that a table has too many columns; undefined if it does not. */
export function describeExcessColumns(count: number): string | undefined {
  return count > MAX_COLUMNS ? `it has ${count} columns; a table can have at most ${MAX_COLUMNS}` : undefined;
}
