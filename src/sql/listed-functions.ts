// Finds calls of functions that are not listed. SQLite's authorizer does not hear of a function that our build of SQLite lacks while it
// compiles an EXPLAIN, because SQLite then puts a stand-in in its place.
import { isName, isOperator } from "./clauses.ts";
import { ALLOWED_FUNCTIONS, ALLOWED_TABLE_FUNCTIONS } from "./functions.ts";
import { foldName } from "./identifier.ts";
import type { LexerToken } from "./lexer.ts";

/** Words that stand before a parenthesis and call nothing. */
const NO_CALLS = new Set(
  [
    "all and as between by case cast distinct else except exists filter from group having in intersect is join limit materialized not",
    "offset on or order over select then union using values when where",
  ].flatMap((words) => words.split(" ")),
);

/** Whether every name before a parenthesis is a listed function. False may also mean a list of columns, such as `w(a, b) AS`. */
export function callsOnlyListedFunctions(tokens: readonly LexerToken[]): boolean {
  return tokens.every((token, index) => {
    if (!isOperator(tokens[index + 1], "(") || !isName(token)) return true;
    const name = foldName(token.value);
    if (ALLOWED_FUNCTIONS.has(name) || ALLOWED_TABLE_FUNCTIONS.has(name)) return true;
    return token.kind === "word" && NO_CALLS.has(name);
  });
}
