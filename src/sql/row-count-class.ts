// Rounds table sizes to classes. A plan or a refusal that depends on the exact number of rows would reveal how many a row rule hides; a
// class, a power of 16, reveals only the order of magnitude.
import type { Statistic } from "./schema-copy.ts";

/** SQLite's guess for the rows of a table without statistics. */
export const UNKNOWN_ROWS = 1_048_576;

/** log2 of the ratio between two classes. */
const CLASS_LOG2 = 4;

/**
 * Replaces a size by one that stands for its class; both are log2. It is half the largest size of the class: the upper end itself would
 * count a join of two tables as up to 256 times its work, although the user sees only some of their rows.
 */
export function toClassLog2(sizeLog2: number): number {
  return Math.max(0, Math.ceil(sizeLog2 / CLASS_LOG2) * CLASS_LOG2 - 1);
}

function roundToClass(count: number, round: (classes: number) => number, classLog2 = CLASS_LOG2): number {
  return 2 ** (round(Math.log2(Math.max(1, count)) / classLog2) * classLog2);
}

/** Rounds a number of rows to the upper end of its class. */
export function roundRowCount(count: number): number {
  return roundToClass(count, Math.ceil);
}

/** log2 of the ratio between two classes of numbers of values. They say little: that a column has about four or sixteen regions. */
const VALUE_CLASS_LOG2 = 2;

/** Rounds a number of different values to a power of four. */
export function roundValueCount(count: number): number {
  return roundToClass(count, Math.round, VALUE_CLASS_LOG2);
}

/**
 * Rounds a row of `sqlite_stat1` to size classes. `30000 300 1`, the rows and then the rows per value of the index's first columns,
 * becomes `65536 256 1`. A word that is not a number, such as `unordered`, stays.
 */
export function coarsenStatistic({ table, index, text }: Statistic): Statistic {
  const [rows = "", ...others] = text.split(" ");
  if (!/^[0-9]+$/.test(rows)) return { table, index, text };
  const allRows = roundToClass(Number(rows), Math.ceil);
  const coarseWords = others.map((word) => {
    if (!/^[0-9]+$/.test(word)) return word;
    const values = Math.min(allRows, roundToClass(Number(rows) / Math.max(1, Number(word)), Math.round));
    return String(Math.max(1, Math.round(allRows / values)));
  });
  return { table, index, text: [String(allRows), ...coarseWords].join(" ") };
}
