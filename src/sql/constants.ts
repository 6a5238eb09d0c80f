// The constants of a statement, literals and bound values, as far as its lexer tokens show them.
import { byteLength } from "../lib/bytes.ts";
import { isOperator, isWord } from "./clauses.ts";
import type { SqlValue } from "./parameters.ts";
import type { Token } from "./tokenizer.ts";

/** SQLite's limit on a pattern of LIKE or GLOB, past which it fails. */
const MAX_PATTERN_BYTES = 50;
/** SQLite reads JSON down to 1,000 levels. */
const MAX_JSON_LEVELS = 1000;
/** More digits are a real number, which LIMIT does not take. */
const MAX_DIGITS = 15;

export type Constants = ReturnType<typeof createConstants>;

/** Each question is about the token at an index. */
export function createConstants(tokens: readonly Token[], values: readonly SqlValue[]) {
  const valueOf = new Map<Token, SqlValue>(
    tokens.filter(({ kind }) => kind === "variable").map((token, index) => [token, values[index] ?? null]),
  );

  const textAt = (index: number): string | undefined => {
    const token = tokens[index];
    // SQLite takes a string as a name, too: beside a dot, and of a collation, whose operator binds tighter than any other.
    const isString =
      token?.kind === "string" && !isOperator(tokens[index - 1], ".") && !isOperator(tokens[index + 1], ".");
    if (isWord(tokens[index - 1], "collate") || isWord(tokens[index + 1], "collate")) return undefined;
    if (isString || token?.kind === "number") return token?.value;
    const value = token === undefined ? undefined : valueOf.get(token);
    return value === undefined ? undefined : String(value ?? "");
  };
  const isAt = (index: number): boolean => textAt(index) !== undefined;

  /** Bytes of a constant, or of constants joined by `||`, and the index behind them; undefined when there is anything else. */
  const joinedAt = (index: number): { readonly bytes: number; readonly end: number } | undefined => {
    const text = textAt(index);
    if (text === undefined) return undefined;
    const bytes = byteLength(text);
    if (!isOperator(tokens[index + 1], "||")) return { bytes, end: index + 1 };
    const rest = joinedAt(index + 2);
    return rest && { bytes: bytes + rest.bytes, end: rest.end };
  };

  /** A number that is written out or bound as one: text in its place may fail. */
  const isWhole = (index: number): boolean => {
    const at = isOperator(tokens[index], "-", "+") ? index + 1 : index;
    const token = tokens[at];
    const isNumber = token?.kind === "number" || (token !== undefined && typeof valueOf.get(token) === "number");
    return isNumber && new RegExp(`^-?[0-9]{1,${MAX_DIGITS}}$`).test(textAt(at) ?? "");
  };

  const behindNumber = (index: number): number => index + (isOperator(tokens[index], "-", "+") ? 2 : 1);
  const isEnd = (index: number): boolean => tokens[index] === undefined || isOperator(tokens[index], ")");

  return {
    isAt,
    textAt,
    /** Infinite unless there is a constant with one of these operators behind it. */
    bytesAt(index: number, ends: readonly string[]): number {
      const joined = joinedAt(index);
      return joined !== undefined && isOperator(tokens[joined.end], ...ends) ? joined.bytes : Number.POSITIVE_INFINITY;
    },
    isOneArgument: (open: number): boolean => {
      let depth = 0;
      for (let index = open; index < tokens.length; index += 1) {
        if (isOperator(tokens[index], "(")) depth += 1;
        if (isOperator(tokens[index], ")")) depth -= 1;
        if (depth === 0) return true;
        if (depth === 1 && isOperator(tokens[index], ",")) return false;
      }
      return false;
    },
    isJson: (index: number): boolean => isPlainJson(textAt(index)),
    /** A pattern that is written out or bound, with nothing behind it that could become part of it. */
    isShortPattern(index: number): boolean {
      const joined = joinedAt(index);
      const next = joined === undefined ? undefined : tokens[joined.end];
      return (
        joined !== undefined &&
        joined.bytes <= MAX_PATTERN_BYTES &&
        !(next?.kind === "operator" && !isOperator(next, ")", ","))
      );
    },
    isOneCharacter: (index: number): boolean => {
      const next = tokens[index + 1];
      return /^[^\0]$/su.test(textAt(index) ?? "") && !(next?.kind === "operator" && !isOperator(next, ")", ","));
    },
    /** `10`, `10 OFFSET 20` and `20, 10`; the word OFFSET is looked at by itself. */
    areWholeNumbers(index: number): boolean {
      if (!isWhole(index)) return false;
      const end = behindNumber(index);
      if (!isOperator(tokens[end], ",")) return isEnd(end) || isWord(tokens[end], "offset");
      return isWhole(end + 1) && isEnd(behindNumber(end + 1));
    },
    isFrameBound: (index: number): boolean => {
      if (isWord(tokens[index], "unbounded")) return true;
      const isNumber = isWhole(index) && !(textAt(index) ?? "").startsWith("-");
      return isNumber && isWord(tokens[index - 1], "between", "and", "rows", "range", "groups");
    },
  };
}

/** Text that JSON.parse takes is JSON to SQLite, if it is not nested too deeply. */
function isPlainJson(text: string | undefined): boolean {
  if (text === undefined) return false;
  try {
    JSON.parse(text);
  } catch {
    // Not JSON: SQLite may fail on it.
    return false;
  }
  return (text.match(/[[{]/g) ?? []).length <= MAX_JSON_LEVELS;
}
