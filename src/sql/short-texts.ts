// Finds operands whose texts are short whatever a row holds: constants, numbers, dates, and elements of a constant list. Joining them with
// `||` cannot exceed the size of a value, and so cannot fail. Where the tokens are ambiguous, an operand counts as long.
import { byteLength } from "../lib/bytes.ts";
import { SET_OPERATORS, isName, isOperator, isWord } from "./clauses.ts";
import type { ConstantReader } from "./constant-values.ts";
import { ALLOWED_TABLE_FUNCTIONS, FALLIBLE_AGGREGATES } from "./functions.ts";
import { foldName } from "./identifier.ts";
import type { LexerToken } from "./lexer.ts";
import { pairParentheses } from "./parentheses.ts";
import type { Parentheses } from "./parentheses.ts";

/** Functions that return a number or a date, and nothing else. */
const SHORT_RESULTS = new Set(
  "ceil count date datetime floor instr julianday length mod octet_length sign time total typeof unicode unixepoch".split(
    " ",
  ),
);
const NUMBER_TYPES = ["integer", "int", "real"];
/** The column of a table-valued function that holds an element of its list. */
const ELEMENT = "value";
/** A part of a text is short with at most this many characters, and a format with at most this many bytes. */
const MAX_SHORT = 1000;
/** Words before a parenthesis that is no call. */
const BEFORE_OPERAND = [
  "select",
  "distinct",
  "then",
  "else",
  "when",
  "and",
  "or",
  "not",
  "by",
  "on",
  "where",
  "having",
];

/**
 * Constants above this many bytes make no operand beside them short: SQLite allows a hundred operands in one expression, and a value of
 * two million bytes.
 */
const MAX_CONSTANT_BYTES = 10_000;

/** Answers whether both operands of `||` are short. */
export interface ShortTextReader {
  /** `index`: of the operator. */
  joinsShortTexts(index: number): boolean;
}

/**
 * Creates the reader for these lexer tokens. `isColumn` tells whether a folded name is a column of a table that the statement uses: an
 * unqualified `value` may then be that column.
 */
export function createShortTextReader(
  tokens: readonly LexerToken[],
  constants: ConstantReader,
  isColumn: (name: string) => boolean,
): ShortTextReader {
  const parentheses = pairParentheses(tokens);
  const elementNames = findElementNames(tokens, parentheses, constants, isColumn);

  // In text that is not UTF-8, one character may have any number of bytes. An aggregate can make such a text; stored ones hardly occur.
  const joinsRows = tokens.some((token) => isName(token) && FALLIBLE_AGGREGATES.has(foldName(token.value)));

  /** Whether the parentheses, with the name of a function before them, return something short. */
  const isShortCall = (open: number, close: number): boolean => {
    const name = tokens[open - 1];
    if (!isName(name) || isWord(name, ...BEFORE_OPERAND)) return isArithmetic(tokens, parentheses, open, close);
    const folded = foldName(name.value);
    if (folded === "strftime") return constants.countBytes(open + 1, [",", ")"]) <= MAX_SHORT;
    if (folded === "cast") return isWord(tokens[close - 2], "as") && isWord(tokens[close - 1], ...NUMBER_TYPES);
    if (folded === "substr" || folded === "substring")
      return !joinsRows && hasShortLength(tokens, parentheses, open, close);
    return SHORT_RESULTS.has(folded);
  };
  const isElement = (end: number): boolean => {
    if (!isName(tokens[end]) || foldName(tokens[end].value) !== ELEMENT) return false;
    const alias = isOperator(tokens[end - 1], ".") ? tokens[end - 2] : undefined;
    return elementNames.has(alias === undefined ? ELEMENT : `${foldName(alias.value)}.`);
  };

  const beginsAt = (index: number): boolean => {
    if (constants.isConstant(index)) return true;
    if (isElement(isOperator(tokens[index + 1], ".") ? index + 2 : index)) return true;
    const open = isOperator(tokens[index], "(") ? index : index + 1;
    return isOperator(tokens[open], "(") && isShortCall(open, parentheses.findClosing(open));
  };
  const endsAt = (index: number): boolean => {
    if (constants.isConstant(index) || isElement(index)) return true;
    return isOperator(tokens[index], ")") && isShortCall(parentheses.findOpening(index), index);
  };
  const areConstantsShort = tokens.every(
    (token, index) => byteLength(constants.readText(index) ?? token.value) <= MAX_CONSTANT_BYTES,
  );
  return { joinsShortTexts: (index) => areConstantsShort && endsAt(index - 1) && beginsAt(index + 1) };
}

/** Lists the indexes between two parentheses that no other parentheses enclose. */
function listOuter({ findClosing }: Parentheses, tokens: readonly LexerToken[], open: number, close: number) {
  const indexes: number[] = [];
  for (let index = open + 1; index < close; index += 1) {
    indexes.push(index);
    if (isOperator(tokens[index], "(")) index = findClosing(index);
  }
  return indexes;
}

/** Whether the parentheses contain a sum or a product, which is a number. Nothing that they contain besides may bind more loosely. */
function isArithmetic(tokens: readonly LexerToken[], parentheses: Parentheses, open: number, close: number): boolean {
  const outer = listOuter(parentheses, tokens, open, close).map((index) => tokens[index]);
  const isPlain = outer.every((token) =>
    token?.kind === "operator" ? isOperator(token, "+", "-", "*", "/", "%", ".", "(", ")") : token?.kind !== "string",
  );
  const hasWords = outer.some((token) =>
    isWord(token, "select", "with", "values", "case", "collate", "over", "filter"),
  );
  // A plus sign before an operand changes nothing, not even the type. Inner parentheses are represented by the opening one.
  const isBinary = (index: number): boolean =>
    index > 0 && (outer[index - 1]?.kind !== "operator" || isOperator(outer[index - 1], "("));
  return (
    isPlain && !hasWords && outer.some((token, index) => isOperator(token, "+", "-", "*", "/", "%") && isBinary(index))
  );
}

/** Whether a call such as `substr(x, 1, 7)` gives the number of characters, and this is small. */
function hasShortLength(tokens: readonly LexerToken[], parentheses: Parentheses, open: number, close: number): boolean {
  const commas = listOuter(parentheses, tokens, open, close).filter((index) => isOperator(tokens[index], ","));
  const length = tokens[close - 1];
  return (
    commas.length === 2 && commas[1] === close - 2 && length?.kind === "number" && Number(length.value) <= MAX_SHORT
  );
}

/**
 * Lists the names of elements of constant lists: `d.` for `json_each('[1]') AS d`, and `value` where only such a list has a column of
 * this name. A name that occurs anywhere else without a dot after it may mean something else.
 */
function findElementNames(
  tokens: readonly LexerToken[],
  { findClosing }: Parentheses,
  constants: ConstantReader,
  isColumn: (name: string) => boolean,
): ReadonlySet<string> {
  const calls = tokens.flatMap((token, index) =>
    isName(token) && ALLOWED_TABLE_FUNCTIONS.has(foldName(token.value)) ? [index] : [],
  );
  const areConstant = calls.every((index) => isOperator(tokens[index + 3], ")") && constants.isJsonConstant(index + 2));
  if (calls.length === 0 || !areConstant) return new Set();
  const aliases = new Set(
    calls.map((index) => {
      const after = findClosing(index + 1) + 1;
      return isWord(tokens[after], "as") ? after + 1 : after;
    }),
  );
  const unclear = new Set<string>();
  // A compound query names its columns by its first SELECT, whatever the others return.
  let isValueClear = !isColumn(ELEMENT) && !tokens.some((token) => isWord(token, ...SET_OPERATORS));
  tokens.forEach((token, index) => {
    if (!isName(token)) return;
    const name = foldName(token.value);
    if (!aliases.has(index) && !isOperator(tokens[index + 1], ".")) unclear.add(name);
    if (name === ELEMENT && definesColumn(tokens, index)) isValueClear = false;
  });
  const names = [...aliases].flatMap((index) => (isName(tokens[index]) ? [foldName(tokens[index].value)] : []));
  return new Set([
    ...names.filter((name) => !unclear.has(name)).map((name) => `${name}.`),
    ...(isValueClear ? [ELEMENT] : []),
  ]);
}

/** Whether a name may be an alias, or a column in the list of a WITH query. */
function definesColumn(tokens: readonly LexerToken[], index: number): boolean {
  const [before, next] = [tokens[index - 1], tokens[index + 1]];
  // SQLite also accepts BY and LIKE as names.
  if (before?.kind === "word") return isWord(before, "by") || !isWord(before, ...BEFORE_OPERAND, "between", "in");
  if (before?.kind !== "operator") return before !== undefined;
  if (isOperator(before, "(", ",")) return isOperator(next, ")", ",");
  return isOperator(before, ")");
}
