// Finds the clauses of a statement from its lexer tokens alone, without a parser: the outermost select list, and the subqueries that run
// only when a row reaches them. Where the tokens are ambiguous, it takes the reading that assumes less.
import { foldName } from "./identifier.ts";
import type { LexerToken } from "./lexer.ts";
import { pairParentheses } from "./parentheses.ts";

/** A range of indexes of lexer tokens; `end` is exclusive. */
export interface TokenRange {
  readonly start: number;
  readonly end: number;
}

/** The outermost SELECT of a statement. */
interface OutermostSelect {
  /** The expressions of the outermost select list, one range each. */
  readonly items: readonly TokenRange[];
  /** The whole select list. */
  readonly list: TokenRange;
  /** GROUP BY and ORDER BY, which SQLite evaluates after all conditions; empty for a query with HAVING or WINDOW. */
  readonly groupAndOrderKeys: readonly TokenRange[];
}

/** Checks whether a lexer token is one of these words, which are given in lower case. */
export function isWord(token: LexerToken | undefined, ...words: readonly string[]): boolean {
  return token?.kind === "word" && words.includes(foldName(token.value));
}

/** Checks whether a lexer token is one of these operators. */
export function isOperator(token: LexerToken | undefined, ...values: readonly string[]): boolean {
  return token?.kind === "operator" && values.includes(token.value);
}

/** Checks whether a lexer token can be a name. SQLite accepts 'strings' as names in several places, so rules about names cover them. */
export function isName(token: LexerToken | undefined): token is LexerToken {
  return token?.kind === "word" || token?.kind === "quoted" || token?.kind === "string";
}

/** Checks whether `*` means columns, as in `SELECT *`, `, *` and `t.*`, but not in `count(*)` and `a * b`. */
export function isColumnStar(tokens: readonly LexerToken[], index: number): boolean {
  const before = tokens[index - 1];
  return (
    isOperator(tokens[index], "*") && (isOperator(before, ",", ".") || isWord(before, "select", "distinct", "all"))
  );
}

/** Words after which a name is no alias. */
const BEFORE_VALUE = "then else when and or not in is like glob between collate as from escape match regexp case".split(
  " ",
);

/** Drops the alias of an item of a select list, with AS or without. */
export function dropAlias(tokens: readonly LexerToken[], { start, end }: TokenRange): TokenRange {
  if (end - start >= 3 && isWord(tokens[end - 2], "as")) return { start, end: end - 2 };
  if (end - start < 2 || !isName(tokens[end - 1]) || isWord(tokens[end - 1], "end")) return { start, end };
  const before = tokens[end - 2];
  const isAlias =
    isOperator(before, ")") || (before !== undefined && before.kind !== "operator" && !isWord(before, ...BEFORE_VALUE));
  return isAlias ? { start, end: end - 1 } : { start, end };
}

/** Words that begin a query. */
export const QUERY_WORDS = ["select", "with", "values"];
/** Words that combine two queries to one. */
export const SET_OPERATORS = ["union", "except", "intersect"];
/** Words that begin a clause after FROM. */
export const CLAUSES_AFTER_FROM = ["where", "group", "having", "window", "order", "limit"];

const CLAUSES = [...CLAUSES_AFTER_FROM, ...SET_OPERATORS];

/** Finds the first SELECT outside all parentheses; undefined if there is none, as in `VALUES (1)`. */
export function findOutermostSelect(tokens: readonly LexerToken[]): OutermostSelect | undefined {
  const topLevelIndexes = findTopLevelIndexes(tokens);
  const start = topLevelIndexes.find((index) => isWord(tokens[index], "select"));
  if (start === undefined) return undefined;
  const laterIndexes = topLevelIndexes.filter((index) => index > start);
  const end = laterIndexes.find((index) => isClause(tokens, index, "from", ...CLAUSES)) ?? tokens.length;
  const commas = laterIndexes.filter((index) => index < end && isOperator(tokens[index], ","));
  const starts = [start + 1, ...commas.map((index) => index + 1)];
  const ends = [...commas, end];
  return {
    list: { start: start + 1, end },
    items: starts.map((from, index) => ({ start: from, end: ends[index] ?? end })),
    groupAndOrderKeys: listGroupAndOrderKeys(tokens, laterIndexes),
  };
}

/** `IS DISTINCT FROM` contains the word FROM, but begins no clause. */
function isClause(tokens: readonly LexerToken[], index: number, ...words: readonly string[]): boolean {
  return isWord(tokens[index], ...words) && !isWord(tokens[index - 1], "distinct");
}

function listGroupAndOrderKeys(tokens: readonly LexerToken[], laterIndexes: readonly number[]): readonly TokenRange[] {
  const clauses = laterIndexes.filter((index) => isClause(tokens, index, "from", ...CLAUSES));
  if (clauses.some((index) => isWord(tokens[index], "having", "window"))) return [];
  return clauses.flatMap((start, at) =>
    isWord(tokens[start], "group", "order") ? [{ start, end: clauses[at + 1] ?? tokens.length }] : [],
  );
}

/** Finds the indexes of the lexer tokens outside all parentheses. */
function findTopLevelIndexes(tokens: readonly LexerToken[]): readonly number[] {
  const { findAround } = pairParentheses(tokens);
  return [...tokens.keys()].filter((index) => findAround(index) === -1);
}

/** Finds the subqueries in a range, without their parentheses. A nested subquery is part of the outer one. */
export function findSubqueries(tokens: readonly LexerToken[], { start, end }: TokenRange): readonly TokenRange[] {
  const { findClosing } = pairParentheses(tokens);
  const subqueries: TokenRange[] = [];
  for (let index = start; index < end; index += 1) {
    if (!isOperator(tokens[index], "(") || !isWord(tokens[index + 1], ...QUERY_WORDS)) continue;
    const close = findClosing(index);
    subqueries.push({ start: index + 1, end: close });
    index = close;
  }
  return subqueries;
}

/**
 * Finds subqueries that are values, such as `(SELECT max(x) FROM t)`, `EXISTS (…)` and `IN (SELECT …)`. SQLite runs them when a row
 * first reaches them, whereas CTEs and subqueries in FROM run with the query around them. `IN name` reads a table in the same way and is
 * returned as the range of the name.
 */
export function findExpressionSubqueries(tokens: readonly LexerToken[]): readonly TokenRange[] {
  const { findClosing } = pairParentheses(tokens);
  const subqueries: TokenRange[] = [];
  // For each open parenthesis, whether it is currently in a FROM clause.
  const inFrom: boolean[] = [false];
  tokens.forEach((token, index) => {
    const before = tokens[index - 1];
    const depth = inFrom.length - 1;
    if (isOperator(token, "(")) {
      const isSource = inFrom[depth] === true && (isWord(before, "from", "join") || isOperator(before, ",", "("));
      const isQuery = isWord(tokens[index + 1], ...QUERY_WORDS);
      if (isQuery && !isSource && !isWord(before, "as", "materialized"))
        subqueries.push({ start: index + 1, end: findClosing(index) });
      inFrom.push(isSource && !isQuery);
    }
    if (isOperator(token, ")") && depth > 0) inFrom.pop();
    if (isWord(token, "in") && isName(tokens[index + 1])) subqueries.push({ start: index + 1, end: index + 2 });
    if (isClause(tokens, index, "from") || isWord(token, "join")) inFrom[depth] = true;
    if (isWord(token, "on", "using", "select", ...CLAUSES)) inFrom[depth] = false;
  });
  return subqueries;
}
