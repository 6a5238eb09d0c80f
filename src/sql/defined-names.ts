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

/** A WITH query that reads itself, without its parentheses. */
export interface RecursiveQuery {
  /** Folded. */
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** Lists the WITH queries that read themselves. SQLite needs no word RECURSIVE for that. */
export function listRecursiveQueries(tokens: readonly LexerToken[]): readonly RecursiveQuery[] {
  const { findOpening, findClosing, findAround } = pairParentheses(tokens);
  const nameByBody = new Map<number, string>();
  tokens.forEach((token, index) => {
    if (!isWord(token, "as")) return;
    let open = index + 1;
    while (isWord(tokens[open], "not", "materialized")) open += 1;
    const name = tokens[(isOperator(tokens[index - 1], ")") ? findOpening(index - 1) : index) - 1];
    if (isOperator(tokens[open], "(") && isName(name)) nameByBody.set(open, foldName(name.value));
  });
  /** The bodies around the current token; undefined for other parentheses. */
  const enclosing: (number | undefined)[] = [];
  const bodiesByName = new Map<string, number[]>();
  const recursiveBodies = new Set<number>();
  tokens.forEach((token, index) => {
    if (isOperator(token, "(")) {
      const name = nameByBody.get(index);
      enclosing.push(name === undefined ? undefined : index);
      if (name !== undefined) bodiesByName.set(name, [...(bodiesByName.get(name) ?? []), index]);
    } else if (isOperator(token, ")")) {
      const body = enclosing.pop();
      if (body !== undefined) bodiesByName.get(nameByBody.get(body) ?? "")?.pop();
    }
    const body = isName(token) ? bodiesByName.get(foldName(token.value))?.at(-1) : undefined;
    if (body !== undefined) recursiveBodies.add(body);
  });
  /** Where the SELECT of a body begins that begins with WITH. The queries before it shadow outer ones of their names. */
  const selects = new Map<number, number>();
  tokens.forEach((token, index) => {
    const around = findAround(index);
    if (isWord(token, "select", "values") && !selects.has(around)) selects.set(around, index);
  });
  const shadowed = new Set(
    [...nameByBody].flatMap(([body, name]) => {
      const around = findAround(body);
      const isInside = isWord(tokens[around + 1], "with") && body < (selects.get(around) ?? 0);
      return isInside && nameByBody.get(around) === name ? [around] : [];
    }),
  );
  return [...recursiveBodies]
    .filter((body) => !shadowed.has(body))
    .map((body) => ({ name: nameByBody.get(body) ?? "", start: body + 1, end: findClosing(body) }));
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
