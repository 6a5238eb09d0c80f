// Describes the columns of a result for the workspace: the types of their values, and the affinity and collation that the statement gave
// them, so that a predicate finds the same rows in the stored result.
import type { ColumnLabels } from "../answers/column-labels.ts";
import type { GovernedRow } from "../read/source.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import { getStorageType } from "../sql/result-encoding.ts";
import type { Cell, StorageType } from "../sql/result-encoding.ts";
import type { Affinity } from "../sql/column-comparisons.ts";
import type { ColumnShape } from "../sql/result-shape.ts";
import type { ResultColumn } from "./workspace.ts";

/** Builds the description of the column at `index`. */
export function buildResultColumn(
  name: string,
  rows: readonly GovernedRow[],
  index: number,
  { affinity, collation }: Pick<ColumnShape, "affinity" | "collation">,
  labels: ColumnLabels,
): ResultColumn {
  const cells = rows.map((row) => row[index] ?? null);
  const types = new Set<StorageType>(cells.map(getStorageType));
  types.delete("null");
  return { name, types: [...types], collation, labels, ...chooseType(affinity, cells) };
}

/** Chooses the type of the table's column, and how a guard view changes it, so that no value changes and comparisons stay the same. */
function chooseType(affinity: Affinity, cells: readonly Cell[]): Pick<ResultColumn, "declaredType" | "comparedAs"> {
  if (affinity === "BLOB") return {};
  if (affinity === "NONE") return { comparedAs: "nothing" };
  if (cells.every((cell) => keepsValue(affinity, cell))) return { declaredType: affinity };
  // A column with the type INTEGER or NUMERIC would store 5.0 as 5.
  return cells.every(isNumberOrNull) ? { comparedAs: "number" } : {};
}

function isNumberOrNull(cell: Cell): boolean {
  return ["integer", "real", "null"].includes(getStorageType(cell));
}

/** What SQLite may take for a number: it is also true of some texts that SQLite does not convert. */
const LIKE_A_NUMBER = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;

/** Whether a column of this type stores a cell without changing its value or type. */
function keepsValue(type: NonNullable<ResultColumn["declaredType"]>, cell: Cell): boolean {
  const storageType = getStorageType(cell);
  switch (type) {
    case "TEXT":
      return storageType !== "integer" && storageType !== "real";
    case "REAL":
      return storageType !== "integer" && !isLikeNumber(cell);
    case "INTEGER":
    case "NUMERIC":
      return !isWholeReal(cell) && !isLikeNumber(cell);
  }
}

function isLikeNumber(cell: Cell): boolean {
  return typeof cell === "string" && LIKE_A_NUMBER.test(cell.trim());
}

function isWholeReal(cell: Cell): boolean {
  return typeof cell === "object" && cell !== null && cell.kind === "real" && Number.isFinite(cell.value);
}

/** Builds the definition of a column of a result's table. */
export function buildColumnDefinition({ name, declaredType, collation = "BINARY" }: ResultColumn): string {
  return `${quoteIdentifier(name)} ${declaredType ?? ""} COLLATE ${collation}`;
}
