// Compares a governed answer with the direct one, row by row.
import type { JsonCell } from "../../src/sql/result-encoding.ts";

type Rows = readonly (readonly JsonCell[])[];

/** Sums of doubles depend on the order of the rows, which the plan decides. */
const MAX_RELATIVE_DIFFERENCE = 1e-9;

/** How two answers are compared. */
interface Comparison {
  /** Whether the order of rows counts. */
  readonly isOrdered: boolean;
  /** Whether the governed answer has only the first rows that the database returned. */
  readonly isCut: boolean;
}

/** Describes the first difference; undefined when the answers are the same. */
export function findDifference(all: Rows, actual: Rows, { isOrdered, isCut }: Comparison): string | undefined {
  if (isCut && !isOrdered) return findStrayRow(all, actual);
  const expected = isCut ? all.slice(0, actual.length) : all;
  if (expected.length !== actual.length) return `${actual.length} rows in place of ${expected.length}`;
  const [left, right] = isOrdered ? [expected, actual] : [expected.toSorted(compareRows), actual.toSorted(compareRows)];
  for (const [index, row] of left.entries()) {
    const other = right[index] ?? [];
    if (row.length !== other.length) return `${other.length} columns in place of ${row.length}`;
    if (!row.every((cell, column) => isSameCell(cell, other[column] ?? null)))
      return `row ${index + 1}: ${JSON.stringify(other)} in place of ${JSON.stringify(row)}`;
  }
  return undefined;
}

/** Any rows may be the first ones when the order is free. */
function findStrayRow(all: Rows, actual: Rows): string | undefined {
  const keys = new Set(all.map(buildKey));
  const stray = actual.find((row) => !keys.has(buildKey(row)));
  return stray === undefined ? undefined : `a row that should not be there: ${JSON.stringify(stray)}`;
}

function isSameCell(left: JsonCell, right: JsonCell): boolean {
  if (typeof left !== "number" || typeof right !== "number") return left === right;
  return Math.abs(left - right) <= MAX_RELATIVE_DIFFERENCE * Math.max(Math.abs(left), Math.abs(right));
}

/** Orders rows by their cells. Doubles are rounded, so that almost equal ones do not decide. */
function compareRows(left: readonly JsonCell[], right: readonly JsonCell[]): number {
  const [leftKey, rightKey] = [buildKey(left), buildKey(right)];
  if (leftKey === rightKey) return 0;
  return leftKey < rightKey ? -1 : 1;
}

function buildKey(row: readonly JsonCell[]): string {
  return JSON.stringify(row.map((cell) => (typeof cell === "number" ? cell.toPrecision(9) : cell)));
}
