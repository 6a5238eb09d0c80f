// How large a statement becomes when SQLite puts the text of each WITH query in place of its name, which it does before anything
// bounds it: 14 queries that each name the one before twice come to 16,384 copies. Counted over tokens, and never too low.
import { isName, isOperator, isWord } from "./clauses.ts";
import { foldName } from "./identifier.ts";
import { tokenize } from "./tokenizer.ts";
import type { Token } from "./tokenizer.ts";

/** SELECTs that a statement may come to. SQLite joins 64 tables at most, each behind two SELECTs of its guard view. */
export const MAX_EXPANDED_SELECTS = 500;

/** A query: the statement, or what stands behind a WITH name. */
interface Query {
  readonly name: string;
  /** SELECTs in its own text. */
  selects: number;
  readonly references: Reference[];
  /** What it comes to, once known. */
  total: number | undefined;
}

/** A name where a table's may stand, and the WITH clauses that it may be from. */
interface Reference {
  readonly name: string;
  readonly scope: Scope | undefined;
}

interface Scope {
  readonly outer: Scope | undefined;
  readonly queries: Map<string, Query>;
}

/** An open parenthesis, or the statement around all. */
interface Group {
  readonly query: Query;
  readonly scope: Scope | undefined;
  /** Whether it holds the query of a WITH name, so that another may follow it. */
  readonly isBody: boolean;
}

/**
 * The SELECTs that the text comes to. `selectsOf` gives those behind a name that no WITH clause of the text has. A query that
 * names itself is counted once: SQLite then runs it in a loop, or refuses it.
 */
export function countExpandedSelects(text: string, selectsOf: (name: string) => number): number {
  const statement = readQueries(text);
  const visiting = new Set<Query>();
  const total = (query: Query): number => {
    if (query.total !== undefined) return query.total;
    if (visiting.has(query)) return 1;
    visiting.add(query);
    let sum = query.selects;
    for (const { name, scope } of query.references) {
      const named = resolve(name, scope);
      sum += named === undefined ? selectsOf(name) : total(named);
    }
    visiting.delete(query);
    query.total = sum;
    return sum;
  };
  return total(statement);
}

function resolve(name: string, scope: Scope | undefined): Query | undefined {
  for (let at = scope; at !== undefined; at = at.outer) {
    const query = at.queries.get(name);
    if (query !== undefined) return query;
  }
  return undefined;
}

function readQueries(text: string): Query {
  const tokens = tokenize(text).filter(({ kind }) => kind !== "space" && kind !== "comment");
  const statement = newQuery("");
  const groups: Group[] = [{ query: statement, scope: undefined, isBody: false }];
  let group: Group = { query: statement, scope: undefined, isBody: false };
  let at = 0;

  const replace = (next: Group): void => {
    groups[groups.length - 1] = next;
    group = next;
  };
  /** Goes behind `name (columns) AS MATERIALIZED (`, into the query. Stays where it is when that does not stand there. */
  const enterDefinition = (start: number): boolean => {
    const definition = readDefinition(tokens, start);
    if (definition === undefined) return false;
    const query = newQuery(definition.name);
    group.scope?.queries.set(definition.name, query);
    group = { query, scope: group.scope, isBody: true };
    groups.push(group);
    at = definition.bodyStart;
    return true;
  };

  while (at < tokens.length) {
    const token = tokens[at];
    const before = tokens[at - 1];
    if (isWord(token, "with") && (before === undefined || isOperator(before, "("))) {
      const scope = { outer: group.scope, queries: new Map<string, Query>() };
      const previous = group;
      replace({ ...group, scope });
      // RECURSIVE there is never a name.
      if (enterDefinition(isWord(tokens[at + 1], "recursive") ? at + 2 : at + 1)) continue;
      replace(previous);
    } else if (isOperator(token, "(")) {
      group = { ...group, isBody: false };
      groups.push(group);
    } else if (isOperator(token, ")")) {
      const { isBody } = group;
      groups.pop();
      group = groups.at(-1) ?? group;
      if (isBody && isOperator(tokens[at + 1], ",") && enterDefinition(at + 2)) continue;
    } else if (isWord(token, "select", "values")) {
      group.query.selects += 1;
    } else if (token !== undefined && mayNameTable(before, token, tokens[at + 1])) {
      group.query.references.push({ name: foldName(token.value), scope: group.scope });
    }
    at += 1;
  }
  return statement;
}

function newQuery(name: string): Query {
  return { name, selects: 0, references: [], total: undefined };
}

/** The name at this place, when a query is defined there, and where that query's text begins. */
function readDefinition(
  tokens: readonly Token[],
  start: number,
): { readonly name: string; readonly bodyStart: number } | undefined {
  const name = tokens[start];
  if (!isName(name)) return undefined;
  let at = start + 1;
  if (isOperator(tokens[at], "(")) {
    while (at < tokens.length && !isOperator(tokens[at], ")")) at += 1;
    at += 1;
  }
  if (!isWord(tokens[at], "as")) return undefined;
  at += 1;
  if (isWord(tokens[at], "not")) at += 1;
  if (isWord(tokens[at], "materialized")) at += 1;
  return isOperator(tokens[at], "(") ? { name: foldName(name.value), bodyStart: at + 1 } : undefined;
}

/**
 * Whether a table's name can stand there: behind FROM, JOIN, IN, a comma or a parenthesis, and not before its column or its
 * arguments. Columns and values that stand there too are counted when something has their name.
 */
function mayNameTable(before: Token | undefined, token: Token, after: Token | undefined): boolean {
  if (!isName(token) || isOperator(after, ".") || isOperator(after, "(")) return false;
  return isOperator(before, ",", "(") || isWord(before, "from", "join", "in");
}
