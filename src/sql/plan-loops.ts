// Reads the loops of SQLite's plans: what each one reads, by which index, what it compares, and whether it is repeated.
import type { PlanLine } from "./engine/sqlite.ts";
import { foldName } from "./identifier.ts";

/** What a line says about its loop. */
export interface LoopLine {
  readonly isSearch: boolean;
  /** Whether it reads a table of the schema main, by this name. */
  readonly isMain: boolean;
  /** The table, or the subquery by its name in the plan; folded. */
  readonly name: string;
  /** What follows USING; empty if the loop uses no index. */
  readonly using: string;
  /** What a search compares, such as `region=?` and `day>?`, folded. */
  readonly terms: readonly string[];
  /** Whether it ends with the first row that it finds. */
  readonly endsEarly: boolean;
}

/** Whether a line of a plan is a loop. */
export function isLoop({ detail }: PlanLine): boolean {
  return /^(?:SCAN|SEARCH) /.test(detail);
}

/** Parses a loop. */
export function parseLoop(detail: string): LoopLine {
  const match = /^(SCAN|SEARCH) (main\.)?(.+?)( EXISTS)?(?: USING (.*?))?(?: LEFT-JOIN)?$/.exec(detail);
  const using = match?.[5] ?? "";
  // SQLite writes the bounds of a key directly after its name, and `ANY(x)` for a column whose values it goes through one by one.
  const terms = / ?\((.*)\)$/.exec(using.replaceAll("<expr>", "expr"))?.[1]?.split(" AND ");
  return {
    isSearch: match?.[1] === "SEARCH",
    isMain: match?.[2] !== undefined,
    name: foldName(match?.[3] ?? ""),
    using,
    terms: (terms ?? []).map(foldName),
    endsEarly: match?.[4] !== undefined,
  };
}

/** Whether a loop reads a table. SQLite names the schema of guard views' tables only, and leaves it out where it counts rows. */
export function readsTable(
  { isMain, name, using }: LoopLine,
  getRowCount: (table: string) => number | undefined,
): boolean {
  return (
    isMain ||
    (/^(?:COVERING INDEX|INDEX|INTEGER PRIMARY KEY|PRIMARY KEY|ROWID)/.test(using) && getRowCount(name) !== undefined)
  );
}

/** Reads the number of rows of a line that lists constants; undefined for any other line. */
export function readConstantRows(detail: string): number | undefined {
  const constants = /^SCAN (?:(\d+)[ -])?(?:CONSTANT ROWS?|ROW VALUES CLAUSE)/.exec(detail);
  return constants === null ? undefined : Number(constants[1] ?? 1);
}

/** Lists the terms that compare other columns than these. */
export function listTermsBeside(terms: readonly string[], columns: ReadonlySet<string>): readonly string[] {
  return terms.filter((term) => !columns.has(term.replace(/[<>=]+\?$/, "")));
}

/** Whether a search compares this column, of which no two rows have the same value. */
export function isKeySearch(terms: readonly string[], keyColumn: string | undefined): boolean {
  return keyColumn !== undefined && terms.includes(`${keyColumn}=?`);
}

/**
 * Whether a plan reads a guard view again and again without an equality that finds its rows: in a loop inside another one, or in a
 * correlated subquery. Masked columns have no index, and a row rule finds all rows that the user sees.
 */
export function readsRepeatedly(
  lines: readonly PlanLine[],
  listRuleColumns: (table: string) => ReadonlySet<string>,
): boolean {
  const repeatedParents = new Set<number>();
  return lines.some((line) => {
    const { id, parent, detail } = line;
    const isRepeated = repeatedParents.has(parent);
    // What is below a repeated line is repeated too, except what is computed once.
    if (detail.startsWith("CORRELATED ") || (isRepeated && !isLoop(line) && !detail.startsWith("MATERIALIZE ")))
      repeatedParents.add(id);
    if (isLoop(line) || detail === "MULTI-INDEX OR") repeatedParents.add(parent);
    if (!isRepeated || !isLoop(line)) return false;
    const { isMain, name, terms } = parseLoop(detail);
    const ownTerms = listTermsBeside(terms, listRuleColumns(name));
    return (isMain || name.startsWith("guard_")) && !ownTerms.some((term) => /[^<>]=\?$/.test(term));
  });
}

/** Whether a plan searches a table only by the columns of its row rule, and so finds all rows that the user sees. */
export function searchesByRule(
  lines: readonly PlanLine[],
  listRuleColumns: (table: string) => ReadonlySet<string>,
): boolean {
  return lines.some(({ detail }) => {
    const { name, isMain, isSearch, terms } = parseLoop(detail);
    return isSearch && isMain && terms.length > 0 && listTermsBeside(terms, listRuleColumns(name)).length === 0;
  });
}

/** Lists the names of the indexes that a plan uses. */
export function listUsedIndexes(lines: readonly PlanLine[]): readonly string[] {
  return lines.flatMap(
    ({ detail }) => / USING (?:COVERING )?INDEX (.+?)(?: \(.*\))?(?: LEFT-JOIN)?$/.exec(detail)?.[1] ?? [],
  );
}

/** Lists the tables on which a plan builds an index for this query alone. */
export function listAutoIndexedTables(lines: readonly PlanLine[]): readonly string[] {
  return lines.flatMap(({ detail }) => /^SEARCH main\.(.+?) USING AUTOMATIC /.exec(detail)?.[1] ?? []);
}

/** Checks whether a plan reads rows from at most one source. SQLite builds an index for a query only when it joins several. */
export function hasSingleRowSource(lines: readonly PlanLine[]): boolean {
  return (
    lines.filter(({ detail }) => /^(?:SCAN|SEARCH) main\.| VIRTUAL TABLE INDEX | CONSTANT ROWS?/.test(detail)).length <=
    1
  );
}
