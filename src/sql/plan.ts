// How much work a statement would be, from the plan that SQLite makes for it: which loops stand inside which, and how
// often each turns. An estimate for refusing what can only be a mistake, never told to anybody.
import type { PlanLine } from "./engine/sqlite.ts";
import { foldName } from "./identifier.ts";
import { classOfBits } from "./size-class.ts";
import type { FrameCost } from "./window-frames.ts";

export interface WorkOptions {
  /** About how many rows the table of this folded name has; undefined when not known. */
  readonly rowsOf: (table: string) => number | undefined;
  /**
   * Whether the size of the table of this folded name, or of subqueries when there is none, counts by its class alone, because a row rule
   * hides rows. A refusal must not tell how many: an attacker who varies the other side of a join would find the number by bisection.
   */
  readonly isCoarse: (table: string | undefined) => boolean;
  /** Folded names of the columns that row rules on the table of this folded name read. */
  readonly ruledColumns: (table: string) => ReadonlySet<string>;
  /** Elements that one call of a table-valued function can give, at most. */
  readonly maxElements: number;
  /** What a window function goes through anew for each row. */
  readonly frame: FrameCost | undefined;
}

/** SQLite's own guess for a table that it knows nothing about, in rows. */
const UNKNOWN_ROWS = 1_048_576;
/** SQLite counts about three steps for a row that is read in passing. */
const STEPS_PER_ROW = 3;

/** All as log2. */
interface Estimate {
  /** Steps in all. */
  readonly work: number;
  /** Rows that come out at most. */
  readonly rows: number;
}

/** What finding a row costs: that much of a search's estimate is not for the rows that it finds. */
const SEARCH_STEPS = 3;

/** Estimated steps, as log2. */
export interface WorkEstimate {
  readonly work: number;
  /** Of one run of the subquery that takes most, among those that run when a row first reaches them. */
  readonly subqueryWork: number;
}

/** Loops that follow each other under one parent are nested; a correlated subquery runs for each turn of the loops before it, any other once. */
export function estimateWork(lines: readonly PlanLine[], options: WorkOptions): WorkEstimate {
  const children = new Map<number, PlanLine[]>();
  for (const line of lines) children.set(line.parent, [...(children.get(line.parent) ?? []), line]);
  /** The most that any subquery of the statement gives: SQLite does not say which one a scan is of. */
  let largestSubquery = 0;
  let subqueryWork = 0;

  const estimateBelow = (parent: number): Estimate => {
    let work = 0;
    let nesting: number | undefined;
    let parts = 0;
    for (const line of children.get(parent) ?? []) {
      const { detail } = line;
      if (isLoop(line)) {
        const loop = loopOf(line, largestSubquery, options);
        work = addLog(work, (nesting ?? 0) + loop.work);
        nesting = (nesting ?? 0) + loop.rows;
        continue;
      }
      const below = estimateBelow(line.id);
      if (detail === ALTERNATIVES) {
        work = addLog(work, (nesting ?? 0) + below.work);
        nesting = (nesting ?? 0) + below.rows;
        continue;
      }
      if (/^(?:MATERIALIZE|CO-ROUTINE) /.test(detail)) largestSubquery = Math.max(largestSubquery, below.rows);
      if (/^(?:CORRELATED )?(?:SCALAR|LIST) SUBQUERY /.test(detail)) subqueryWork = Math.max(subqueryWork, below.work);
      parts = addLog(parts, below.rows);
      work = addLog(work, detail.startsWith("CORRELATED ") ? (nesting ?? 0) + below.work : below.work);
    }
    // Without loops of its own it is made of parts, such as the two sides of a UNION.
    return { work, rows: nesting ?? parts };
  };
  const { work } = estimateBelow(0);
  return { work, subqueryWork };
}

/** A loop by several indexes, one after the other. */
const ALTERNATIVES = "MULTI-INDEX OR";

function isLoop({ detail }: PlanLine): boolean {
  return /^(?:SCAN|SEARCH) /.test(detail);
}

/** One loop each time it is entered. */
function loopOf({ cost, detail }: PlanLine, largestSubquery: number, options: WorkOptions): Estimate {
  const elements = Math.log2(options.maxElements);
  if (/ VIRTUAL TABLE INDEX /.test(detail)) return { work: elements, rows: elements };
  const constant = /^SCAN (\d+ )?CONSTANT ROWS?/.exec(detail);
  if (constant !== null)
    return { work: Math.log2(Number(constant[1] ?? 1)), rows: Math.log2(Number(constant[1] ?? 1)) };
  const base = /^(?:SCAN|SEARCH) main\.(.+?)(?: USING .*| LEFT-JOIN)?$/.exec(detail)?.[1];
  const rounded = options.isCoarse(base === undefined ? undefined : foldName(base))
    ? classOfBits
    : (size: number): number => size;
  const rows =
    base === undefined
      ? largestSubquery
      : rounded(Math.log2(Math.max(1, options.rowsOf(foldName(base)) ?? UNKNOWN_ROWS)));
  // SQLite keeps the rows that a window function goes through in a subquery of its own.
  const frame = base === undefined ? frameWork(rows, options) : 0;
  const all = { work: rows + frame + Math.log2(STEPS_PER_ROW), rows };
  // SQLite takes a range for a fixed part of its table; it may be all of it.
  if (!detail.startsWith("SEARCH ") || !/[(\s](?:[^()=<>]|<expr>)*=\?/.test(detail)) return all;
  // An equality on the row number finds one; any other search, as SQLite guesses, a part of what there is.
  const work = Math.min(rounded(cost / 10), all.work);
  if (/ \(rowid=\?\)(?: LEFT-JOIN)?$/.test(detail)) return { work, rows: 0 };
  // Without statistics SQLite guesses ten rows. What a row rule finds by an index is all that the user sees; and a frame goes through the
  // rows that there are, squared.
  const isGuess = options.frame !== undefined || (base !== undefined && findsByRuleAlone(detail, base, options));
  return isGuess ? all : { work, rows: Math.max(0, Math.min(work - SEARCH_STEPS, rows)) };
}

/** Whether a search compares nothing but columns of the table's row rules. */
function findsByRuleAlone(detail: string, base: string, { ruledColumns }: WorkOptions): boolean {
  const terms = / \(([^()]*)\)(?: LEFT-JOIN)?$/.exec(detail)?.[1]?.split(" AND ") ?? [];
  const ruled = ruledColumns(foldName(base));
  return terms.length > 0 && terms.every((term) => ruled.has(foldName(term.replace(/[<>=]+\?$/, ""))));
}

/** For each of so many rows, as log2. */
function frameWork(rows: number, { frame }: WorkOptions): number {
  if (frame === undefined) return 0;
  return Math.max(0, Math.log2(frame.stepsPerRow) + Math.min(rows, Math.log2(frame.rows)));
}

/** log2(2^a + 2^b). */
function addLog(a: number, b: number): number {
  const [more, less] = a > b ? [a, b] : [b, a];
  return more + Math.log2(1 + 2 ** (less - more));
}

/** The names of the indexes that a plan uses. */
export function indexesOf(lines: readonly PlanLine[]): readonly string[] {
  return lines.flatMap(
    ({ detail }) => / USING (?:COVERING )?INDEX (.+?)(?: \(.*\))?(?: LEFT-JOIN)?$/.exec(detail)?.[1] ?? [],
  );
}

/** The tables that a plan makes an index on, for this query alone. */
export function indexedFor(lines: readonly PlanLine[]): readonly string[] {
  return lines.flatMap(({ detail }) => /^SEARCH main\.(.+?) USING AUTOMATIC /.exec(detail)?.[1] ?? []);
}

/** Whether there is one source of rows and one way to them: only beside others an index is made for a query. */
export function hasOneSource(lines: readonly PlanLine[]): boolean {
  return (
    lines.filter(({ detail }) => /^(?:SCAN|SEARCH) main\.| VIRTUAL TABLE INDEX | CONSTANT ROWS?/.test(detail)).length <=
    1
  );
}

/** Whether a pass over a whole table stands inside another loop: masked columns have no index. */
export function nestsScans(lines: readonly PlanLine[]): boolean {
  const entered = new Set<number>();
  return lines.some((line) => {
    if (!isLoop(line) && line.detail !== ALTERNATIVES) return false;
    const isInner = entered.has(line.parent);
    entered.add(line.parent);
    return isInner && line.detail.startsWith("SCAN ");
  });
}
