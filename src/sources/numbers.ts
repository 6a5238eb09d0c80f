// Numbers in documents: taken for numbers only where nothing of what was written is lost.
import type { Cell } from "../sql/exact.ts";

const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 63n - 1n;
/** So many digits any double keeps. */
const SURE_DIGITS = 15;

/** A whole number as SQLite has it, up to 64 bits; undefined for what is written otherwise. */
export function integerOf(text: string): Cell | undefined {
  if (!/^(?:0|-?[1-9][0-9]{0,18})$/.test(text)) return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  const exact = BigInt(text);
  return exact >= MIN_INTEGER && exact <= MAX_INTEGER ? { kind: "integer", digits: text } : undefined;
}

function realOf(value: number): Cell {
  return Number.isInteger(value) ? { kind: "real", value } : value;
}

/**
 * The values of a column as numbers, when each reads back as it was written: whole numbers, shortest decimals, or decimals
 * that all have as many places. `007` and `1.10` beside `1.9` are no numbers. Undefined when one is not.
 */
export function numbersOf(texts: readonly (string | null)[]): readonly Cell[] | undefined {
  const written = texts.filter((text) => text !== null);
  const [first] = written;
  if (first === undefined) return undefined;
  const places = /^-?[0-9]+\.([0-9]+)$/.exec(first)?.[1]?.length;
  const isFixed =
    places !== undefined &&
    places <= 20 &&
    written.every((text) => isDecimal(text) && Number(text).toFixed(places) === text);
  const read = (text: string): Cell | undefined =>
    isFixed || (isDecimal(text) && String(Number(text)) === text) ? realOf(Number(text)) : integerOf(text);
  const cells = texts.map((text) => (text === null ? null : read(text)));
  return cells.includes(undefined) ? undefined : cells.flatMap((cell) => (cell === undefined ? [] : [cell]));
}

function isDecimal(text: string): boolean {
  return /^-?(?:0|[1-9][0-9]*)\.[0-9]+$/.test(text);
}

/** Whether a number as JSON writes it is the double that JavaScript reads from it. */
export function isExact(source: string, value: number): boolean {
  if (!Number.isFinite(value)) return false;
  const digits = source.replace(/e.*$/i, "").replace(/[-.]/g, "").replace(/^0+/, "");
  return digits.length <= SURE_DIGITS || String(value) === source;
}
