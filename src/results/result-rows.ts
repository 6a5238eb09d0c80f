// Encodes rows for a workspace as JSON that SQLite reads back exactly, including 64-bit integers, whole reals and infinities.
import type { Cell } from "../sql/result-encoding.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import type { ResultColumn } from "./workspace.ts";

/** Encodes a row as a JSON array; a blob becomes `{"b": hex}`. */
export function encodeRow(row: readonly Cell[]): string {
  return row.some(isExactCell) ? `[${row.map(encodeCell).join(",")}]` : JSON.stringify(row);
}

function isExactCell(cell: Cell): boolean {
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

/** Writes a real with a decimal point or an exponent; without one, SQLite would read an integer. */
function encodeReal(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? "9e999" : "-9e999";
  return Number.isSafeInteger(value) ? value.toFixed(1) : value.toExponential();
}

/** Builds the INSERT statement that fills a table from encoded rows. Its only parameter is a JSON array of them. */
export function buildInsertRowsSql(table: string, columns: readonly ResultColumn[]): string {
  const values = columns.map(({ types }, index) => {
    const value = `json_extract(value, '$[${index}]')`;
    if (!types.includes("blob")) return value;
    return `CASE json_type(value, '$[${index}]') WHEN 'object' THEN unhex(json_extract(value, '$[${index}].b')) ELSE ${value} END`;
  });
  return `INSERT INTO ${quoteIdentifier(table)} SELECT ${values.join(", ")} FROM json_each(?)`;
}
