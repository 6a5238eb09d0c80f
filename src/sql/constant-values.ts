// Reads the constants of a statement, literals and bound values, from its lexer tokens. row-error-oracles.ts and
// row-timing-oracles.ts use it to decide which expressions are harmless.
import { byteLength } from "../lib/bytes.ts";
import { isOperator, isWord } from "./clauses.ts";
import { toDriverValue } from "./parameters.ts";
import type { DriverValue, SqlValue } from "./parameters.ts";
import { pairParentheses } from "./parentheses.ts";
import type { LexerToken } from "./lexer.ts";

/** D1 fails a LIKE or GLOB pattern that is longer than this. */
const MAX_PATTERN_BYTES = 50;
/** SQLite parses JSON that is at most 1,000 levels deep. */
const MAX_JSON_LEVELS = 1000;
/** A longer number may be read as a real number, which LIMIT rejects. */
const MAX_INTEGER_DIGITS = 15;

/** Answers questions about constants by the index of a lexer token. */
export interface ConstantReader {
  /** Whether the lexer token is a literal or a bound value. */
  isConstant(index: number): boolean;
  /** Reads a constant as text; undefined for anything else. */
  readText(index: number): string | undefined;
  /** Counts the bytes of a constant that one of the operators in `ends` follows; infinite for anything else. */
  countBytes(index: number, ends: readonly string[]): number;
  /** Whether the call with this opening parenthesis has at most one argument. */
  hasOneArgument(open: number): boolean;
  /** Whether a constant is JSON that SQLite parses. */
  isJsonConstant(index: number): boolean;
  /** Whether a short pattern is written out or bound, and no operator after it could extend it. */
  isShortPattern(index: number): boolean;
  /** Whether a constant has one character, and no operator after it could extend it. */
  isOneCharacter(index: number): boolean;
  /** Whether LIMIT has whole numbers, as in `10`, `10 OFFSET 20` and `20, 10`. The caller checks OFFSET by itself. */
  areWholeNumbers(index: number): boolean;
  /** Whether a bound before PRECEDING or FOLLOWING is UNBOUNDED or a whole number that is not negative. */
  isFrameBound(index: number): boolean;
}

/** Creates a reader for the constants in these lexer tokens. `values` are the bound values, in the order of the parameters. */
export function createConstantReader(tokens: readonly LexerToken[], values: readonly SqlValue[]): ConstantReader {
  const boundValues = new Map<LexerToken, DriverValue>(
    tokens
      .filter(({ kind }) => kind === "variable")
      .map((token, index) => [token, toDriverValue(values[index] ?? null)]),
  );

  const { findAround, findClosing } = pairParentheses(tokens);
  /** The opening parentheses of lists with a comma. */
  const lists = new Set(tokens.flatMap((token, index) => (isOperator(token, ",") ? [findAround(index)] : [])));

  const readText = (index: number): string | undefined => {
    const token = tokens[index];
    // SQLite also accepts a string as a name: beside a dot, and after COLLATE, which binds tighter than any other operator.
    const isString =
      token?.kind === "string" && !isOperator(tokens[index - 1], ".") && !isOperator(tokens[index + 1], ".");
    if (isWord(tokens[index - 1], "collate") || isWord(tokens[index + 1], "collate")) return undefined;
    if (isString || token?.kind === "number") return token?.value;
    const value = token === undefined ? undefined : boundValues.get(token);
    return value === undefined ? undefined : String(value ?? "");
  };
  const isConstant = (index: number): boolean => readText(index) !== undefined;

  /** Counts the bytes of a constant, or of constants joined by `||`, up to the index `end`; undefined for anything else. */
  const readConcatenation = (index: number): { readonly bytes: number; readonly end: number } | undefined => {
    const text = readText(index);
    if (text === undefined) return undefined;
    const bytes = byteLength(text);
    if (!isOperator(tokens[index + 1], "||")) return { bytes, end: index + 1 };
    const rest = readConcatenation(index + 2);
    return rest && { bytes: bytes + rest.bytes, end: rest.end };
  };

  /** Whether a whole number is written out or bound as a number: bound text may fail in its place. */
  const isWholeNumber = (index: number): boolean => {
    const at = isOperator(tokens[index], "-", "+") ? index + 1 : index;
    const token = tokens[at];
    const isNumber = token?.kind === "number" || (token !== undefined && typeof boundValues.get(token) === "number");
    return isNumber && new RegExp(`^-?[0-9]{1,${MAX_INTEGER_DIGITS}}$`).test(readText(at) ?? "");
  };

  const skipNumber = (index: number): number => index + (isOperator(tokens[index], "-", "+") ? 2 : 1);
  const isEnd = (index: number): boolean => tokens[index] === undefined || isOperator(tokens[index], ")");

  return {
    isConstant,
    readText,
    countBytes(index, ends) {
      const concatenation = readConcatenation(index);
      return concatenation !== undefined && isOperator(tokens[concatenation.end], ...ends)
        ? concatenation.bytes
        : Number.POSITIVE_INFINITY;
    },
    hasOneArgument: (open) => findClosing(open) < tokens.length && !lists.has(open),
    isJsonConstant: (index) => isPlainJson(readText(index)),
    isShortPattern(index) {
      const concatenation = readConcatenation(index);
      const next = concatenation === undefined ? undefined : tokens[concatenation.end];
      return (
        concatenation !== undefined &&
        concatenation.bytes <= MAX_PATTERN_BYTES &&
        !(next?.kind === "operator" && !isOperator(next, ")", ","))
      );
    },
    isOneCharacter(index) {
      const next = tokens[index + 1];
      return /^[^\0]$/su.test(readText(index) ?? "") && !(next?.kind === "operator" && !isOperator(next, ")", ","));
    },
    areWholeNumbers(index) {
      if (!isWholeNumber(index)) return false;
      const end = skipNumber(index);
      if (!isOperator(tokens[end], ",")) return isEnd(end) || isWord(tokens[end], "offset");
      return isWholeNumber(end + 1) && isEnd(skipNumber(end + 1));
    },
    isFrameBound(index) {
      if (isWord(tokens[index], "unbounded")) return true;
      const isNumber = isWholeNumber(index) && !(readText(index) ?? "").startsWith("-");
      return isNumber && isWord(tokens[index - 1], "between", "and", "rows", "range", "groups");
    },
  };
}

/** SQLite accepts the JSON that JSON.parse accepts, unless it is nested too deeply. The number of brackets bounds the depth. */
function isPlainJson(text: string | undefined): boolean {
  if (text === undefined) return false;
  try {
    JSON.parse(text);
  } catch {
    // The text is not JSON, so SQLite may fail on it.
    return false;
  }
  return (text.match(/[[{]/g) ?? []).length <= MAX_JSON_LEVELS;
}
