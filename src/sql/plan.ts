// How much work a statement would be, from the plan that SQLite makes for it: which loops stand inside which, and how
// often each turns. An estimate for refusing what can only be a mistake, never told to anybody.
import type { PlanLine } from "./engine/sqlite.ts";
import { foldName } from "./identifier.ts";

export interface WorkOptions {
  /** About how many rows the table of this folded name has; undefined when not known. */
  readonly rowsOf: (table: string) => number | undefined;
  /** Elements that one call of a table-valued function can give, at most. */
  readonly maxElements: number;
}

/** SQLite's own guess for a table that it knows nothing about, in rows. */
const UNKNOWN_ROWS = 1_048_576;
/** SQLite counts about three steps for a row that is read in passing. */
const STEPS_PER_ROW = 3;

/**
 * Estimated steps, as log2. Loops that follow each other under one parent are nested; a correlated subquery runs for each
 * turn of the loops before it, any other once.
 */
export function estimateWork(lines: readonly PlanLine[], options: WorkOptions): number {
  const children = new Map<number, PlanLine[]>();
  for (const line of lines) children.set(line.parent, [...(children.get(line.parent) ?? []), line]);
  /** The most that any subquery of the statement can give: SQLite does not say which one a scan is of. */
  let largestSubquery = 0;

  const workBelow = (parent: number): number => {
    let nesting = 0;
    let total = 0;
    for (const line of children.get(parent) ?? []) {
      const { detail } = line;
      if (/^(?:SCAN|SEARCH) /.test(detail)) {
        nesting += turnsOf(line, largestSubquery, options);
        total = addLog(total, nesting);
        continue;
      }
      const below = workBelow(line.id);
      if (/^(?:MATERIALIZE|CO-ROUTINE) /.test(detail)) largestSubquery = Math.max(largestSubquery, below);
      total = addLog(total, detail.startsWith("CORRELATED ") ? nesting + below : below);
    }
    return total;
  };
  return workBelow(0);
}

/** How often a loop turns each time it is entered, as log2. */
function turnsOf({ cost, detail }: PlanLine, largestSubquery: number, options: WorkOptions): number {
  if (/ VIRTUAL TABLE INDEX /.test(detail)) return Math.log2(options.maxElements);
  if (/^SCAN (?:\d+ )?CONSTANT ROWS?/.test(detail)) return cost / 10;
  const base = /^(?:SCAN|SEARCH) main\.(.+?)(?: USING .*)?$/.exec(detail)?.[1];
  const most =
    base === undefined
      ? largestSubquery
      : Math.log2(STEPS_PER_ROW * Math.max(1, options.rowsOf(foldName(base)) ?? UNKNOWN_ROWS));
  // An equality finds few; a range, as SQLite guesses, a part of what there is.
  return detail.startsWith("SEARCH ") ? Math.min(cost / 10, most) : most;
}

/** log2(2^a + 2^b). */
function addLog(a: number, b: number): number {
  const [more, less] = a > b ? [a, b] : [b, a];
  return more + Math.log2(1 + 2 ** (less - more));
}

/** Whether a query nests one pass over a masked table in another: masked columns have no index. */
export function nestsScans(lines: readonly PlanLine[]): boolean {
  const scans = new Map<number, number>();
  for (const { parent, detail } of lines)
    if (detail.startsWith("SCAN ")) scans.set(parent, (scans.get(parent) ?? 0) + 1);
  return [...scans.values()].some((count) => count > 1);
}
