// Finds the names that a statement introduces itself: aliases, WITH queries and their columns. Where the tokens are ambiguous, a name
// counts as introduced.
import { isName, isOperator, isWord } from "./clauses.ts";
import { foldName } from "./identifier.ts";
import type { LexerToken } from "./lexer.ts";
import { pairParentheses } from "./parentheses.ts";

/** Words that can stand directly before an operand. A name after any other operand is its alias. */
const BEFORE_OPERAND = new Set(
  (
    "select distinct all from join where on and or not in is like glob match regexp between by having limit offset case when then " +
    "else exists collate escape union except intersect values with recursive partition over filter using"
  ).split(" "),
);

/** Lists the folded names of aliases, WITH queries and their columns. */
export function findDefinedNames(tokens: readonly LexerToken[]): ReadonlySet<string> {
  const aliases = tokens.filter((token, index) => isName(token) && isAfterOperand(tokens[index - 1]));
  return new Set([...aliases.map(({ value }) => foldName(value)), ...findWithQueries(tokens, true)]);
}

/** Lists the folded names of WITH queries, and of the columns that they list if `includesColumns`. */
export function findWithQueries(tokens: readonly LexerToken[], includesColumns = false): ReadonlySet<string> {
  const { findOpening } = pairParentheses(tokens);
  const names = tokens.flatMap((token, index): readonly string[] => {
    if (
      !isWord(token, "as") ||
      !(isOperator(tokens[index + 1], "(") || isWord(tokens[index + 1], "not", "materialized"))
    )
      return [];
    const open = isOperator(tokens[index - 1], ")") ? findOpening(index - 1) : index;
    const columns = includesColumns && open < index ? readFlatList(tokens, index - 1) : [];
    return [tokens[open - 1], ...columns].filter(isName).map(({ value }) => foldName(value));
  });
  return new Set(names);
}

/** Reads what this parenthesis closes, as far as it contains no other parentheses: a list of columns has none. */
function readFlatList(tokens: readonly LexerToken[], close: number): readonly LexerToken[] {
  let start = close;
  while (start > 0 && !isOperator(tokens[start - 1], "(", ")")) start -= 1;
  return tokens.slice(start, close);
}

function isAfterOperand(before: LexerToken | undefined): boolean {
  if (before === undefined) return false;
  if (before.kind === "word") return !BEFORE_OPERAND.has(foldName(before.value));
  return before.kind === "operator" ? before.value === ")" : true;
}
