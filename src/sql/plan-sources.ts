// Finds which subquery a loop of a plan reads, and how many rows it has. A plan names loops by alias and subqueries by their WITH name, so
// the FROM clauses of the text connect the two.
import type { PlanLine } from "./engine/sqlite.ts";
import { foldName } from "./identifier.ts";
import { isRecursive } from "./row-bounds.ts";
import type { RowBounds } from "./row-bounds.ts";
import type { OutlinedQuery, OutlinedSource, QueryOutline } from "./query-outline.ts";

/** What the text of a statement says about its queries. */
export interface StatementText {
  readonly outline: QueryOutline;
  readonly bounds: RowBounds;
}

/** The sources of rows of one plan. All names are folded, and all numbers log2. */
export interface PlanSources {
  /** Bounds the rows of a subquery that reads this number of rows. */
  boundRowsLog2(name: string, inputLog2: number): number;
  /** Notes the rows of a subquery, for loops that come later. */
  add(name: string, rowsLog2: number): void;
  /** Finds the rows of what a loop with this name reads. `siblings` has the subqueries that begin beside the loop. */
  findRowsLog2(name: string, siblings: ReadonlyMap<string, number>): number;
  /** Estimates the elements of the table-valued function with this alias; undefined if the text does not say. */
  findElementsLog2(alias: string): number | undefined;
  /** Bounds the rows that a subquery reads if its plan does not sort; see `RowBounds`. Infinite if it reads them all. */
  boundReadRows(name: string): number;
  /** Bounds how often subqueries run that are correlated with this query; the statement itself has no name. */
  boundListRunsLog2(name: string): number;
  /** Whether a subquery that is materialized runs once, because nothing around it can be correlated with it. */
  runsOnce(name: string): boolean;
  /** Estimates how often the step of the recursive query with this name runs. */
  countStepsLog2(name: string): number;
  /** Whether this is the subquery that SQLite makes for the rows that a window function reads. */
  isWindowInput(name: string): boolean;
  /** Estimates log2 of the partitions of rows of this number by these keys. */
  readonly countPartitionsLog2: RowBounds["countPartitionsLog2"];
  /** Finds the name that the user wrote for a name in the plan. */
  nameSource(name: string): string;
}

/**
 * Comparing all subqueries of a plan with all of the text that have the same name, or none, takes time that grows with the square of their
 * number. If there are more, their rows stay unbounded.
 */
const MAX_NAMESAKES = 40;

/** Creates the sources of a plan. Without a text, subqueries return all rows that they read. */
export function createPlanSources(
  lines: readonly PlanLine[],
  readText: (() => StatementText) | undefined,
): PlanSources {
  const text = lines.some(({ detail }) => /^(?:MATERIALIZE|CO-ROUTINE|CORRELATED) | VIRTUAL TABLE /.test(detail))
    ? readText?.()
    : undefined;
  const names = indexNames(text?.outline.queries ?? []);
  const statementNumber = findStatementNumber(lines);
  const rowsByName = new Map<string, number>();
  let largestLog2 = 0;

  /** Lists the queries of the text that a subquery of the plan may be; empty if it may be a table or is unknown. */
  const listQueries = (name: string): readonly OutlinedQuery[] => {
    const queries = listNamesakes(name);
    return queries.length > MAX_NAMESAKES ? [] : queries;
  };
  const listNamesakes = (name: string): readonly OutlinedQuery[] => {
    const number = readNumber(name);
    if (number === undefined) return names.tables.has(name) ? [] : (names.queries.get(name) ?? []);
    if (number === statementNumber) return names.statement;
    return [
      ...(statementNumber === undefined || number < statementNumber ? names.unnamed : []),
      ...(statementNumber === undefined || number > statementNumber ? names.windows : []),
    ];
  };

  return {
    boundRowsLog2(name, inputLog2) {
      const queries = listQueries(name);
      if (text === undefined || queries.length === 0) return inputLog2;
      const isNumbered = readNumber(name) !== undefined && readNumber(name) !== statementNumber;
      return Math.max(
        ...queries.map((query) =>
          isNumbered && hasWindow(query)
            ? text.bounds.boundWindowInputLog2(query, inputLog2)
            : text.bounds.boundRowsLog2(query, inputLog2),
        ),
      );
    },
    add(name, rowsLog2) {
      rowsByName.set(name, Math.max(rowsByName.get(name) ?? 0, rowsLog2));
      largestLog2 = Math.max(largestLog2, rowsLog2);
    },
    findRowsLog2(name, siblings) {
      const candidates = [name, ...(names.namesByAlias.get(name) ?? [])];
      if (candidates.length > MAX_NAMESAKES) return largestLog2;
      for (const rows of [siblings, rowsByName]) {
        const known = candidates.flatMap((candidate) => rows.get(candidate) ?? []);
        if (known.length > 0) return Math.max(...known);
      }
      // The step of a recursive query reads one row of the query at a time.
      const queries = candidates.flatMap((candidate) => names.queries.get(candidate) ?? []);
      return queries.some(isRecursive) ? 0 : largestLog2;
    },
    findElementsLog2(alias) {
      const counts = (names.functionsByAlias.get(alias) ?? []).map((source) => text?.bounds.countElementsLog2(source));
      return counts.length === 0 || counts.includes(undefined)
        ? undefined
        : Math.max(...counts.map((count) => count ?? 0));
    },
    boundReadRows(name) {
      const [query, ...others] = listQueries(name);
      if (text === undefined || query === undefined || others.length > 0) return Number.POSITIVE_INFINITY;
      return text.bounds.boundReadRows(query) ?? Number.POSITIVE_INFINITY;
    },
    boundListRunsLog2(name) {
      const [query, ...others] = name === "" ? names.statement : listQueries(name);
      return text === undefined || query === undefined || others.length > 0
        ? Number.POSITIVE_INFINITY
        : text.bounds.boundListRunsLog2(query);
    },
    runsOnce(name) {
      if (name.startsWith("guard_")) return true;
      if (readNumber(name) !== undefined) return !names.hasValueQueries;
      const queries = names.queries.get(name) ?? [];
      return queries.length <= MAX_NAMESAKES && queries.every(({ isInsideValue }) => !isInsideValue);
    },
    countStepsLog2: (name) =>
      Math.max(
        0,
        ...(names.queries.get(name) ?? []).filter(isRecursive).map((query) => text?.bounds.countStepsLog2(query) ?? 0),
      ),
    isWindowInput: (name) =>
      readNumber(name) !== undefined && (statementNumber === undefined || (readNumber(name) ?? 0) > statementNumber),
    countPartitionsLog2: (keys, index, inputLog2) => text?.bounds.countPartitionsLog2(keys, index, inputLog2) ?? 0,
    nameSource(name) {
      const [table, ...others] = names.namesByAlias.get(name) ?? [];
      return table === undefined || table === "" || others.length > 0 ? name : table;
    },
  };
}

/** The queries of a text by the names that a plan gives them. */
interface Names {
  readonly queries: ReadonlyMap<string, readonly OutlinedQuery[]>;
  readonly statement: readonly OutlinedQuery[];
  readonly unnamed: readonly OutlinedQuery[];
  /** The queries with window functions, which read a subquery of their own. */
  readonly windows: readonly OutlinedQuery[];
  /** Whether a subquery is a value, and so may be correlated. */
  readonly hasValueQueries: boolean;
  /** Names of tables: a view of this name may be computed as a subquery. */
  readonly tables: ReadonlySet<string>;
  readonly namesByAlias: ReadonlyMap<string, ReadonlySet<string>>;
  readonly functionsByAlias: ReadonlyMap<string, readonly OutlinedSource[]>;
}

function indexNames(queries: readonly OutlinedQuery[]): Names {
  const namesByAlias = new Map<string, Set<string>>();
  const sources = queries.flatMap(({ terms }) => terms.flatMap((term) => term.sources));
  for (const { exposedName, name } of sources) {
    const names = namesByAlias.get(exposedName) ?? new Set();
    namesByAlias.set(exposedName, names.add(name));
  }
  return {
    queries: Map.groupBy(
      queries.filter(({ name }) => name !== ""),
      ({ name }) => name,
    ),
    statement: queries.slice(0, 1),
    unnamed: queries.filter(({ kind, name }) => kind === "source" && name === ""),
    windows: queries.filter(hasWindow),
    hasValueQueries: queries.some(({ kind }) => kind === "value"),
    tables: new Set(
      sources.flatMap((source) => (source.query === undefined && source.arguments === undefined ? [source.name] : [])),
    ),
    namesByAlias,
    functionsByAlias: Map.groupBy(
      sources.filter((source) => source.arguments !== undefined),
      ({ exposedName }) => exposedName,
    ),
  };
}

function hasWindow({ terms }: OutlinedQuery): boolean {
  return terms.some((term) => term.hasWindow);
}

/** The number of a subquery that the text does not name. */
function readNumber(name: string): number | undefined {
  const number = /^\(subquery-(\d+)\)$/.exec(name)?.[1];
  return number === undefined ? undefined : Number(number);
}

/** SQLite numbers SELECTs as it reads them, and those that it makes for window functions afterwards. The statement itself is read last. */
function findStatementNumber(lines: readonly PlanLine[]): number | undefined {
  const line = lines.find(
    ({ detail, parent }) => parent === 0 && /^(?:CO-ROUTINE|MATERIALIZE) \(subquery-/.test(detail),
  );
  return line === undefined ? undefined : readNumber(foldName(line.detail.replace(/^\S+ /, "")));
}
