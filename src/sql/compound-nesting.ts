// Nests compound SELECTs of more than five terms, which D1 refuses, in subqueries of at most five. Only text is inserted, so parameters
// keep their order and positions in errors can be traced. All layers then check the nested statement as if the user had written it.
import { SET_OPERATORS, isWord } from "./clauses.ts";
import type { TokenRange } from "./clauses.ts";
import { listRecursiveQueries } from "./defined-names.ts";
import type { LexerToken } from "./lexer.ts";
import { pairParentheses } from "./parentheses.ts";
import { parseTrustedStatement } from "./statement.ts";
import type { Statement } from "./statement.ts";
import { applyEdits, composeEdits } from "./text-edits.ts";
import type { TextEdit } from "./text-edits.ts";

/** D1's limit on the SELECTs that one query combines (SQLITE_LIMIT_COMPOUND_SELECT). */
export const MAX_COMPOUND_TERMS = 5;

/** The terms of one compound SELECT, as ranges of lexer tokens. */
interface Compound {
  readonly terms: readonly TokenRange[];
  /** Whether UNION ALL combines all of its terms. It alone is associative and compares no values. */
  readonly isUnionAll: boolean;
  readonly isOrdered: boolean;
}

/**
 * Nests each compound SELECT that has too many terms. `mayCollate` says whether a text of the statement may be compared by another
 * collation than BINARY: SQLite then takes it from any term, but from the first one alone if the terms are in a subquery. A compound
 * whose result could change stays as it is, and so does a recursive query; SQLite refuses both. Where terms have columns of different
 * affinity, SQLite compares the compound's column with the affinity of any of them, in its own plans as in nested ones.
 */
export function nestCompounds(statement: Statement, mayCollate: () => boolean): Statement {
  const { tokens, text } = statement;
  const compounds = listLongCompounds(tokens);
  if (compounds.length === 0) return statement;
  const isExact = ({ isUnionAll, isOrdered }: Compound): boolean => (isUnionAll && !isOrdered) || !mayCollate();
  const groups = compounds
    .filter(isExact)
    .flatMap(({ terms, isUnionAll }) => (isUnionAll ? groupTail(terms) : groupHead(terms)));
  if (groups.length === 0) return statement;
  const edits = insertParentheses(tokens, groups);
  return { ...parseTrustedStatement(applyEdits(text, edits)), edits: composeEdits(statement.edits, edits) };
}

/** Groups all terms but the first, so that the result keeps the names of the first one and ORDER BY can name its columns. */
function groupTail([_first, ...rest]: readonly TokenRange[]): readonly TokenRange[] {
  if (rest.length < MAX_COMPOUND_TERMS) return [];
  const size = Math.ceil(rest.length / (MAX_COMPOUND_TERMS - 1));
  return Array.from({ length: Math.ceil(rest.length / size) }, (_value, index) =>
    rest.slice(index * size, (index + 1) * size),
  ).flatMap((group) => (group.length === 1 ? [] : [spanTerms(group), ...groupTail(group)]));
}

/** Groups the first terms, then these with the next ones, and so on: the operators are evaluated from left to right. */
function groupHead(terms: readonly TokenRange[]): readonly TokenRange[] {
  const groups: TokenRange[] = [];
  for (let end = MAX_COMPOUND_TERMS; end < terms.length; end += MAX_COMPOUND_TERMS - 1)
    groups.push(spanTerms(terms.slice(0, end)));
  return groups;
}

function spanTerms(terms: readonly TokenRange[]): TokenRange {
  return { start: terms[0]?.start ?? 0, end: terms.at(-1)?.end ?? 0 };
}

function insertParentheses(tokens: readonly LexerToken[], groups: readonly TokenRange[]): readonly TextEdit[] {
  const textByOffset = new Map<number, string>();
  const insert = (offset: number, text: string): void => {
    textByOffset.set(offset, `${textByOffset.get(offset) ?? ""}${text}`);
  };
  for (const { start, end } of groups) {
    insert(tokens[start]?.start ?? 0, "SELECT * FROM (");
    insert(tokens[end - 1]?.end ?? 0, ")");
  }
  return [...textByOffset]
    .toSorted(([left], [right]) => left - right)
    .map(([offset, text]) => ({ start: offset, end: offset, text }));
}

function listLongCompounds(tokens: readonly LexerToken[]): readonly Compound[] {
  const operators = [...tokens.keys()].filter((index) => isWord(tokens[index], ...SET_OPERATORS));
  if (operators.length < MAX_COMPOUND_TERMS) return [];
  const parentheses = pairParentheses(tokens);
  const operatorsByQuery = Map.groupBy(operators, parentheses.findAround);
  const levels = new Map<number, number[]>();
  for (const index of tokens.keys()) {
    const around = parentheses.findAround(index);
    if ((operatorsByQuery.get(around)?.length ?? 0) < MAX_COMPOUND_TERMS) continue;
    const level = levels.get(around) ?? [];
    level.push(index);
    levels.set(around, level);
  }
  const recursiveQueries = listRecursiveQueries(tokens);
  return [...levels].flatMap(([around, level]) => {
    const compound = readCompound(tokens, level, parentheses.findClosing(around));
    // SQLite takes the name of a recursive query in no subquery.
    const isRecursive = recursiveQueries.some(({ start }) => start === around + 1);
    return compound === undefined || isRecursive ? [] : [compound];
  });
}

/** Reads a compound SELECT from the lexer tokens outside its own parentheses; undefined if SQLite would not accept its form. */
function readCompound(tokens: readonly LexerToken[], level: readonly number[], end: number): Compound | undefined {
  const first = level.find((index) => isWord(tokens[index], "select", "values"));
  const operators = level.filter((index) => isWord(tokens[index], ...SET_OPERATORS));
  const closing = level.find((index) => isWord(tokens[index], "order", "limit"));
  if (first === undefined || (closing ?? end) < (operators.at(-1) ?? 0)) return undefined;
  const isAll = (index: number): boolean => isWord(tokens[index + 1], "all");
  const starts = [first, ...operators.map((index) => index + (isAll(index) ? 2 : 1))];
  if (starts.some((index) => !isWord(tokens[index], "select", "values"))) return undefined;
  const ends = [...operators, closing ?? end];
  return {
    terms: starts.map((start, index) => ({ start, end: ends[index] ?? end })),
    isUnionAll: operators.every((index) => isWord(tokens[index], "union") && isAll(index)),
    isOrdered: closing !== undefined,
  };
}
