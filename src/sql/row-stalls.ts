// Time as an oracle: a condition that takes seconds on one chosen value tells by the duration of a query, or by its time limit, whether a
// row that a row rule hides has that value. Before a query runs, this decides whether something outside the outermost select list could
// take noticeably long on one row. If so, views with a row rule are fenced, and only visible rows reach it.
import { byteLength } from "../lib/bytes.ts";
import { closingOf, isName, isOperator, isWord, valueSubqueriesIn } from "./clauses.ts";
import { createConstants } from "./constants.ts";
import type { Constants } from "./constants.ts";
import { ALLOWED_TABLE_FUNCTIONS } from "./functions.ts";
import { foldName } from "./identifier.ts";
import type { SqlValue } from "./parameters.ts";
import { exemptTokens } from "./row-failures.ts";
import type { Statement } from "./statement.ts";
import type { Token } from "./tokenizer.ts";

/** Of a literal or a bound value: work on such a text takes microseconds. */
const MAX_SHORT_BYTES = 1000;
/** Functions that compare their arguments at each place of a text. */
const QUADRATIC = new Set(["instr", "trim", "ltrim", "rtrim"]);

/** Whether something outside the outermost select list may take long on one row, subqueries apart: a plan tells about those. */
export function canStallOnRow({ tokens }: Pick<Statement, "tokens">, values: readonly SqlValue[]): boolean {
  const constants = createConstants(tokens, values);
  const stallsAt = (index: number): boolean => stalls(tokens, constants, index);
  const isExempt = exemptTokens(tokens, stallsAt);
  return tokens.some((_token, index) => !isExempt(index) && stallsAt(index));
}

/**
 * Whether a subquery that is a value stands outside the outermost select list, or in another subquery: it may run because a row that a
 * rule hides reaches it.
 */
export function mayRunSubqueryOnHiddenRow({ tokens }: Pick<Statement, "tokens">): boolean {
  const opens = new Set(valueSubqueriesIn(tokens).map(({ start }) => start - 1));
  const isExempt = exemptTokens(tokens, (index) => opens.has(index));
  return [...opens].some((index) => !isExempt(index));
}

function stalls(tokens: readonly Token[], constants: Constants, index: number): boolean {
  const token = tokens[index];
  if (isWord(token, "recursive")) return true;
  if (isName(token) && QUADRATIC.has(foldName(token.value)) && isOperator(tokens[index + 1], "("))
    return !hasShortSearch(tokens, constants, index + 1);
  // The plan tells how many elements a list has.
  const isList =
    isOperator(tokens[index - 1], "(") && ALLOWED_TABLE_FUNCTIONS.has(foldName(tokens[index - 2]?.value ?? ""));
  return !isList && byteLength(constants.textAt(index) ?? "") > MAX_SHORT_BYTES;
}

/** Whether the last argument of a call is a short constant, or there is but one. */
function hasShortSearch(tokens: readonly Token[], constants: Constants, open: number): boolean {
  const close = closingOf(tokens, open);
  if (constants.isOneArgument(open)) return true;
  const text = constants.textAt(close - 1);
  return text !== undefined && isOperator(tokens[close - 2], ",") && byteLength(text) <= MAX_SHORT_BYTES;
}
