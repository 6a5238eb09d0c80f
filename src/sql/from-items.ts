// Reads the FROM clauses around a position of a statement from its lexer tokens, without a parser. A clause that the tokens do not show
// clearly has no items.
import { CLAUSES_AFTER_FROM, QUERY_WORDS, SET_OPERATORS, isName, isOperator, isWord } from "./clauses.ts";
import type { TokenRange } from "./clauses.ts";
import { foldName } from "./identifier.ts";
import type { LexerToken } from "./lexer.ts";
import type { Parentheses } from "./parentheses.ts";

/** What a FROM clause reads. */
export interface FromItem {
  readonly kind: "table" | "subquery" | "function";
  /** The folded name of a table or WITH query; empty for a subquery. */
  readonly table: string;
  /** The name by which the query qualifies its columns, as written; empty for a subquery without an alias. */
  readonly exposedName: string;
}

/** A user could nest thousands of subqueries, each of which is read. */
const MAX_LEVELS = 10;

/** Words that can follow a table in a FROM clause and are no alias. */
export const AFTER_TABLE: ReadonlySet<string> = new Set([
  ...CLAUSES_AFTER_FROM,
  ...SET_OPERATORS,
  ..."join left right full inner outer cross natural on using indexed not as".split(" "),
]);

/** Reads the FROM clauses of one statement. */
export interface FromReader {
  /** Lists the items of the FROM clause of each SELECT around a lexer token, from the innermost SELECT to the outermost. */
  listEnclosing(index: number): readonly (readonly FromItem[])[];
}

/** One SELECT of a query. A compound SELECT has several. */
interface SelectTerm {
  readonly start: number;
  readonly items: readonly FromItem[];
}

/** Creates a reader that reads each query once, however often it is asked. */
export function createFromReader(tokens: readonly LexerToken[], parentheses: Parentheses): FromReader {
  const termsByStart = new Map<number, readonly SelectTerm[]>();
  const readOnce = (query: TokenRange): readonly SelectTerm[] => {
    const terms = termsByStart.get(query.start) ?? readTerms(tokens, parentheses, query);
    termsByStart.set(query.start, terms);
    return terms;
  };
  return {
    listEnclosing: (index) =>
      listEnclosingQueries(tokens, parentheses, index).map(
        (query) => readOnce(query).findLast(({ start }) => start <= index)?.items ?? [],
      ),
  };
}

/** Lists the queries around a lexer token, the innermost first, at most `MAX_LEVELS`. */
function listEnclosingQueries(
  tokens: readonly LexerToken[],
  { findAround, findClosing }: Parentheses,
  index: number,
): readonly TokenRange[] {
  const queries: TokenRange[] = [];
  for (let open = findAround(index); queries.length < MAX_LEVELS; open = findAround(open)) {
    if (open === -1) return [...queries, { start: 0, end: tokens.length }];
    if (isWord(tokens[open + 1], ...QUERY_WORDS)) queries.push({ start: open + 1, end: findClosing(open) });
  }
  return queries;
}

/** Reads the SELECTs of a query. */
function readTerms(tokens: readonly LexerToken[], parentheses: Parentheses, query: TokenRange): readonly SelectTerm[] {
  const terms: number[][] = [[]];
  for (const index of listOuterIndexes(tokens, parentheses, query)) {
    if (isWord(tokens[index], ...SET_OPERATORS)) terms.push([]);
    terms.at(-1)?.push(index);
  }
  return terms.map((indexes) => ({
    start: indexes[0] ?? query.start,
    items: readItems(tokens, parentheses, selectFromClause(tokens, indexes)),
  }));
}

/** Lists the indexes in a range that are outside parentheses which begin in it. */
export function listOuterIndexes(
  tokens: readonly LexerToken[],
  { findClosing }: Parentheses,
  { start, end }: TokenRange,
): readonly number[] {
  const indexes: number[] = [];
  for (let index = start; index < end; index += 1) {
    indexes.push(index);
    if (isOperator(tokens[index], "(")) index = findClosing(index);
  }
  return indexes;
}

/** Selects what follows FROM. `IS DISTINCT FROM` contains the word, but begins no clause. */
function selectFromClause(tokens: readonly LexerToken[], indexes: readonly number[]): readonly number[] {
  const from = indexes.findIndex((at) => isWord(tokens[at], "from") && !isWord(tokens[at - 1], "distinct"));
  if (from === -1) return [];
  const rest = indexes.slice(from + 1);
  const end = rest.findIndex((at) => isWord(tokens[at], ...CLAUSES_AFTER_FROM));
  return end === -1 ? rest : rest.slice(0, end);
}

function readItems(
  tokens: readonly LexerToken[],
  parentheses: Parentheses,
  fromClause: readonly number[],
): readonly FromItem[] {
  const items: FromItem[] = [];
  let expectsItem = true;
  for (const index of fromClause) {
    const token = tokens[index];
    if (isOperator(token, ",") || isWord(token, "join")) expectsItem = true;
    else if (expectsItem) {
      const item = readItem(tokens, parentheses, index);
      if (item === undefined) return [];
      items.push(item);
      expectsItem = false;
    }
  }
  return items;
}

/** Reads an item; undefined for a join in parentheses. */
function readItem(tokens: readonly LexerToken[], { findClosing }: Parentheses, index: number): FromItem | undefined {
  const token = tokens[index];
  if (isOperator(token, "(")) {
    if (!isWord(tokens[index + 1], ...QUERY_WORDS)) return undefined;
    const alias = readAlias(tokens, findClosing(index) + 1);
    return { kind: "subquery", table: "", exposedName: alias ?? "" };
  }
  if (!isName(token)) return undefined;
  const isFunction = isOperator(tokens[index + 1], "(");
  const alias = readAlias(tokens, isFunction ? findClosing(index + 1) + 1 : index + 1);
  return {
    kind: isFunction ? "function" : "table",
    table: foldName(token.value),
    exposedName: alias ?? token.value,
  };
}

function readAlias(tokens: readonly LexerToken[], index: number): string | undefined {
  const token = isWord(tokens[index], "as") ? tokens[index + 1] : tokens[index];
  if (!isName(token) || (token.kind === "word" && AFTER_TABLE.has(foldName(token.value)))) return undefined;
  return token.value;
}
