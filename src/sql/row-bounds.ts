// Bounds how many rows the queries of a statement return, by their text alone: an aggregate returns one row, LIMIT 10 at most ten, VALUES
// those that it lists, and GROUP BY one for each group. SQLite's plan says which rows a query reads, but not how few it returns.
import { isOperator, isWord } from "./clauses.ts";
import type { TokenRange } from "./clauses.ts";
import { foldName } from "./identifier.ts";
import { toDriverValue } from "./parameters.ts";
import type { SqlValue } from "./parameters.ts";
import type { OutlinedQuery, OutlinedSource, QueryOutline, QueryTerm } from "./query-outline.ts";
import { createValueCounter } from "./value-counts.ts";
import type { CountValuesLog2 } from "./value-counts.ts";

/** Bounds rows, each as log2. */
export interface RowBounds {
  /** Bounds the rows of a query that reads this number of rows. */
  boundRowsLog2(query: OutlinedQuery, inputLog2: number): number;
  /** Bounds the rows that the window functions of such a query read: its groups, before DISTINCT and LIMIT apply. */
  boundWindowInputLog2(query: OutlinedQuery, inputLog2: number): number;
  /** Estimates the elements that a call of a table-valued function returns; undefined if only its rows know. */
  countElementsLog2(source: OutlinedSource): number | undefined;
  /**
   * Bounds the rows that a query reads before it has returned all of its own: those that LIMIT and OFFSET ask for. Infinite without a
   * LIMIT, and undefined if it groups or compares rows, and so sees all of them first. Whether ORDER BY does depends on the plan.
   */
  boundReadRows(query: OutlinedQuery): number | undefined;
  /**
   * Bounds how often subqueries run that are correlated with this query, if its plan does not sort: SQLite computes its select list only
   * for rows that LIMIT lets through. Infinite if they may run for every row.
   */
  boundListRunsLog2(query: OutlinedQuery): number;
  /** Estimates how often the step of a recursive query runs. */
  countStepsLog2(query: OutlinedQuery): number;
  /** Estimates log2 of the partitions that these keys divide rows of this number into. */
  countPartitionsLog2(keys: readonly TokenRange[], index: number, inputLog2: number): number;
}

/**
 * A list that a query spells out counts as at least so many elements. Lists are short, but a few of them multiply: five are refused
 * however short they are.
 */
const MIN_ELEMENTS_LOG2 = 6;
/** Steps of a recursive query that does not show where it ends: a calendar of some years. */
const RECURSIVE_STEPS_LOG2 = 10;
/** A longer query is not searched for its end: queries can contain each other. */
const MAX_STEP_TOKENS = 300;
const DAY_MS = 24 * 3600 * 1000;

/** Creates bounds for the queries of an outlined statement. */
export function createRowBounds(
  outline: QueryOutline,
  values: readonly SqlValue[],
  countValuesLog2: CountValuesLog2,
): RowBounds {
  const { tokens } = outline;
  const counter = createValueCounter(outline, countValuesLog2);
  const valueIndexes = new Map<number, number>();
  tokens.forEach((token, index) => {
    if (token.kind === "variable") valueIndexes.set(index, valueIndexes.size);
  });
  /** Bounds that do not depend on the rows read, by query; undefined while they are computed, for queries that read themselves. */
  const ownBounds = new Map<OutlinedQuery, number>();

  const readConstant = (index: number): string | number | undefined => {
    const token = tokens[index];
    if (token?.kind === "number" || token?.kind === "string") return token.value;
    const valueIndex = valueIndexes.get(index);
    const value = valueIndex === undefined ? undefined : toDriverValue(values[valueIndex] ?? null);
    return typeof value === "number" || typeof value === "string" ? value : undefined;
  };

  const readNumber = (index: number): number => Number(readConstant(index) ?? Number.NaN);

  /** `LIMIT n`, `LIMIT n OFFSET m` and `LIMIT m, n`. A negative or computed limit is none; such an offset is unknown. */
  const readLimit = ({ limit }: OutlinedQuery): { readonly rows: number; readonly offset: number } => {
    const { start, end } = limit ?? { start: 0, end: 0 };
    const isListed = end - start === 3 && isOperator(tokens[start + 1], ",");
    const hasOffset = isListed || isWord(tokens[start + 1], "offset");
    const rows = end - start === 1 || hasOffset ? readNumber(isListed ? start + 2 : start) : Number.NaN;
    const isConstantOffset = end - start === 3;
    const offset = !hasOffset ? 0 : isConstantOffset ? readNumber(isListed ? start : start + 2) : Number.NaN;
    return {
      rows: limit !== undefined && rows >= 0 ? rows : Number.POSITIVE_INFINITY,
      offset: Number.isNaN(offset) ? Number.POSITIVE_INFINITY : Math.max(0, offset),
    };
  };
  const boundByLimitLog2 = (query: OutlinedQuery): number => Math.log2(Math.max(1, readLimit(query).rows));
  const countLimitedRows = (query: OutlinedQuery): number => {
    const { rows, offset } = readLimit(query);
    return rows + offset;
  };

  /** Bounds the rows that the sources of a SELECT have together. A table has as many as the plan says. */
  const boundSourcesLog2 = ({ sources }: QueryTerm): number =>
    sources.reduce(
      (sum, source) => sum + (source.query === undefined ? Number.POSITIVE_INFINITY : boundByTextLog2(source.query)),
      0,
    );

  const boundByTextLog2 = (query: OutlinedQuery): number => {
    const known = ownBounds.get(query);
    if (known !== undefined) return known;
    ownBounds.set(query, Number.POSITIVE_INFINITY);
    const bound = boundRowsLog2(query, Number.POSITIVE_INFINITY);
    ownBounds.set(query, bound);
    return bound;
  };

  const countGroupsLog2 = (keys: readonly TokenRange[], term: QueryTerm, rowsLog2: number): number =>
    keys.length === 0 ? rowsLog2 : counter.countGroupsLog2(keys, term, rowsLog2);

  /** Bounds the rows of a SELECT before DISTINCT. */
  const boundGroupsLog2 = (term: QueryTerm, inputLog2: number): number => {
    if (term.valueRows !== undefined) return Math.log2(Math.max(1, term.valueRows));
    if (term.groupKeys.length === 0 && term.isAggregate) return 0;
    return countGroupsLog2(term.groupKeys, term, Math.min(inputLog2, boundSourcesLog2(term)));
  };

  const addTermsLog2 = ({ terms }: OutlinedQuery, boundTermLog2: (term: QueryTerm) => number): number =>
    Math.max(0, ...terms.map(boundTermLog2)) + Math.log2(Math.max(1, terms.length));

  const boundRowsLog2 = (query: OutlinedQuery, inputLog2: number): number => {
    const mostLog2 = Math.min(boundByLimitLog2(query), inputLog2);
    if (isRecursive(query)) return mostLog2;
    const boundTermLog2 = (term: QueryTerm): number => {
      const rowsLog2 = boundGroupsLog2(term, inputLog2);
      return term.isDistinct ? countGroupsLog2(term.items, term, rowsLog2) : rowsLog2;
    };
    return Math.min(mostLog2, addTermsLog2(query, boundTermLog2));
  };

  return {
    boundRowsLog2,
    boundWindowInputLog2: (query, inputLog2) =>
      Math.min(
        inputLog2,
        addTermsLog2(query, (term) => boundGroupsLog2(term, inputLog2)),
      ),
    countElementsLog2({ arguments: range }) {
      if (range === undefined) return undefined;
      const text = readConstant(range.start);
      if (text === undefined || (range.end - range.start > 1 && !isOperator(tokens[range.start + 1], ",")))
        return undefined;
      return Math.max(MIN_ELEMENTS_LOG2, Math.log2(1 + countCommas(String(text))));
    },
    boundReadRows(query) {
      const [term, ...otherTerms] = query.terms;
      return term === undefined || otherTerms.length > 0 || comparesRows(term) ? undefined : countLimitedRows(query);
    },
    boundListRunsLog2(query) {
      const [term, ...otherTerms] = query.terms;
      if (term === undefined || otherTerms.length > 0 || !computesListLast(outline, query, term))
        return Number.POSITIVE_INFINITY;
      return Math.log2(Math.max(1, countLimitedRows(query)));
    },
    countStepsLog2: (query) =>
      isRecursive(query) ? Math.min(boundByLimitLog2(query), guessStepsLog2(outline, query)) : 0,
    countPartitionsLog2(keys, index, inputLog2) {
      const query = outline.queries.findLast(({ range }) => range.start <= index && index < range.end);
      const term = query?.terms.findLast(({ items }) => (items[0]?.start ?? 0) <= index);
      return term === undefined || keys.length === 0 ? 0 : counter.countGroupsLog2(keys, term, inputLog2);
    },
  };
}

/** Whether a SELECT sees all rows before it returns the first. */
function comparesRows({ isAggregate, isDistinct, hasWindow, groupKeys, valueRows }: QueryTerm): boolean {
  return isAggregate || isDistinct || hasWindow || groupKeys.length > 0 || valueRows !== undefined;
}

/** Whether all subqueries of a SELECT are in its select list, and SQLite computes this list after it has chosen the rows. */
function computesListLast({ tokens }: QueryOutline, { order }: OutlinedQuery, term: QueryTerm): boolean {
  const { hasLaterSubquery, items, subqueryItems } = term;
  if (hasLaterSubquery || comparesRows(term)) return false;
  if (order === undefined) return true;
  // An order by such a subquery computes it for all rows.
  const names = new Set(
    [...subqueryItems].flatMap((place) => [
      String(place + 1),
      foldName(tokens[(items[place]?.end ?? 0) - 1]?.value ?? ""),
    ]),
  );
  return !tokens.slice(order.start, order.end).some(({ value }) => names.has(foldName(value)));
}

/** Whether a query reads itself. */
export function isRecursive(query: OutlinedQuery): boolean {
  return query.terms.some(({ sources }) => sources.some((source) => source.query === query));
}

/** Counts what separates the elements of a JSON text. */
function countCommas(json: string): number {
  let count = 0;
  for (let at = json.indexOf(","); at !== -1; at = json.indexOf(",", at + 1)) count += 1;
  return count;
}

/** Guesses the steps of a recursive query from the number that it counts to, or from its first and last date and the time between two. */
function guessStepsLog2({ tokens }: QueryOutline, { range }: OutlinedQuery): number {
  let highest = 0;
  let stepDays = 1;
  const days: number[] = [];
  for (let index = range.start; index < Math.min(range.end, range.start + MAX_STEP_TOKENS); index += 1) {
    const token = tokens[index];
    const isComputed = isOperator(tokens[index + 1], "+", "-", "*", "/", "%", "<<", "||");
    if (token?.kind === "number" && isOperator(tokens[index - 1], "<", "<=") && !isComputed)
      highest = Math.max(highest, Number(token.value));
    if (token?.kind !== "string") continue;
    const time = /^\d{4}-\d\d-\d\d/.test(token.value) ? Date.parse(token.value.slice(0, 10)) : Number.NaN;
    if (!Number.isNaN(time)) days.push(time / DAY_MS);
    const [, count, unit = ""] = /^\+? *(\d+) (hour|day|month|year)s?$/.exec(token.value) ?? [];
    if (count !== undefined) stepDays = Number(count) * (UNIT_DAYS[unit] ?? 1);
  }
  const spanDays = days.length < 2 ? 0 : Math.max(...days) - Math.min(...days);
  const steps = Math.max(highest, spanDays / (stepDays > 0 ? stepDays : 1));
  return steps > 0 ? Math.log2(steps + 1) : RECURSIVE_STEPS_LOG2;
}

/** Days of the units in which a calendar steps. */
const UNIT_DAYS: Readonly<Record<string, number>> = { hour: 1 / 24, day: 1, month: 28, year: 365 };
