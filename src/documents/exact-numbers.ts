// Decides which numbers in documents a database can hold with every digit that was written.
import type { Cell } from "../sql/result-encoding.ts";

/** Any double preserves this many significant digits. */
const EXACT_DOUBLE_DIGITS = 15;

/** Makes a number a real, also if it is whole: `price / 3` then divides as reals. */
export function toRealCell(value: number): Cell {
  if (value === 0) return { kind: "real", value: 0 };
  return Number.isInteger(value) ? { kind: "real", value } : value;
}

/** Whether a double represents a decimal number exactly as `source` writes it, such as `1.50` or `1e-7`. */
export function isExactDouble(source: string, value: number): boolean {
  if (!Number.isFinite(value)) return false;
  const digits = source.replace(/e.*$/i, "").replace(/[-+.]/g, "").replace(/^0+/, "");
  // A number too close to zero becomes 0.
  if (value === 0) return digits === "";
  return digits.length <= EXACT_DOUBLE_DIGITS || value.toExponential().replace(/e.*$|[-.]/g, "") === digits;
}
