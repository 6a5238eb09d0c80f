// Counts how many SELECTs a statement becomes when SQLite replaces each WITH name by its query, which it does before any limit applies: 14
// queries that each name the one before twice become 16,384 copies. The count reads lexer tokens and is never too low.
import { isName, isOperator, isWord } from "./clauses.ts";
import { foldName } from "./identifier.ts";
import { tokenize } from "./lexer.ts";
import type { LexerToken } from "./lexer.ts";

/** Maximum SELECTs of an expanded statement. SQLite joins at most 64 tables, each behind the two SELECTs of its guard view. */
export const MAX_EXPANDED_SELECTS = 500;

/** A query: the statement itself, or the query of a WITH name. */
interface QueryNode {
  readonly name: string;
  /** SELECTs in its own text. */
  selects: number;
  readonly references: Reference[];
  /** SELECTs after expansion, once they have been counted. */
  total: number | undefined;
}

/** A name in a place where a table name can be, and the WITH clauses that may define it. */
interface Reference {
  readonly name: string;
  readonly scope: Scope | undefined;
}

interface Scope {
  readonly outer: Scope | undefined;
  readonly queries: Map<string, QueryNode>;
}

/** An open parenthesis, or the whole statement. */
interface Parenthesis {
  readonly query: QueryNode;
  readonly scope: Scope | undefined;
  /** Whether it encloses the query of a WITH name, so that another definition may follow it. */
  readonly isBody: boolean;
}

/**
 * Counts the SELECTs of the expanded text. `countSelects` returns those of a name that no WITH clause of the text defines. A query
 * that names itself is counted once: SQLite runs it in a loop, or refuses it.
 */
export function countExpandedSelects(text: string, countSelects: (name: string) => number): number {
  const statement = readQueries(text);
  const visiting = new Set<QueryNode>();
  const countTotal = (query: QueryNode): number => {
    if (query.total !== undefined) return query.total;
    if (visiting.has(query)) return 1;
    visiting.add(query);
    let sum = query.selects;
    for (const { name, scope } of query.references) {
      const referenced = resolveReference(name, scope);
      sum += referenced === undefined ? countSelects(name) : countTotal(referenced);
    }
    visiting.delete(query);
    query.total = sum;
    return sum;
  };
  return countTotal(statement);
}

function resolveReference(name: string, scope: Scope | undefined): QueryNode | undefined {
  for (let at = scope; at !== undefined; at = at.outer) {
    const query = at.queries.get(name);
    if (query !== undefined) return query;
  }
  return undefined;
}

function readQueries(text: string): QueryNode {
  const tokens = tokenize(text).filter(({ kind }) => kind !== "space" && kind !== "comment");
  const statement = createQueryNode("");
  const parentheses: Parenthesis[] = [{ query: statement, scope: undefined, isBody: false }];
  let current: Parenthesis = { query: statement, scope: undefined, isBody: false };
  let at = 0;

  const replaceCurrent = (next: Parenthesis): void => {
    parentheses[parentheses.length - 1] = next;
    current = next;
  };
  /** Moves past `name (columns) AS MATERIALIZED (`, into the query. Returns false, without moving, if something else is there. */
  const enterDefinition = (start: number): boolean => {
    const definition = readDefinition(tokens, start);
    if (definition === undefined) return false;
    const query = createQueryNode(definition.name);
    current.scope?.queries.set(definition.name, query);
    current = { query, scope: current.scope, isBody: true };
    parentheses.push(current);
    at = definition.bodyStart;
    return true;
  };

  while (at < tokens.length) {
    const token = tokens[at];
    const before = tokens[at - 1];
    if (isWord(token, "with") && (before === undefined || isOperator(before, "("))) {
      const scope = { outer: current.scope, queries: new Map<string, QueryNode>() };
      const previous = current;
      replaceCurrent({ ...current, scope });
      // SQLite never reads RECURSIVE as a name here.
      if (enterDefinition(isWord(tokens[at + 1], "recursive") ? at + 2 : at + 1)) continue;
      replaceCurrent(previous);
    } else if (isOperator(token, "(")) {
      current = { ...current, isBody: false };
      parentheses.push(current);
    } else if (isOperator(token, ")")) {
      const { isBody } = current;
      parentheses.pop();
      current = parentheses.at(-1) ?? current;
      if (isBody && isOperator(tokens[at + 1], ",") && enterDefinition(at + 2)) continue;
    } else if (isWord(token, "select", "values")) {
      current.query.selects += 1;
    } else if (token !== undefined && mayNameTable(before, token, tokens[at + 1])) {
      current.query.references.push({ name: foldName(token.value), scope: current.scope });
    }
    at += 1;
  }
  return statement;
}

function createQueryNode(name: string): QueryNode {
  return { name, selects: 0, references: [], total: undefined };
}

/** Reads the WITH name that is defined at this index, and the index where its query begins; undefined if none is defined here. */
function readDefinition(
  tokens: readonly LexerToken[],
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
 * Whether a table name can be in this place: after FROM, JOIN, IN, a comma or a parenthesis, and not before a column or arguments.
 * Columns and values can be there too; they count if a query has their name.
 */
function mayNameTable(before: LexerToken | undefined, token: LexerToken, after: LexerToken | undefined): boolean {
  if (!isName(token) || isOperator(after, ".") || isOperator(after, "(")) return false;
  return isOperator(before, ",", "(") || isWord(before, "from", "join", "in");
}
