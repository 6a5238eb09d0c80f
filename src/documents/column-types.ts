// Gives each CSV column a type: numbers if each value can be read as exactly one number, otherwise text. A wrong number is worse than a
// text.
import { parseInteger } from "../sql/parameters.ts";
import type { Cell } from "../sql/result-encoding.ts";
import { isExactDouble, toRealCell } from "./exact-numbers.ts";
import type { CsvField } from "./csv-reader.ts";

const DECIMAL_MARKS = [".", ","] as const;
type DecimalMark = (typeof DECIMAL_MARKS)[number];

/** A cell as a number. */
interface NumberText {
  /** Digits, at most one point, and an exponent, as JavaScript reads them. */
  readonly source: string;
  /** Whether it has decimals or an exponent. */
  readonly isReal: boolean;
  readonly hasMark: boolean;
  readonly isGrouped: boolean;
  /** Whether the cell shows by itself which mark stands before decimals. */
  readonly isProof: boolean;
}

const LEADING_ZERO = /^[-+]?0[0-9]/;
const PHONE_NUMBER = /^\+[0-9]{6}/;
/** Longer whole numbers are account, card and article numbers, whose digits must all stay. */
const MAX_DIGITS = 15;
/** Beside numbers, each of these says that there is none. */
const MISSING_NUMBER = /^(?:[-–—]|#?n\/a|na|null|nan|)$/i;
/** In text, `NA` may be Namibia, and `Null` a name. */
const MISSING_TEXT = /^(?:-|N\/A|n\/a|NULL|null)$/;

/** Marks between thousands that nowhere stand before decimals: spaces and apostrophes. */
const OTHER_GROUP_MARKS = String.raw` \u00a0\u202f'’`;

function buildPatterns(mark: string, group: string) {
  const groups = String.raw`(?:([${group}${OTHER_GROUP_MARKS}])[0-9]{3}(?:\1[0-9]{3})*)`;
  return {
    plain: new RegExp(`^[-+]?(?:[0-9]+(?:${mark}[0-9]+)?|${mark}[0-9]+)(?:e[-+]?[0-9]+)?$`, "i"),
    grouped: new RegExp(`^[-+]?[1-9][0-9]{0,2}${groups}(?:${mark}[0-9]+)?$`),
    /** All marks between thousands. */
    groupMarks: new RegExp(`[${group}${OTHER_GROUP_MARKS}]`, "g"),
    /** `1.234` may be one thousand and more where a comma stands before decimals. */
    open: new RegExp(`^[-+]?[1-9][0-9]{0,2}${mark}[0-9]{3}$`),
  };
}

const PATTERNS = { ".": buildPatterns(String.raw`\.`, ","), ",": buildPatterns(",", String.raw`\.`) };
/** Whole numbers that are surely groups of thousands. `100,200` and `555 123 456` may be a list or a phone number. */
const SURE_GROUPS = /^[-+]?[0-9]+['’]|^[-+]?[0-9]{1,2}([^0-9])[0-9]{3}\1/;
const IPV4 = /^(?:[1-9][0-9]{0,2}\.[0-2][0-9]{2}\.[0-2][0-9]{2}\.[0-2][0-9]{2})$/;

/** Converts the values of a column. Missing values become null; in text, only where they are not in quotes. */
export function convertColumn(fields: readonly CsvField[], delimiter: string): readonly Cell[] {
  // Some programs write a typographic minus.
  const texts = fields.map(({ text }) => text.trim().replace("−", "-"));
  const presentTexts = texts.filter((text) => !MISSING_NUMBER.test(text));
  const numbers = parseNumbers(presentTexts, delimiter);
  if (numbers !== undefined) {
    let next = 0;
    return texts.map((text) => (MISSING_NUMBER.test(text) ? null : (numbers[next++] ?? null)));
  }
  // Beside +, a - is a value: a sign, or the strand of a gene.
  const isMinusValue = texts.includes("+");
  return fields.map(({ text, isQuoted }, index) => {
    const trimmed = texts[index] ?? "";
    const isMissing = text === "" || (MISSING_TEXT.test(trimmed) && !(isMinusValue && trimmed === "-"));
    return isMissing && !isQuoted ? null : text;
  });
}

/**
 * Reads a column with a point or a comma before decimals. What could be a group of thousands, such as `1.234`, needs proof from a value
 * of the same column: other columns may be dates and versions. Between commas, a point stands before decimals.
 */
function parseNumbers(texts: readonly string[], delimiter: string): readonly Cell[] | undefined {
  if (texts.length === 0 || texts.some((text) => LEADING_ZERO.test(text))) return undefined;
  if (texts.every((text) => PHONE_NUMBER.test(text))) return undefined;
  for (const mark of DECIMAL_MARKS) {
    const numbers = readNumbers(texts, mark);
    if (numbers === undefined) continue;
    const isProven = numbers.some(({ isProof }) => isProof);
    const isUsual = mark === "." && delimiter === ",";
    const isOpen = numbers.some(({ isGrouped, hasMark }) => isGrouped || (hasMark && !isUsual));
    if (isProven || !isOpen) return toCells(numbers);
  }
  return undefined;
}

function readNumbers(texts: readonly string[], mark: DecimalMark): readonly NumberText[] | undefined {
  const numbers: NumberText[] = [];
  for (const text of texts) {
    const number = readNumber(text, mark);
    if (number === undefined) return undefined;
    numbers.push(number);
  }
  return numbers;
}

function readNumber(text: string, mark: DecimalMark): NumberText | undefined {
  const { plain, grouped, groupMarks, open } = PATTERNS[mark];
  const isGrouped = grouped.test(text);
  if (!isGrouped && !plain.test(text)) return undefined;
  const hasMark = text.includes(mark);
  const exponent = /e([-+]?)/i.exec(text);
  // Without a point or a sign, `12E4` is more likely an article number.
  if (exponent !== null && !hasMark && exponent[1] === "") return undefined;
  const source = text.replace(groupMarks, "").replace(",", ".").replace("+", "");
  const isProof = hasMark ? !open.test(text) : isGrouped && SURE_GROUPS.test(text) && !IPV4.test(text);
  return { source, isReal: hasMark || exponent !== null, hasMark, isGrouped, isProof };
}

/** Integers stay integers; a column with decimals is real throughout. Undefined if a number would lose digits. */
function toCells(numbers: readonly NumberText[]): readonly Cell[] | undefined {
  const isReal = numbers.some((number) => number.isReal);
  const cells: Cell[] = [];
  for (const { source } of numbers) {
    const cell = isReal ? parseReal(source) : parseInteger(source);
    // More digits with decimals are a double as programs print it, such as 0.30000000000000004, or `parseReal` has refused them.
    const wholeDigits = source.replace(/[.e].*$/i, "").replace("-", "").length;
    if (cell === undefined || wholeDigits > MAX_DIGITS) return undefined;
    cells.push(cell);
  }
  return cells;
}

function parseReal(source: string): Cell | undefined {
  const value = Number(source);
  return isExactDouble(source, value) ? toRealCell(value) : undefined;
}
