// How large a table is, as far as decisions may show it. A plan or a refusal that depends on the exact number of rows tells how many a row
// rule hides; a class, a power of 16, tells the order of magnitude.
import type { Statistic } from "./schema.ts";

/** log2 of the ratio between two classes. */
const CLASS_BITS = 4;

/** The upper end of the class of this size, both as log2. */
export function classOfBits(bits: number): number {
  return Math.ceil(bits / CLASS_BITS) * CLASS_BITS;
}

function classOf(count: number, round: (bits: number) => number): number {
  return 2 ** (round(Math.log2(Math.max(1, count)) / CLASS_BITS) * CLASS_BITS);
}

/**
 * A row of `sqlite_stat1` by classes alone: `30000 300 1`, which is rows, then rows for each value of the index's first columns, becomes
 * `65536 256 1`. What is no number, such as `unordered`, stays.
 */
export function coarseStatistic({ table, index, text }: Statistic): Statistic {
  const [rows = "", ...others] = text.split(" ");
  if (!/^[0-9]+$/.test(rows)) return { table, index, text };
  const allRows = classOf(Number(rows), Math.ceil);
  const coarse = others.map((word) => {
    if (!/^[0-9]+$/.test(word)) return word;
    const values = Math.min(allRows, classOf(Number(rows) / Math.max(1, Number(word)), Math.round));
    return String(Math.max(1, Math.round(allRows / values)));
  });
  return { table, index, text: [String(allRows), ...coarse].join(" ") };
}
