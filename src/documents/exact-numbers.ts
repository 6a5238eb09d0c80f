// Decides which texts in documents become numbers: only those that keep every digit as it was written.
import type { Cell } from "../sql/result-encoding.ts";

const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 63n - 1n;
/** Any double preserves this many significant digits. */
const EXACT_DOUBLE_DIGITS = 15;

/** Parses a whole number within SQLite's 64 bits; undefined for any other text, such as `007` or `+1`. */
export function parseExactInteger(text: string): Cell | undefined {
  if (!/^(?:0|-?[1-9][0-9]{0,18})$/.test(text)) return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  const exact = BigInt(text);
  return exact >= MIN_INTEGER && exact <= MAX_INTEGER ? { kind: "integer", digits: text } : undefined;
}

function toRealCell(value: number): Cell {
  return Number.isInteger(value) ? { kind: "real", value } : value;
}

/**
 * Parses a column as numbers if every value prints back exactly as it was written: whole numbers, shortest decimals, or
 * decimals that all have the same number of places. Undefined if any value does not, such as `007`, or `1.10` next to `1.9`.
 */
export function parseNumberColumn(texts: readonly (string | null)[]): readonly Cell[] | undefined {
  const presentTexts = texts.filter((text) => text !== null);
  const [first] = presentTexts;
  if (first === undefined) return undefined;
  const decimalPlaces = /^-?[0-9]+\.([0-9]+)$/.exec(first)?.[1]?.length;
  const isFixed =
    decimalPlaces !== undefined &&
    decimalPlaces <= 20 &&
    presentTexts.every((text) => isDecimal(text) && Number(text).toFixed(decimalPlaces) === text);
  const parseCell = (text: string): Cell | undefined =>
    isFixed || (isDecimal(text) && String(Number(text)) === text) ? toRealCell(Number(text)) : parseExactInteger(text);
  const cells = texts.map((text) => (text === null ? null : parseCell(text)));
  return cells.includes(undefined) ? undefined : cells.flatMap((cell) => (cell === undefined ? [] : [cell]));
}

function isDecimal(text: string): boolean {
  return /^-?(?:0|[1-9][0-9]*)\.[0-9]+$/.test(text);
}

/** Whether a double represents a JSON number exactly; `source` is the number as the JSON text writes it. */
export function isExactDouble(source: string, value: number): boolean {
  if (!Number.isFinite(value)) return false;
  const digits = source.replace(/e.*$/i, "").replace(/[-.]/g, "").replace(/^0+/, "");
  return digits.length <= EXACT_DOUBLE_DIGITS || String(value) === source;
}
