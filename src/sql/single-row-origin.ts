// Finds out from a statement's text whether each row of its result comes from one row of a table. Where the text is ambiguous, it does not.
import { SET_OPERATORS, isName, isOperator, isWord } from "./clauses.ts";
import { AGGREGATE_FUNCTIONS } from "./functions.ts";
import { foldName } from "./identifier.ts";
import type { Statement } from "./statement.ts";

/** Words with which several rows can make one. The text names a table of a WITH query once, however often the query is read. */
const COMBINING_WORDS = ["with", "group", "having", "over", ...SET_OPERATORS];

/** Whether each row of the result comes from at most one row of the table: the statement reads it once, and combines no rows. */
export function hasSingleRowOrigin({ tokens }: Statement, table: string): boolean {
  const name = foldName(table);
  let mentions = 0;
  for (const [index, token] of tokens.entries()) {
    if (isWord(token, ...COMBINING_WORDS)) return false;
    if (!isName(token)) continue;
    const [folded, next] = [foldName(token.value), tokens[index + 1]];
    if (AGGREGATE_FUNCTIONS.has(folded) && isOperator(next, "(")) return false;
    if (folded === name && !isOperator(next, ".")) mentions += 1;
  }
  return mentions === 1;
}
