// Estimates one loop of a plan: how many steps a run of it takes, and how many rows it passes on.
import type { PlanLine } from "./engine/sqlite.ts";
import { foldName } from "./identifier.ts";
import { NO_STEPS_LOG2 } from "./log2.ts";
import { isKeySearch, listTermsBeside, parseLoop, readConstantRows, readsTable } from "./plan-loops.ts";
import type { LoopLine } from "./plan-loops.ts";
import type { PlanSources } from "./plan-sources.ts";
import { UNKNOWN_ROWS, toClassLog2 } from "./row-count-class.ts";
import type { WorkOptions } from "./work-estimate.ts";

/** A loop; all numbers are log2. */
export interface Loop {
  /** Steps of one run. */
  readonly stepsLog2: number;
  /** Steps before the first run, such as those that build an index for this query. */
  readonly onceLog2: number;
  /** Rows that one run passes on. */
  readonly rowsLog2: number;
  /** What it reads, by the name in the plan. */
  readonly name: string;
  /** Whether it reads a window frame again for each row. */
  readonly hasFrame: boolean;
}

/** SQLite counts about three steps for each row that a scan passes. */
const STEPS_PER_ROW_LOG2 = Math.log2(3);
/** The factor, as log2, by which a search's estimated steps exceed the rows that it finds. */
const SEARCH_STEPS_LOG2 = 3;
/** The factor, as log2, by which the steps that build an index exceed its rows. */
const BUILD_STEPS_LOG2 = 3;
/** SQLite guesses that each end of a range leaves a quarter of the rows, and both ends together a quarter of that. */
const RANGE_END_LOG2 = 2;
/** Elements of an array that is stored in a row, which is assumed to be small. */
const STORED_ELEMENTS_LOG2 = Math.log2(100);

/** Estimates a loop. `siblings` has the rows of the subqueries that begin beside it. */
export function estimateLoop(
  line: PlanLine,
  sources: PlanSources,
  siblings: ReadonlyMap<string, number>,
  options: WorkOptions,
): Loop {
  const loop = { onceLog2: NO_STEPS_LOG2, name: "", hasFrame: false };
  const { detail } = line;
  const virtual = /^SCAN (.+?) VIRTUAL TABLE INDEX /.exec(detail);
  if (virtual !== null) return { ...loop, ...estimateElements(foldName(virtual[1] ?? ""), sources, options) };
  const constantRows = readConstantRows(detail);
  if (constantRows !== undefined) {
    const rowsLog2 = Math.log2(constantRows);
    return { ...loop, stepsLog2: rowsLog2, rowsLog2 };
  }
  const parsed = parseLoop(detail);
  const estimate = readsTable(parsed, options.getRowCount)
    ? estimateTable(line, parsed, options)
    : estimateSubquery(line, parsed, sources.findRowsLog2(parsed.name, siblings), sources, options);
  return { ...loop, name: parsed.name, ...estimate, rowsLog2: parsed.endsEarly ? 0 : estimate.rowsLog2 };
}

type Estimate = Pick<Loop, "stepsLog2" | "rowsLog2"> & Partial<Loop>;

function estimateElements(alias: string, sources: PlanSources, { maxElements, readText }: WorkOptions): Estimate {
  const known = sources.findElementsLog2(alias);
  const elementsLog2 = known ?? (readText === undefined ? Math.log2(maxElements) : STORED_ELEMENTS_LOG2);
  const rowsLog2 = Math.min(elementsLog2, Math.log2(maxElements));
  return { stepsLog2: rowsLog2, rowsLog2, name: alias };
}

function estimateTable({ cost }: PlanLine, line: LoopLine, options: WorkOptions): Estimate {
  const { name, using, isSearch, terms } = line;
  const toKnownLog2 = options.usesSizeClass(name) ? toClassLog2 : (sizeLog2: number): number => sizeLog2;
  const rowsLog2 = toKnownLog2(Math.log2(Math.max(1, options.getRowCount(name) ?? UNKNOWN_ROWS)));
  const viewStepsLog2 = options.getViewStepsLog2?.(name) ?? 0;
  const fullScan = { stepsLog2: Math.max(rowsLog2 + STEPS_PER_ROW_LOG2, viewStepsLog2), rowsLog2 };
  const costLog2 = Math.min(cost / 10, fullScan.stepsLog2);
  const onceLog2 = using.startsWith("AUTOMATIC ") ? rowsLog2 + BUILD_STEPS_LOG2 : NO_STEPS_LOG2;
  if (!isSearch || terms.length === 0) return fullScan;
  // A search for a row rule finds all rows that the user sees.
  const ownTerms = listTermsBeside(terms, options.listRuleColumns(name));
  if (ownTerms.length === 0) return fullScan;
  if (!ownTerms.some((term) => /[^<>]=\?$/.test(term))) return estimateRange(ownTerms, fullScan);
  // An equality on the rowid finds one row. Any other search finds the part of the table that SQLite guesses.
  if (terms.length === 1 && terms[0] === "rowid=?") return { stepsLog2: costLog2, rowsLog2: 0 };
  // Without statistics SQLite guesses ten rows. The cost of a frame grows with the square of the actual rows, though.
  if (options.frame !== undefined && options.hasStatistics?.(name) !== true) return fullScan;
  return { stepsLog2: costLog2, rowsLog2: Math.max(0, Math.min(costLog2 - SEARCH_STEPS_LOG2, rowsLog2)), onceLog2 };
}

/** A range may cover the whole table, and usually does not. */
function estimateRange(terms: readonly string[], { stepsLog2, rowsLog2 }: Estimate): Estimate {
  const reductionLog2 = RANGE_END_LOG2 * (terms.length > 1 ? 3 : 1);
  return { stepsLog2: Math.max(0, stepsLog2 - reductionLog2), rowsLog2: Math.max(0, rowsLog2 - reductionLog2) };
}

function estimateSubquery(
  { cost }: PlanLine,
  { name, using, isSearch, terms }: LoopLine,
  rowsLog2: number,
  sources: PlanSources,
  options: WorkOptions,
): Estimate {
  if (isSearch && using !== "") {
    const costLog2 = Math.min(cost / 10, rowsLog2 + STEPS_PER_ROW_LOG2);
    const foundLog2 = Math.max(0, Math.min(costLog2 - SEARCH_STEPS_LOG2, rowsLog2));
    const onceLog2 = using.startsWith("AUTOMATIC ") ? rowsLog2 + BUILD_STEPS_LOG2 : NO_STEPS_LOG2;
    if (isKeySearch(terms, options.keyColumn)) return { stepsLog2: SEARCH_STEPS_LOG2, rowsLog2: 0, onceLog2 };
    return { stepsLog2: costLog2, rowsLog2: foundLog2, onceLog2 };
  }
  const frameLog2 = sources.isWindowInput(name) ? estimateFrame(rowsLog2, sources, options) : 0;
  const stepsLog2 = rowsLog2 + frameLog2 + STEPS_PER_ROW_LOG2;
  return { stepsLog2, rowsLog2, hasFrame: frameLog2 > 0 };
}

/** Estimates the steps that a window frame adds for each of these rows. */
function estimateFrame(rowsLog2: number, sources: PlanSources, { frame }: WorkOptions): number {
  if (frame === undefined) return 0;
  const { partition, index } = frame;
  const partitionLog2 = rowsLog2 - sources.countPartitionsLog2(partition, index, rowsLog2);
  return Math.max(0, Math.log2(frame.stepsPerRow) + Math.min(partitionLog2, Math.log2(frame.rows)));
}
