// Timing oracles: a condition that takes seconds on one chosen value reveals, by the duration of a query or its time limit, whether a
// hidden row has that value. Before a query runs, this file decides whether something outside the outermost select list could take
// noticeably long on one row. If so, views with a row rule are fenced, and only visible rows reach it.
import { byteLength } from "../lib/bytes.ts";
import { isName, isOperator, findExpressionSubqueries } from "./clauses.ts";
import { createConstantReader } from "./constant-values.ts";
import type { ConstantReader } from "./constant-values.ts";
import { listRecursiveQueries } from "./defined-names.ts";
import { ALLOWED_TABLE_FUNCTIONS } from "./functions.ts";
import { foldName } from "./identifier.ts";
import type { SqlValue } from "./parameters.ts";
import { pairParentheses } from "./parentheses.ts";
import type { Parentheses } from "./parentheses.ts";
import { findExemptTokens } from "./row-error-oracles.ts";
import { isShortRecursion } from "./short-recursions.ts";
import type { Statement } from "./statement.ts";
import type { LexerToken } from "./lexer.ts";

/** Work on a literal or bound value of this size takes microseconds. */
const MAX_SHORT_BYTES = 1000;
/** Functions that compare their arguments at each position of a text. */
const QUADRATIC_FUNCTIONS = new Set(["instr", "trim", "ltrim", "rtrim"]);

/** Decides whether something outside the outermost select list may take long on one row, except subqueries, whose cost the plan shows. */
export function canStallOnRow({ tokens }: Pick<Statement, "tokens">, values: readonly SqlValue[]): boolean {
  // A recursion in front of a join, or of a correlated subquery, repeats the conditions on a row as often as it has steps.
  if (listRecursiveQueries(tokens).some((query) => !isShortRecursion(tokens, query))) return true;
  const constants = createConstantReader(tokens, values);
  const parentheses = pairParentheses(tokens);
  const canStall = (index: number): boolean => canStallAt(tokens, parentheses, constants, index);
  const isExempt = findExemptTokens(tokens, canStall);
  return tokens.some((_token, index) => !isExempt(index) && canStall(index));
}

/**
 * Decides whether a subquery that is a value is outside the outermost select list, or inside another subquery, so that it may run because
 * a hidden row reaches it.
 */
export function mayRunSubqueryOnHiddenRow({ tokens }: Pick<Statement, "tokens">): boolean {
  const openIndexes = new Set(findExpressionSubqueries(tokens).map(({ start }) => start - 1));
  const isExempt = findExemptTokens(tokens, (index) => openIndexes.has(index));
  return [...openIndexes].some((index) => !isExempt(index));
}

function canStallAt(
  tokens: readonly LexerToken[],
  parentheses: Parentheses,
  constants: ConstantReader,
  index: number,
): boolean {
  const token = tokens[index];
  if (isName(token) && QUADRATIC_FUNCTIONS.has(foldName(token.value)) && isOperator(tokens[index + 1], "("))
    return !hasShortSearch(tokens, constants, index + 1, parentheses.findClosing(index + 1));
  // The work estimate counts the elements of a list.
  const isList =
    isOperator(tokens[index - 1], "(") && ALLOWED_TABLE_FUNCTIONS.has(foldName(tokens[index - 2]?.value ?? ""));
  return !isList && byteLength(constants.readText(index) ?? "") > MAX_SHORT_BYTES;
}

/** Whether the last argument of a call is a short constant, or the only argument. */
function hasShortSearch(
  tokens: readonly LexerToken[],
  constants: ConstantReader,
  open: number,
  close: number,
): boolean {
  if (constants.hasOneArgument(open)) return true;
  const text = constants.readText(close - 1);
  return text !== undefined && isOperator(tokens[close - 2], ",") && byteLength(text) <= MAX_SHORT_BYTES;
}
