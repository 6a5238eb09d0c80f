// Rows on their way into a workspace, as JSON that SQLite reads back exactly: integers of any size, whole reals, infinities.
import type { Cell } from "../sql/exact.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import type { ResultColumn } from "./workspace.ts";

/** A row as the text of a JSON array; bytes as `{"b": hex}`. */
export function encodeRow(row: readonly Cell[]): string {
  return row.some(isExact) ? `[${row.map(encodeCell).join(",")}]` : JSON.stringify(row);
}

function isExact(cell: Cell): boolean {
  return typeof cell === "object" && cell !== null;
}

function encodeCell(cell: Cell): string {
  if (typeof cell !== "object" || cell === null) return JSON.stringify(cell);
  switch (cell.kind) {
    case "integer":
      return cell.digits;
    case "real":
      return encodeReal(cell.value);
    case "blob":
      return `{"b":"${cell.hex}"}`;
  }
}

/** With a point or an exponent: SQLite takes it for an integer otherwise. */
function encodeReal(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? "9e999" : "-9e999";
  return Number.isSafeInteger(value) ? value.toFixed(1) : value.toExponential();
}

/** The statement that fills a table from such rows: its one parameter is a JSON array of them. */
export function insertRowsSql(table: string, columns: readonly ResultColumn[]): string {
  const values = columns.map(({ types }, index) => {
    const value = `json_extract(value, '$[${index}]')`;
    if (!types.includes("blob")) return value;
    return `CASE json_type(value, '$[${index}]') WHEN 'object' THEN unhex(json_extract(value, '$[${index}].b')) ELSE ${value} END`;
  });
  return `INSERT INTO ${quoteIdentifier(table)} SELECT ${values.join(", ")} FROM json_each(?)`;
}
