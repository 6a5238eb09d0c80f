// Explains SQLite's syntax errors, which name one word and no cause: a comma or a word too many, a CASE without END, a keyword as a name.
import { isOperator, isWord } from "./clauses.ts";
import { foldName } from "./identifier.ts";
import type { LexerToken } from "./lexer.ts";

/** Words that SQLite takes as names only in double quotes. */
const KEYWORDS = new Set(
  [
    "add all alter and as autoincrement between case check collate commit constraint create default deferrable delete distinct",
    "drop else escape except exists foreign from group having in index insert intersect into is isnull join limit not nothing",
    "notnull null on or order primary references returning select set table then to transaction union unique update using",
    "values when where",
  ].flatMap((words) => words.split(" ")),
);

/** Whether SQLite takes a word as a name only in double quotes. */
export function isKeyword(word: string): boolean {
  return KEYWORDS.has(foldName(word));
}

/** Says how to correct an error near a text, after a space. `offset`: its UTF-16 offset in the statement; undefined if it is unknown. */
export function explainSyntaxError(near: string, offset: number | undefined, tokens: readonly LexerToken[]): string {
  const index = tokens.findIndex(({ start }) => start === offset);
  const before = tokens[index - 1];
  if (isOperator(before, ",") && isWord(tokens[index], "from", "where", "group", "order", "limit"))
    return " Remove the comma before it.";
  if (countWords(tokens, "case") > countWords(tokens, "end")) return " A CASE has no END.";
  if (isKeyword(near)) return " It is a keyword: to use it as a name, put it in double quotes. The dialect is SQLite.";
  return " The dialect is SQLite; put a name with a space in double quotes.";
}

function countWords(tokens: readonly LexerToken[], word: string): number {
  return tokens.filter((token) => isWord(token, word)).length;
}
