// Estimates how long a plan takes, to compare the forms in which a statement can run. Unlike the work estimate, which asks what a statement
// could take at worst and may refuse it, this one asks what it will probably take. Users see neither.
import type { PlanLine } from "./engine/sqlite.ts";
import { foldName } from "./identifier.ts";
import { isKeySearch, isLoop, listTermsBeside, parseLoop, readConstantRows, readsTable } from "./plan-loops.ts";
import type { LoopLine } from "./plan-loops.ts";
import { createPlanSources } from "./plan-sources.ts";
import { UNKNOWN_ROWS } from "./row-count-class.ts";
import type { StatementText } from "./plan-sources.ts";

/** What a comparison of plans knows besides the plans. */
export interface CostOptions {
  /** Returns the approximate number of rows of the table with this folded name; undefined if unknown. */
  readonly getRowCount: (table: string) => number | undefined;
  /** Returns the share of the table's rows that its row rule shows, from 0 to 1; 1 if it has none. */
  readonly getShownShare: (table: string) => number;
  /** Lists the folded names of the columns that row rules on the table read. */
  readonly listRuleColumns: (table: string) => ReadonlySet<string>;
  /** Whether SQLite has statistics of the table, be it only of its number of rows. */
  readonly hasStatistics: (table: string) => boolean;
  /** The folded name of the column of keyed views of which no two rows have the same value. */
  readonly keyColumn: string;
  /** Reads the text of the statement, which bounds the rows of its subqueries. */
  readonly readText: () => StatementText;
  /** The most rows that the statement returns. */
  readonly maxReadRows: number;
}

/** Costs of one row, in SQLite's unit. */
const SCANNED_ROW = 3;
const INDEX_ENTRY = 2;
/** An entry of an index, and its row, which lies anywhere in the table. */
const LOOKED_UP_ROW = 9;
const WRITTEN_ROW = 6;
const SORTED_ROW = 8;
const SEEK = 20;
/** Rows that a search with an equality finds if nothing better is known, as SQLite assumes. */
const FOUND_ROWS = 10;
/** Rows that a table-valued function returns. */
const FUNCTION_ROWS = 100;

interface Cost {
  /** Each time that the part runs. */
  readonly run: number;
  /** Once in the statement, however often the part runs. */
  readonly once: number;
  /** Rows returned by one run. */
  readonly rows: number;
}

/** Estimates the cost of a plan, in a unit of which a table scan takes three for each row. */
export function estimateCost(lines: readonly PlanLine[], options: CostOptions): number {
  const children = Map.groupBy(lines, ({ parent }) => parent);
  const sources = createPlanSources(lines, options.readText);

  const estimateBelow = (parent: number): Cost => {
    let run = 0;
    let once = 0;
    let loopRows: number | undefined;
    let partRows = 0;
    /** log2 of the rows of the subqueries that begin beside the loops, by name. */
    const siblings = new Map<string, number>();
    for (const line of children.get(parent) ?? []) {
      const { detail } = line;
      const rows = loopRows ?? 1;
      if (isLoop(line)) {
        const loop = estimateLoopCost(line, (name) => 2 ** sources.findRowsLog2(name, siblings), options);
        run += rows * loop.run;
        once += loop.once;
        loopRows = rows * (parseLoop(detail).endsEarly ? Math.min(1, loop.rows) : loop.rows);
        continue;
      }
      if (detail.startsWith("USE TEMP B-TREE ")) {
        run += rows * SORTED_ROW;
        continue;
      }
      const name = /^(?:MATERIALIZE|CO-ROUTINE) (.+)$/.exec(detail)?.[1];
      const child = name === undefined ? estimateBelow(line.id) : estimateSubquery(line.id, foldName(name));
      once += child.once;
      if (name !== undefined) siblings.set(foldName(name), Math.log2(Math.max(1, child.rows)));
      if (detail === "MULTI-INDEX OR") {
        run += rows * child.run;
        loopRows = rows * child.rows;
      } else if (detail.startsWith("CORRELATED ")) run += rows * child.run;
      else if (detail.startsWith("MATERIALIZE ")) once += child.run + child.rows * WRITTEN_ROW;
      else if (/^(?:SCALAR|LIST) SUBQUERY /.test(detail)) once += child.run;
      else {
        run += child.run;
        if (name === undefined) partRows += child.rows;
      }
    }
    return { run, once, rows: loopRows ?? partRows };
  };
  /** A subquery with a LIMIT stops early. */
  const estimateSubquery = (parent: number, name: string): Cost => {
    const { run, once, rows } = estimateBelow(parent);
    const rowsLog2 = sources.boundRowsLog2(name, Math.log2(Math.max(1, rows)));
    sources.add(name, rowsLog2);
    return { run: run * findReadShare(parent, rows, sources.boundReadRows(name)), once, rows: 2 ** rowsLog2 };
  };
  /** Estimates the share of its rows that a query reads before it stops; all if it sorts them. */
  const findReadShare = (parent: number, rows: number, readRows: number): number =>
    sortsRows(children.get(parent) ?? []) ? 1 : Math.min(1, readRows / Math.max(1, rows));
  const { run, once, rows } = estimateBelow(0);
  return once + run * findReadShare(0, rows, options.maxReadRows);
}

/** Whether a query sorts its rows, and so reads all of them before it returns the first. */
function sortsRows(lines: readonly PlanLine[]): boolean {
  return lines.some(({ detail }) => detail.startsWith("USE TEMP B-TREE FOR ORDER BY"));
}

/** Estimates one run of a loop. `findRows` returns the rows of a subquery by its name in the plan. */
function estimateLoopCost(line: PlanLine, findRows: (name: string) => number, options: CostOptions): Cost {
  const { detail } = line;
  if (detail.includes(" VIRTUAL TABLE INDEX "))
    return { run: FUNCTION_ROWS * SCANNED_ROW, once: 0, rows: FUNCTION_ROWS };
  const constantRows = readConstantRows(detail);
  if (constantRows !== undefined) return { run: constantRows, once: 0, rows: constantRows };
  const loop = parseLoop(detail);
  const { name, isSearch, using, terms } = loop;
  const isTable = readsTable(loop, options.getRowCount);
  const allRows = isTable ? Math.max(1, options.getRowCount(name) ?? UNKNOWN_ROWS) : findRows(name);
  if (using.startsWith("AUTOMATIC ")) {
    const foundRows = isKeySearch(terms, options.keyColumn) ? 1 : FOUND_ROWS;
    return { run: SEEK + foundRows * INDEX_ENTRY, once: allRows * (SCANNED_ROW + WRITTEN_ROW), rows: foundRows };
  }
  if (!isSearch) {
    const rowCost = using === "" ? SCANNED_ROW : getIndexedRowCost(loop);
    return { run: allRows * rowCost, once: 0, rows: allRows * (isTable ? options.getShownShare(name) : 1) };
  }
  return isTable ? estimateSearch(line, loop, allRows, options) : { run: SEEK, once: 0, rows: 1 };
}

function getIndexedRowCost({ using }: LoopLine): number {
  return using.includes("COVERING INDEX ") ? INDEX_ENTRY : LOOKED_UP_ROW;
}

/** Estimates one search of a table with this number of rows. */
function estimateSearch({ cost }: PlanLine, loop: LoopLine, allRows: number, options: CostOptions): Cost {
  const { name, using, terms } = loop;
  const shownShare = options.getShownShare(name);
  const rowCost = getIndexedRowCost(loop);
  if (terms.length === 1 && terms[0] === "rowid=?") return { run: SEEK, once: 0, rows: 1 };
  // For max() or min() by an index, SQLite stops at the first row.
  if (terms.length === 0 && using !== "")
    return { run: SEEK + LOOKED_UP_ROW / Math.max(shownShare, 1 / allRows), once: 0, rows: 1 };
  if (terms.length > 0 && listTermsBeside(terms, options.listRuleColumns(name)).length === 0) {
    const found = allRows * shownShare;
    return { run: SEEK + found * rowCost, once: 0, rows: found };
  }
  // Without statistics SQLite guesses a fixed part of about a million rows for a range.
  const isRange = terms.every((term) => /[<>]/.test(term));
  const scale = isRange && !options.hasStatistics(name) ? allRows / UNKNOWN_ROWS : 1;
  const run = Math.min(2 ** (cost / 10) * scale, allRows * rowCost);
  return { run: SEEK + run, once: 0, rows: Math.max(1, (run / rowCost) * shownShare) };
}
