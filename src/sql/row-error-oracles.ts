// Error oracles: an expression that fails on one chosen value reveals whether a hidden row has that value, because SQLite may evaluate a
// user's condition before the row rule, on an index entry. Before a query runs, this file decides whether anything in it could fail on a
// row that its guard views hide. If so, those views are fenced, and only visible rows reach the expression.
import {
  QUERY_WORDS,
  SET_OPERATORS,
  isColumnStar,
  isName,
  isOperator,
  isWord,
  findOutermostSelect,
  findSubqueries,
  findExpressionSubqueries,
} from "./clauses.ts";
import type { TokenRange } from "./clauses.ts";
import { createConstantReader } from "./constant-values.ts";
import { ALLOWED_FUNCTIONS, ALLOWED_TABLE_FUNCTIONS, FALLIBLE_AGGREGATES, TOTAL_FUNCTIONS } from "./functions.ts";
import { foldName } from "./identifier.ts";
import type { SqlValue } from "./parameters.ts";
import { pairParentheses } from "./parentheses.ts";
import { createShortTextReader } from "./short-texts.ts";
import type { Parentheses } from "./parentheses.ts";
import type { Statement } from "./statement.ts";
import type { LexerToken } from "./lexer.ts";

/** A strftime format of this size cannot produce text that is too long: no directive gives more than about twenty characters. */
const MAX_FORMAT_BYTES = 20_000;

/** Hidden columns of table-valued functions, which are their arguments by name. */
const ARGUMENT_COLUMNS = new Set(["json", "root"]);

/**
 * Decides whether something could fail on a row before the row rule has been applied to it. The outermost select list is exempt: SQLite
 * computes it last, on visible rows only. `fallibleColumns`: folded names of columns whose reading can fail by itself. `isColumn`: see
 * `createShortTextReader`.
 */
export function canFailOnRow(
  { tokens }: Pick<Statement, "tokens">,
  values: readonly SqlValue[],
  fallibleColumns: ReadonlySet<string>,
  isColumn: (name: string) => boolean = () => true,
): boolean {
  // For such a join, SQLite may apply the rule of the left side later, and compute the right side before it.
  if (tokens.some((token) => isWord(token, "right", "full"))) return true;
  const detector = createFailureDetector(tokens, values, fallibleColumns, isColumn);
  if (detector.canFailInSubquery()) return true;
  const isExempt = findExemptTokens(tokens, (index) => detector.canFailAt(index));
  return tokens.some((_token, index) => !isExempt(index) && detector.canFailAt(index));
}

/**
 * Finds the lexer tokens of the outermost select list, outside subqueries; none if another clause uses the alias of an expression that can
 * fail, because SQLite evaluates WHERE and HAVING before the rule. Returns whether the token at an index is exempt.
 */
export function findExemptTokens(
  tokens: readonly LexerToken[],
  canFailAt: (index: number) => boolean,
): (index: number) => boolean {
  const outermost = findOutermostSelect(tokens);
  if (outermost === undefined) return () => false;
  const { list, items, groupAndOrderKeys } = outermost;
  const subqueries = findSubqueries(tokens, list);
  const isIn = (index: number, ranges: readonly TokenRange[]): boolean =>
    ranges.some(({ start, end }) => index >= start && index < end);
  const canRangeFail = ({ start, end }: TokenRange): boolean =>
    Array.from({ length: end - start }, (_value, offset) => start + offset).some(canFailAt);
  const aliases = new Set(items.filter(canRangeFail).flatMap((item) => readAlias(tokens, item) ?? []));
  const isAliasUsed = tokens.some(
    (token, index) => isName(token) && aliases.has(foldName(token.value)) && !isIn(index, [list, ...groupAndOrderKeys]),
  );
  return isAliasUsed ? () => false : (index) => isIn(index, [list]) && !isIn(index, subqueries);
}

/** Reads the folded alias at the end of an item of the select list, with or without AS. */
function readAlias(tokens: readonly LexerToken[], { start, end }: TokenRange): string | undefined {
  const last = tokens[end - 1];
  const before = tokens[end - 2];
  const followsOperator = before?.kind === "operator" && before.value !== ")";
  return end - start > 1 && isName(last) && !followsOperator ? foldName(last.value) : undefined;
}

interface FailureDetector {
  /** Whether the expression or clause that begins at this index can fail. */
  canFailAt(index: number): boolean;
  /** Whether a subquery that runs only when a row reaches it can fail in a way that no single lexer token shows. */
  canFailInSubquery(): boolean;
}

function createFailureDetector(
  tokens: readonly LexerToken[],
  values: readonly SqlValue[],
  fallibleColumns: ReadonlySet<string>,
  isColumn: (name: string) => boolean,
): FailureDetector {
  const constants = createConstantReader(tokens, values);
  const shortTexts = createShortTextReader(tokens, constants, isColumn);
  const expressionSubqueries = findExpressionSubqueries(tokens);
  const hasTableFunction = tokens.some((token) => isName(token) && ALLOWED_TABLE_FUNCTIONS.has(foldName(token.value)));

  const canCallFail = (name: string, open: number): boolean => {
    // An aggregate sees only rows that passed the conditions beside it. In a subquery, though, a hidden outer row decides whether it runs.
    if (FALLIBLE_AGGREGATES.has(name)) return expressionSubqueries.length > 0;
    if (name === "json_valid") return !constants.hasOneArgument(open);
    if (name === "strftime") return !(constants.countBytes(open + 1, [",", ")"]) <= MAX_FORMAT_BYTES);
    if (ALLOWED_TABLE_FUNCTIONS.has(name))
      return !(isOperator(tokens[open + 2], ")") && constants.isJsonConstant(open + 1));
    return ALLOWED_FUNCTIONS.has(name) && !TOTAL_FUNCTIONS.has(name);
  };

  const canFailAt = (index: number): boolean => {
    const token = tokens[index];
    if (token === undefined) return false;
    if (isOperator(token, "->", "->>")) return true;
    if (isOperator(token, "||"))
      return (
        !(constants.isConstant(index - 1) && constants.isConstant(index + 1)) && !shortTexts.joinsShortTexts(index)
      );
    if (fallibleColumns.size > 0 && (isWord(token, "natural") || isColumnStar(tokens, index))) return true;
    if (!isName(token)) return false;
    const name = foldName(token.value);
    // json_each takes a condition on its hidden column as an argument.
    if (fallibleColumns.has(name) || (hasTableFunction && ARGUMENT_COLUMNS.has(name))) return true;
    if (isOperator(tokens[index + 1], "(")) {
      if (canCallFail(name, index + 1)) return true;
    }
    if (isWord(token, "like", "glob", "regexp", "match")) return !constants.isShortPattern(index + 1);
    if (isWord(token, "escape")) return !constants.isOneCharacter(index + 1);
    if (isWord(token, "limit", "offset")) return !constants.areWholeNumbers(index + 1);
    if (isWord(token, "preceding", "following")) return !constants.isFrameBound(index - 1);
    return false;
  };
  return {
    canFailAt,
    canFailInSubquery() {
      const cteNames = listCteNames(tokens);
      return expressionSubqueries.some(
        (range) => mayStoreWideRow(tokens, range, cteNames) || isRowValueList(tokens, range),
      );
    },
  };
}

/** Whether a subquery is `IN (SELECT …)` with more than one column, of which SQLite stores the rows. */
function isRowValueList(tokens: readonly LexerToken[], { start, end }: TokenRange): boolean {
  if (!isWord(tokens[start - 2], "in")) return false;
  const inner = tokens.slice(start, end);
  const items = findOutermostSelect(inner)?.items ?? [];
  return (
    items.length !== 1 ||
    items.some((item) => inner.some((_token, at) => at >= item.start && at < item.end && isColumnStar(inner, at)))
  );
}

/**
 * Whether a subquery stores rows of several values, which together may exceed SQLite's maximum size: to sort or compare them, or in a
 * query inside it. The name of a WITH query may stand for such a query.
 */
function mayStoreWideRow(tokens: readonly LexerToken[], range: TokenRange, cteNames: ReadonlySet<string>): boolean {
  return tokens.slice(range.start, range.end).some((token, offset) => {
    const index = range.start + offset;
    if (isWord(token, "distinct", "order", "group", "over", ...SET_OPERATORS)) return true;
    if (isOperator(token, "(") && offset > 0 && isWord(tokens[index + 1], ...QUERY_WORDS)) return true;
    return isName(token) && cteNames.has(foldName(token.value));
  });
}

/** Lists the folded names that WITH clauses define. */
function listCteNames(tokens: readonly LexerToken[]): ReadonlySet<string> {
  const parentheses = pairParentheses(tokens);
  return new Set(
    tokens.flatMap((token, index) =>
      isName(token) && isOperator(findCteBody(tokens, parentheses, index), "(") ? [foldName(token.value)] : [],
    ),
  );
}

/** Finds the lexer token after `name AS`, `name(columns) AS` or `name AS MATERIALIZED`, which is a parenthesis if a CTE has the name. */
function findCteBody(
  tokens: readonly LexerToken[],
  { findClosing }: Parentheses,
  name: number,
): LexerToken | undefined {
  let at = name + 1;
  if (isOperator(tokens[at], "(")) at = findClosing(at) + 1;
  if (!isWord(tokens[at], "as")) return undefined;
  at += 1;
  while (isWord(tokens[at], "not", "materialized")) at += 1;
  return tokens[at];
}
