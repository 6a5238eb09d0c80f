// Finds which columns a statement compares, sorts by or computes with, from its lexer tokens alone, so that an answer can say where masked
// values make a result inexact. In doubt, a column counts as used: a note too many costs a line, a note too few hides a wrong number.
import { SET_OPERATORS, findOutermostSelect, isColumnStar, isName, isOperator, isWord } from "./clauses.ts";
import type { TokenRange } from "./clauses.ts";
import { foldName } from "./identifier.ts";
import type { LexerToken } from "./lexer.ts";
import { pairParentheses } from "./parentheses.ts";
import type { Parentheses } from "./parentheses.ts";
import type { Statement } from "./statement.ts";

/**
 * Lists which of these columns the statement uses other than as a plain item of its outermost select list: in an expression or a clause,
 * by alias or ordinal, in a subquery or a WITH query, or where rows are compared with each other, as DISTINCT and UNION do.
 */
export function listComputedColumns(
  { tokens }: Pick<Statement, "tokens">,
  columns: readonly string[],
): readonly string[] {
  const select = isWord(tokens[0], "select") ? findOutermostSelect(tokens) : undefined;
  // NATURAL compares all columns that two tables share. A nested star is read by the query around it.
  const parentheses = pairParentheses(tokens);
  if (tokens.some((token) => isWord(token, "natural")) || hasNestedStar(tokens, parentheses)) return columns;
  const comparesRows = tokens.some((token) => isWord(token, ...SET_OPERATORS));
  const items = select?.items.map((range) => parseItem(tokens, range)) ?? [];
  if (select === undefined || comparesRows || isWord(tokens[select.list.start], "distinct"))
    return tokens.some((_token, index) => isColumnStar(tokens, index)) ? columns : listMentioned(tokens, columns, []);
  const ordinals = new Set(listOrdinals(tokens, parentheses, select.list.end));
  const hasStar = items.some(({ kind }) => kind === "star");
  if (hasStar && ordinals.size > 0) return columns;
  const plainItems = items.filter((item) => item.kind === "column");
  const plainTokens = plainItems.flatMap(({ start, end }) =>
    Array.from({ length: end - start }, (_value, at) => start + at),
  );
  const mentioned = listMentioned(tokens, [...columns, ...plainItems.flatMap(({ alias }) => alias ?? [])], plainTokens);
  const used = new Set(mentioned.map(foldName));
  for (const item of plainItems) if (item.alias !== undefined && used.has(item.alias)) used.add(item.column);
  for (const [index, item] of items.entries())
    if (item.kind === "column" && (ordinals.has("any") || ordinals.has(index + 1))) used.add(item.column);
  return columns.filter((column) => used.has(foldName(column)));
}

/** An item of the select list. `column` and `alias` are folded names. */
type SelectItem =
  | { readonly kind: "star" | "expression" }
  | (TokenRange & { readonly kind: "column"; readonly column: string; readonly alias: string | undefined });

/** Parses `column`, `table.column`, each with an alias or without, `*` and `table.*`; everything else is an expression. */
function parseItem(tokens: readonly LexerToken[], range: TokenRange): SelectItem {
  const start = isWord(tokens[range.start], "all") ? range.start + 1 : range.start;
  const column = isName(tokens[start]) && isOperator(tokens[start + 1], ".") ? start + 2 : start;
  if (isColumnStar(tokens, column) && column + 1 === range.end) return { kind: "star" };
  const name = tokens[column];
  const alias = isWord(tokens[column + 1], "as") ? column + 2 : column + 1;
  const aliasToken = alias < range.end ? tokens[alias] : undefined;
  const isComplete = alias + 1 === range.end ? isName(aliasToken) : column + 1 === range.end;
  if (!isName(name) || !isComplete) return { kind: "expression" };
  return {
    kind: "column",
    start: range.start,
    end: range.end,
    column: foldName(name.value),
    alias: aliasToken === undefined ? undefined : foldName(aliasToken.value),
  };
}

/** Lists the names that occur at another place than these tokens. A 'string' is a name only after a dot and in USING. */
function listMentioned(
  tokens: readonly LexerToken[],
  names: readonly string[],
  exceptTokens: readonly number[],
): readonly string[] {
  const except = new Set(exceptTokens);
  const stringsAreNames = tokens.some((token) => isWord(token, "using"));
  const mentioned = new Set(
    tokens.flatMap((token, index) => {
      const isColumn =
        isName(token) && (token.kind !== "string" || stringsAreNames || isOperator(tokens[index - 1], "."));
      return isColumn && !except.has(index) ? [foldName(token.value)] : [];
    }),
  );
  return names.filter((name) => mentioned.has(foldName(name)));
}

function hasNestedStar(tokens: readonly LexerToken[], { findAround }: Parentheses): boolean {
  return tokens.some((_token, index) => isColumnStar(tokens, index) && findAround(index) !== -1);
}

/** The number of an item of the select list; `any` where only SQLite knows which one. */
type Ordinal = number | "any";

/**
 * Lists the terms of GROUP BY and ORDER BY that may stand for items of the select list. To SQLite `+2`, `-(-2)` and `2 COLLATE NOCASE`
 * are the second item, and `1 + 1` is a constant; here, every term of numbers without a name counts as an ordinal.
 */
function listOrdinals(tokens: readonly LexerToken[], parentheses: Parentheses, from: number): readonly Ordinal[] {
  return listKeyTerms(tokens, parentheses, from).flatMap((term): readonly Ordinal[] => {
    const numbers = term.filter(({ kind }) => kind === "number").map(({ value }) => Number(value.replaceAll("_", "")));
    const hasName = term.some((token, at) => isName(token) && !isTermWord(token) && !isWord(term[at - 1], "collate"));
    if (hasName || numbers.length === 0) return [];
    return [numbers.length === 1 && numbers[0] !== undefined ? numbers[0] : "any"];
  });
}

/** Splits the GROUP BY and ORDER BY of the outermost SELECT into their terms. */
function listKeyTerms(
  tokens: readonly LexerToken[],
  { findAround }: Parentheses,
  from: number,
): readonly (readonly LexerToken[])[] {
  const terms: LexerToken[][] = [];
  let isKeyClause = false;
  for (const [index, token] of tokens.entries()) {
    if (index < from) continue;
    const isOuter = findAround(index) === -1;
    if (isOuter && isWord(token, "group", "order")) isKeyClause = true;
    if (isOuter && isWord(token, "having", "limit")) isKeyClause = false;
    // A column can be called window. A term that ends too early counts as an ordinal too often, never too rarely.
    const isBorder = isOuter && (isOperator(token, ",") || isWord(token, "by", "window"));
    if (isBorder) terms.push([]);
    else if (isKeyClause) terms.at(-1)?.push(token);
  }
  return terms;
}

/** Words of a term that are no names. */
function isTermWord(token: LexerToken): boolean {
  return isWord(token, "collate", "asc", "desc", "nulls", "first", "last");
}
