// The shape of a statement by its lexer tokens alone: where its outermost select list stands, and whether it has subqueries that run
// only when a row reaches them. Wherever the tokens leave a doubt, the answer is the one that assumes less.
import { foldName } from "./identifier.ts";
import type { Token } from "./tokenizer.ts";

/** A range of token indexes, the end exclusive. */
export interface TokenRange {
  readonly start: number;
  readonly end: number;
}

export interface OutermostSelect {
  /** The expressions of the outermost select list, one range each. */
  readonly items: readonly TokenRange[];
  readonly list: TokenRange;
  /** GROUP BY and ORDER BY of a query without HAVING and WINDOW: SQLite evaluates them once all conditions have passed. */
  readonly keys: readonly TokenRange[];
}

export function isWord(token: Token | undefined, ...words: readonly string[]): boolean {
  return token?.kind === "word" && words.includes(foldName(token.value));
}

export function isOperator(token: Token | undefined, ...values: readonly string[]): boolean {
  return token?.kind === "operator" && values.includes(token.value);
}

/** SQLite takes 'strings' as names in several places, so that every rule on names holds for them as well. */
export function isName(token: Token | undefined): token is Token {
  return token?.kind === "word" || token?.kind === "quoted" || token?.kind === "string";
}

const CLAUSES = ["where", "group", "having", "window", "order", "limit", "union", "except", "intersect"];
const QUERIES = ["select", "with", "values"];

/** Undefined when the statement does not end in a SELECT of its own. */
export function outermostSelect(tokens: readonly Token[]): OutermostSelect | undefined {
  const outer = indexesOfDepthZero(tokens);
  const start = outer.find((index) => isWord(tokens[index], "select"));
  if (start === undefined) return undefined;
  const behind = outer.filter((index) => index > start);
  const end = behind.find((index) => isClause(tokens, index, "from", ...CLAUSES)) ?? tokens.length;
  const commas = behind.filter((index) => index < end && isOperator(tokens[index], ","));
  const starts = [start + 1, ...commas.map((index) => index + 1)];
  const ends = [...commas, end];
  return {
    list: { start: start + 1, end },
    items: starts.map((from, index) => ({ start: from, end: ends[index] ?? end })),
    keys: keysOf(tokens, behind),
  };
}

/** `FROM` also stands in `IS DISTINCT FROM`. */
function isClause(tokens: readonly Token[], index: number, ...words: readonly string[]): boolean {
  return isWord(tokens[index], ...words) && !isWord(tokens[index - 1], "distinct");
}

function keysOf(tokens: readonly Token[], behind: readonly number[]): readonly TokenRange[] {
  const clauses = behind.filter((index) => isClause(tokens, index, "from", ...CLAUSES));
  if (clauses.some((index) => isWord(tokens[index], "having", "window"))) return [];
  return clauses.flatMap((start, at) =>
    isWord(tokens[start], "group", "order") ? [{ start, end: clauses[at + 1] ?? tokens.length }] : [],
  );
}

/** The indexes of tokens outside all parentheses. */
function indexesOfDepthZero(tokens: readonly Token[]): readonly number[] {
  const found: number[] = [];
  let depth = 0;
  tokens.forEach((token, index) => {
    if (isOperator(token, ")")) depth -= 1;
    if (depth === 0) found.push(index);
    if (isOperator(token, "(")) depth += 1;
  });
  return found;
}

/** The insides of parentheses that begin a query. */
export function subqueriesIn(tokens: readonly Token[], { start, end }: TokenRange): readonly TokenRange[] {
  const found: TokenRange[] = [];
  for (let index = start; index < end; index += 1) {
    if (!isOperator(tokens[index], "(") || !isWord(tokens[index + 1], ...QUERIES)) continue;
    const close = closingOf(tokens, index);
    found.push({ start: index + 1, end: close });
    index = close;
  }
  return found;
}

/** The index of the parenthesis that closes this one. */
export function closingOf(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let index = open; index < tokens.length; index += 1) {
    if (isOperator(tokens[index], "(")) depth += 1;
    if (isOperator(tokens[index], ")")) depth -= 1;
    if (depth === 0) return index;
  }
  return tokens.length;
}

/**
 * Subqueries that are values, such as `(SELECT max(x) FROM t)`, `EXISTS (…)` and `IN (SELECT …)`: SQLite runs them when a row first
 * reaches them, whereas CTEs and subqueries in FROM run with the query around them. `IN name` reads a table in the same way: it comes as
 * the range of the name.
 */
export function valueSubqueriesIn(tokens: readonly Token[]): readonly TokenRange[] {
  const found: TokenRange[] = [];
  // Whether the tokens of each open parenthesis stand in a FROM clause.
  const inFrom: boolean[] = [false];
  tokens.forEach((token, index) => {
    const before = tokens[index - 1];
    const here = inFrom.length - 1;
    if (isOperator(token, "(")) {
      const isSource = inFrom[here] === true && (isWord(before, "from", "join") || isOperator(before, ",", "("));
      const isQuery = isWord(tokens[index + 1], ...QUERIES);
      if (isQuery && !isSource && !isWord(before, "as", "materialized"))
        found.push({ start: index + 1, end: closingOf(tokens, index) });
      inFrom.push(isSource && !isQuery);
    }
    if (isOperator(token, ")") && here > 0) inFrom.pop();
    if (isWord(token, "in") && isName(tokens[index + 1])) found.push({ start: index + 1, end: index + 2 });
    if (isClause(tokens, index, "from") || isWord(token, "join")) inFrom[here] = true;
    if (isWord(token, "on", "using", "select", ...CLAUSES)) inFrom[here] = false;
  });
  return found;
}
