// Estimates how much work a statement would be from SQLite's query plan: which loops are nested, and how often each one runs. The estimate
// only serves to refuse obvious mistakes; users never see it.
import type { PlanLine } from "./engine/sqlite.ts";
import { foldName } from "./identifier.ts";
import { roundUpToClassLog2 } from "./row-count-class.ts";
import type { FrameCost } from "./window-frames.ts";

/** What an estimate knows besides the plan. */
export interface WorkOptions {
  /** Returns the approximate number of rows of the table with this folded name; undefined if unknown. */
  readonly getRowCount: (table: string) => number | undefined;
  /**
   * Whether the size of the table with this folded name, or of subqueries if there is no name, counts only by its size class, because a
   * row rule hides rows. A refusal must not reveal how many: an attacker could vary the other side of a join and find the number by
   * bisection.
   */
  readonly usesSizeClass: (table: string | undefined) => boolean;
  /** Lists the folded names of the columns that row rules on the table with this folded name read. */
  readonly listRuleColumns: (table: string) => ReadonlySet<string>;
  /** Maximum elements that one call of a table-valued function can return. */
  readonly maxElements: number;
  /** The costliest window frame that SQLite reads again for each row; undefined if there is none. */
  readonly frame: FrameCost | undefined;
}

/** SQLite's guess for the rows of a table without statistics. */
const UNKNOWN_ROWS = 1_048_576;
/** SQLite counts about three steps for each row that a scan passes. */
const STEPS_PER_ROW = 3;

/** All values are log2. */
interface Estimate {
  /** Total steps. */
  readonly stepsLog2: number;
  /** Maximum rows returned. */
  readonly rowsLog2: number;
}

/** The factor, as log2, by which a search's estimated steps exceed the rows that it finds. */
const SEARCH_STEPS_LOG2 = 3;

/** Estimated steps of a statement, as log2. */
interface WorkEstimate {
  readonly stepsLog2: number;
  /** Steps of one run of the costliest subquery among those that run when a row first reaches them. */
  readonly subqueryStepsLog2: number;
}

/**
 * Estimates the work of a plan. Loops that follow each other under one parent are nested. A correlated subquery runs for each iteration of
 * the loops before it, any other subquery once.
 */
export function estimateWork(lines: readonly PlanLine[], options: WorkOptions): WorkEstimate {
  const children = new Map<number, PlanLine[]>();
  for (const line of lines) children.set(line.parent, [...(children.get(line.parent) ?? []), line]);
  /** Most rows that any subquery of the statement returns: the plan does not say which subquery a scan reads. */
  let largestSubqueryLog2 = 0;
  let subqueryStepsLog2 = 0;

  const estimateBelow = (parent: number): Estimate => {
    let stepsLog2 = 0;
    let loopRowsLog2: number | undefined;
    let partRowsLog2 = 0;
    for (const line of children.get(parent) ?? []) {
      const { detail } = line;
      if (isLoop(line)) {
        const loop = estimateLoop(line, largestSubqueryLog2, options);
        stepsLog2 = addLog2(stepsLog2, (loopRowsLog2 ?? 0) + loop.stepsLog2);
        loopRowsLog2 = (loopRowsLog2 ?? 0) + loop.rowsLog2;
        continue;
      }
      const child = estimateBelow(line.id);
      if (detail === MULTI_INDEX_OR) {
        stepsLog2 = addLog2(stepsLog2, (loopRowsLog2 ?? 0) + child.stepsLog2);
        loopRowsLog2 = (loopRowsLog2 ?? 0) + child.rowsLog2;
        continue;
      }
      if (/^(?:MATERIALIZE|CO-ROUTINE) /.test(detail))
        largestSubqueryLog2 = Math.max(largestSubqueryLog2, child.rowsLog2);
      if (/^(?:CORRELATED )?(?:SCALAR|LIST) SUBQUERY /.test(detail))
        subqueryStepsLog2 = Math.max(subqueryStepsLog2, child.stepsLog2);
      partRowsLog2 = addLog2(partRowsLog2, child.rowsLog2);
      stepsLog2 = addLog2(
        stepsLog2,
        detail.startsWith("CORRELATED ") ? (loopRowsLog2 ?? 0) + child.stepsLog2 : child.stepsLog2,
      );
    }
    // A query without loops of its own consists of parts, such as the two sides of a UNION.
    return { stepsLog2, rowsLog2: loopRowsLog2 ?? partRowsLog2 };
  };
  const { stepsLog2 } = estimateBelow(0);
  return { stepsLog2, subqueryStepsLog2 };
}

/** A loop over several indexes, one after the other. */
const MULTI_INDEX_OR = "MULTI-INDEX OR";

function isLoop({ detail }: PlanLine): boolean {
  return /^(?:SCAN|SEARCH) /.test(detail);
}

/** Estimates one run of a loop. */
function estimateLoop({ cost, detail }: PlanLine, largestSubqueryLog2: number, options: WorkOptions): Estimate {
  const elementsLog2 = Math.log2(options.maxElements);
  if (/ VIRTUAL TABLE INDEX /.test(detail)) return { stepsLog2: elementsLog2, rowsLog2: elementsLog2 };
  const constant = /^SCAN (\d+ )?CONSTANT ROWS?/.exec(detail);
  if (constant !== null)
    return { stepsLog2: Math.log2(Number(constant[1] ?? 1)), rowsLog2: Math.log2(Number(constant[1] ?? 1)) };
  const tableName = /^(?:SCAN|SEARCH) main\.(.+?)(?: USING .*| LEFT-JOIN)?$/.exec(detail)?.[1];
  const coarsen = options.usesSizeClass(tableName === undefined ? undefined : foldName(tableName))
    ? roundUpToClassLog2
    : (size: number): number => size;
  const rowsLog2 =
    tableName === undefined
      ? largestSubqueryLog2
      : coarsen(Math.log2(Math.max(1, options.getRowCount(foldName(tableName)) ?? UNKNOWN_ROWS)));
  // SQLite puts the rows that a window function reads into a subquery.
  const frameLog2 = tableName === undefined ? estimateFrame(rowsLog2, options) : 0;
  const fullScan = { stepsLog2: rowsLog2 + frameLog2 + Math.log2(STEPS_PER_ROW), rowsLog2 };
  // SQLite assumes that a range covers a fixed part of its table, but it may cover all of it.
  if (!detail.startsWith("SEARCH ") || !/[(\s](?:[^()=<>]|<expr>)*=\?/.test(detail)) return fullScan;
  // An equality on the rowid finds one row. Any other search finds the part of the table that SQLite guesses.
  const stepsLog2 = Math.min(coarsen(cost / 10), fullScan.stepsLog2);
  if (/ \(rowid=\?\)(?: LEFT-JOIN)?$/.test(detail)) return { stepsLog2, rowsLog2: 0 };
  // Without statistics SQLite guesses ten rows. A search for a row rule finds all rows that the user sees, though, and the cost of a frame
  // grows with the square of the actual rows.
  const isGuess =
    options.frame !== undefined || (tableName !== undefined && searchesRuleColumnsOnly(detail, tableName, options));
  return isGuess ? fullScan : { stepsLog2, rowsLog2: Math.max(0, Math.min(stepsLog2 - SEARCH_STEPS_LOG2, rowsLog2)) };
}

/** Whether a search compares only columns of the table's row rules. */
function searchesRuleColumnsOnly(detail: string, tableName: string, { listRuleColumns }: WorkOptions): boolean {
  const terms = / \(([^()]*)\)(?: LEFT-JOIN)?$/.exec(detail)?.[1]?.split(" AND ") ?? [];
  const ruleColumns = listRuleColumns(foldName(tableName));
  return terms.length > 0 && terms.every((term) => ruleColumns.has(foldName(term.replace(/[<>=]+\?$/, ""))));
}

/** Estimates the steps that a window frame adds for each of these rows, as log2. */
function estimateFrame(rowsLog2: number, { frame }: WorkOptions): number {
  if (frame === undefined) return 0;
  return Math.max(0, Math.log2(frame.stepsPerRow) + Math.min(rowsLog2, Math.log2(frame.rows)));
}

/** log2(2^a + 2^b). */
function addLog2(a: number, b: number): number {
  const [more, less] = a > b ? [a, b] : [b, a];
  return more + Math.log2(1 + 2 ** (less - more));
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

/** Checks whether a plan scans a whole table inside another loop, as it must for masked columns, which have no index. */
export function hasNestedScan(lines: readonly PlanLine[]): boolean {
  const parentsWithLoop = new Set<number>();
  return lines.some((line) => {
    if (!isLoop(line) && line.detail !== MULTI_INDEX_OR) return false;
    const isInner = parentsWithLoop.has(line.parent);
    parentsWithLoop.add(line.parent);
    return isInner && line.detail.startsWith("SCAN ");
  });
}
