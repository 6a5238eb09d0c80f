// Adds numbers that are too large to write out, as log2: a cross join of a few tables passes more rows than any number type holds.

/** log2 of nothing. */
export const NO_STEPS_LOG2 = Number.NEGATIVE_INFINITY;

/** log2(2^a + 2^b). */
export function addLog2(a: number, b: number): number {
  const [more, less] = a > b ? [a, b] : [b, a];
  return less === Number.NEGATIVE_INFINITY ? more : more + Math.log2(1 + 2 ** (less - more));
}
