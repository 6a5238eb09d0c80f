// Error oracles: an expression that fails on one chosen value tells whether a row that a row rule hides has it, because SQLite may
// evaluate a user's condition before the rule, on the entry of an index. Before a query runs, this decides whether anything in it could
// fail on a row that its guard views do not show. If so, such views are fenced, and only visible rows reach what may fail.
import { isName, isOperator, isWord, outermostSelect, subqueriesIn, valueSubqueriesIn } from "./clauses.ts";
import type { TokenRange } from "./clauses.ts";
import { createConstants } from "./constants.ts";
import { ALLOWED_FUNCTIONS, ALLOWED_TABLE_FUNCTIONS, FALLIBLE_AGGREGATES, TOTAL_FUNCTIONS } from "./functions.ts";
import { foldName } from "./identifier.ts";
import type { SqlValue } from "./parameters.ts";
import type { Statement } from "./statement.ts";
import type { Token } from "./tokenizer.ts";

/** Of a format that cannot make a text too long: no directive of strftime gives more than some twenty characters. */
const MAX_FORMAT_BYTES = 20_000;

/** Hidden columns of table-valued functions: their arguments by name. */
const ARGUMENT_COLUMNS = new Set(["json", "root"]);

/**
 * Whether something could fail on a row before the row rule has been applied to it. The outermost select list is computed last, so
 * what stands in it may fail: that is about rows that are shown. `fragile`: folded names of columns whose reading can fail by itself.
 */
export function canFailOnRow(
  { tokens }: Pick<Statement, "tokens">,
  values: readonly SqlValue[],
  fragile: ReadonlySet<string>,
): boolean {
  // SQLite may leave the rule on the left side of such a join for later, and compute what stands on the right before it.
  if (tokens.some((token) => isWord(token, "right", "full"))) return true;
  const failures = createFailures(tokens, values, fragile);
  if (failures.inLazySubquery()) return true;
  const isExempt = exemptTokens(tokens, (index) => failures.at(index));
  return tokens.some((_token, index) => !isExempt(index) && failures.at(index));
}

/**
 * The tokens of the outermost select list, outside of subqueries. An alias gives an expression to the clauses that name it, and WHERE
 * and HAVING are evaluated before the rule.
 */
export function exemptTokens(
  tokens: readonly Token[],
  failsAt: (index: number) => boolean,
): (index: number) => boolean {
  const outermost = outermostSelect(tokens);
  if (outermost === undefined) return () => false;
  const { list, items, keys } = outermost;
  const nested = subqueriesIn(tokens, list);
  const isIn = (index: number, ranges: readonly TokenRange[]): boolean =>
    ranges.some(({ start, end }) => index >= start && index < end);
  const fails = ({ start, end }: TokenRange): boolean =>
    Array.from({ length: end - start }, (_value, offset) => start + offset).some(failsAt);
  const aliases = new Set(items.filter(fails).flatMap((item) => aliasOf(tokens, item) ?? []));
  const isNamed = tokens.some(
    (token, index) => isName(token) && aliases.has(foldName(token.value)) && !isIn(index, [list, ...keys]),
  );
  return isNamed ? () => false : (index) => isIn(index, [list]) && !isIn(index, nested);
}

/** The folded name at the end of an item, with AS or without. */
function aliasOf(tokens: readonly Token[], { start, end }: TokenRange): string | undefined {
  const last = tokens[end - 1];
  const before = tokens[end - 2];
  const followsOperator = before?.kind === "operator" && before.value !== ")";
  return end - start > 1 && isName(last) && !followsOperator ? foldName(last.value) : undefined;
}

interface Failures {
  /** Whether what begins at this token can fail. */
  at(index: number): boolean;
  /** Whether a subquery that runs only once a row reaches it can fail in a way that no single token shows. */
  inLazySubquery(): boolean;
}

function createFailures(tokens: readonly Token[], values: readonly SqlValue[], fragile: ReadonlySet<string>): Failures {
  const constants = createConstants(tokens, values);
  const lazy = valueSubqueriesIn(tokens);
  const hasTableFunction = tokens.some((token) => isName(token) && ALLOWED_TABLE_FUNCTIONS.has(foldName(token.value)));

  const callFails = (name: string, open: number): boolean => {
    // An aggregate sees only rows that passed the conditions beside it; in a subquery, a hidden row around it decides whether it runs.
    if (FALLIBLE_AGGREGATES.has(name)) return lazy.length > 0;
    if (name === "json_valid") return !constants.isOneArgument(open);
    if (name === "strftime") return !(constants.bytesAt(open + 1, [",", ")"]) <= MAX_FORMAT_BYTES);
    if (ALLOWED_TABLE_FUNCTIONS.has(name)) return !(isOperator(tokens[open + 2], ")") && constants.isJson(open + 1));
    return ALLOWED_FUNCTIONS.has(name) && !TOTAL_FUNCTIONS.has(name);
  };

  const at = (index: number): boolean => {
    const token = tokens[index];
    if (token === undefined) return false;
    if (isOperator(token, "->", "->>")) return true;
    if (isOperator(token, "||")) return !(constants.isAt(index - 1) && constants.isAt(index + 1));
    if (fragile.size > 0 && (isWord(token, "natural") || isStar(tokens, index))) return true;
    if (!isName(token)) return false;
    const name = foldName(token.value);
    // A condition on a hidden column of json_each becomes its argument.
    if (fragile.has(name) || (hasTableFunction && ARGUMENT_COLUMNS.has(name))) return true;
    if (isOperator(tokens[index + 1], "(")) {
      if (callFails(name, index + 1)) return true;
    }
    if (isWord(token, "like", "glob", "regexp", "match")) return !constants.isShortPattern(index + 1);
    if (isWord(token, "escape")) return !constants.isOneCharacter(index + 1);
    if (isWord(token, "limit", "offset")) return !constants.areWholeNumbers(index + 1);
    if (isWord(token, "preceding", "following")) return !constants.isFrameBound(index - 1);
    return false;
  };
  return {
    at,
    inLazySubquery() {
      const ctes = cteNames(tokens);
      return lazy.some((range) => mayStoreWideRow(tokens, range, ctes) || isRowValueList(tokens, range));
    },
  };
}

/** Whether it is `IN (SELECT …)` of more than one column, whose rows are stored. */
function isRowValueList(tokens: readonly Token[], { start, end }: TokenRange): boolean {
  if (!isWord(tokens[start - 2], "in")) return false;
  const inner = tokens.slice(start, end);
  const items = outermostSelect(inner)?.items ?? [];
  return (
    items.length !== 1 ||
    items.some((item) => inner.some((_token, at) => at >= item.start && at < item.end && isStar(inner, at)))
  );
}

/**
 * Whether a subquery stores rows of several values, which together may be larger than SQLite takes: to sort them, to tell them apart,
 * or as another query inside it. A name that a WITH gives may stand for such a query.
 */
function mayStoreWideRow(tokens: readonly Token[], range: TokenRange, ctes: ReadonlySet<string>): boolean {
  return tokens.slice(range.start, range.end).some((token, offset) => {
    const index = range.start + offset;
    if (isWord(token, "distinct", "order", "group", "union", "intersect", "except", "over")) return true;
    if (isOperator(token, "(") && offset > 0 && isWord(tokens[index + 1], "select", "with", "values")) return true;
    return isName(token) && ctes.has(foldName(token.value));
  });
}

/** The folded names that WITH clauses give. */
function cteNames(tokens: readonly Token[]): ReadonlySet<string> {
  return new Set(
    tokens.flatMap((token, index) =>
      isName(token) && isOperator(bodyOf(tokens, index), "(") ? [foldName(token.value)] : [],
    ),
  );
}

/** What follows `name AS`, `name(columns) AS` or `name AS MATERIALIZED`, if it is a CTE's. */
function bodyOf(tokens: readonly Token[], name: number): Token | undefined {
  let at = name + 1;
  if (isOperator(tokens[at], "(")) {
    while (at < tokens.length && !isOperator(tokens[at], ")")) at += 1;
    at += 1;
  }
  if (!isWord(tokens[at], "as")) return undefined;
  at += 1;
  while (isWord(tokens[at], "not", "materialized")) at += 1;
  return tokens[at];
}

/** `*` as columns, not as a product or in `count(*)`. */
function isStar(tokens: readonly Token[], index: number): boolean {
  if (!isOperator(tokens[index], "*")) return false;
  return isOperator(tokens[index - 1], ",", ".") || isWord(tokens[index - 1], "select", "distinct", "all");
}
