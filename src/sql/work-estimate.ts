// Estimates how much work a statement would be from SQLite's query plan: which loops are nested, and how often each one runs. The estimate
// only serves to refuse obvious mistakes; users never see it.
import type { PlanLine } from "./engine/sqlite.ts";
import { foldName } from "./identifier.ts";
import { estimateLoop } from "./loop-estimate.ts";
import { isLoop } from "./plan-loops.ts";
import type { Loop } from "./loop-estimate.ts";
import { addLog2, NO_STEPS_LOG2 } from "./log2.ts";
import { createPlanSources } from "./plan-sources.ts";
import type { PlanSources, StatementText } from "./plan-sources.ts";
import type { FrameCost } from "./window-frames.ts";

/** What an estimate knows besides the plan. */
export interface WorkOptions {
  /** Returns the approximate number of rows of the table with this folded name; undefined if unknown. */
  readonly getRowCount: (table: string) => number | undefined;
  /**
   * Whether the size of the table with this folded name counts only by its size class, because a row rule hides rows. A refusal must not
   * reveal how many: an attacker could vary the other side of a join and find the number by bisection.
   */
  readonly usesSizeClass: (table: string | undefined) => boolean;
  /** Lists the folded names of the columns that row rules on the table with this folded name read. */
  readonly listRuleColumns: (table: string) => ReadonlySet<string>;
  /** Maximum elements that one call of a table-valued function can return. */
  readonly maxElements: number;
  /** The costliest window frame that SQLite reads again for each row; undefined if there is none. */
  readonly frame: FrameCost | undefined;
  /** Whether the table with this folded name has statistics, so that SQLite's cost of a search is no guess. */
  readonly hasStatistics?: (table: string) => boolean;
  /** The folded name of the column of keyed views of which no two rows have the same value. */
  readonly keyColumn?: string;
  /** Outlines the statement, which bounds the rows of its subqueries. Without it, a subquery returns all rows that it reads. */
  readonly readText?: () => StatementText;
  /** Returns log2 of the steps that computing the database view with this folded name takes; undefined for a table. */
  readonly getViewStepsLog2?: (name: string) => number | undefined;
}

/** The costliest part of a statement, by the names in its plan. */
export interface ExpensivePart {
  readonly kind: "frame" | "full join" | "correlated subquery" | "join" | "scan";
  /** What the part reads for each row of `outer`, by its name in the plan. */
  readonly inner: readonly string[];
  /** The loops around it that pass more than one row, the outermost first. */
  readonly outer: readonly string[];
  readonly stepsLog2: number;
}

/** Estimated steps of a statement, as log2. */
interface WorkEstimate {
  readonly stepsLog2: number;
  /** Steps of one run of the costliest subquery among those that run when a row first reaches them. */
  readonly subqueryStepsLog2: number;
  /** Rows that the statement returns, before a LIMIT of its own; as log2. */
  readonly rowsLog2: number;
  /** Undefined for an empty plan. */
  readonly expensivePart: ExpensivePart | undefined;
}

/** What the lines below one line of a plan amount to; as log2. */
interface Branch {
  /** Steps of each run. */
  readonly stepsLog2: number;
  /** Steps that happen once, however often the branch runs. */
  readonly onceLog2: number;
  readonly rowsLog2: number;
  readonly expensivePart: ExpensivePart | undefined;
}

/**
 * Estimates the work of a plan. Loops that follow each other under one parent are nested. A correlated subquery runs for each iteration of
 * the loops before it, any other subquery once.
 */
export function estimateWork(lines: readonly PlanLine[], options: WorkOptions): WorkEstimate {
  const walk = new PlanWalk(lines, options);
  const { stepsLog2, onceLog2, rowsLog2, expensivePart } = walk.estimateBelow(0, "");
  const totalLog2 = addLog2(stepsLog2, onceLog2);
  return {
    // A number that could not be computed refuses the statement.
    stepsLog2: Number.isNaN(totalLog2) ? Number.POSITIVE_INFINITY : totalLog2,
    subqueryStepsLog2: walk.subqueryStepsLog2,
    rowsLog2: Number.isNaN(rowsLog2) ? Number.POSITIVE_INFINITY : rowsLog2,
    expensivePart: expensivePart && walk.namePart(expensivePart),
  };
}

class PlanWalk {
  readonly #children: ReadonlyMap<number, readonly PlanLine[]>;
  readonly #options: WorkOptions;
  readonly #sources: PlanSources;
  subqueryStepsLog2 = 0;

  constructor(lines: readonly PlanLine[], options: WorkOptions) {
    this.#children = Map.groupBy(lines, ({ parent }) => parent);
    this.#options = options;
    this.#sources = createPlanSources(lines, options.readText);
  }

  /** Replaces aliases by the names that they stand for. */
  namePart({ inner, outer, ...part }: ExpensivePart): ExpensivePart {
    const nameSource = (name: string): string => this.#sources.nameSource(name);
    return { ...part, inner: inner.map(nameSource), outer: outer.map(nameSource) };
  }

  /** Estimates the lines below a line. `query` is the name of the subquery that they belong to. */
  estimateBelow(parent: number, query: string): Branch {
    const level = new Level(this.#children.get(parent) ?? []);
    for (const line of level.lines) this.#addLine(level, line, query);
    return level.toBranch();
  }

  #addLine(level: Level, line: PlanLine, query: string): void {
    const { detail } = line;
    if (isLoop(line)) {
      level.addLoop(estimateLoop(line, this.#sources, level.siblings, this.#options), detail.endsWith(" LEFT-JOIN"));
      return;
    }
    const subquery = /^(MATERIALIZE|CO-ROUTINE) (.+)$/.exec(detail);
    const name = foldName(subquery?.[2] ?? "");
    const child = this.estimateBelow(line.id, subquery === null ? query : name);
    if (subquery !== null) {
      const rowsLog2 = this.#sources.boundRowsLog2(name, child.rowsLog2);
      this.#sources.add(name, rowsLog2);
      level.siblings.set(name, rowsLog2);
      level.addSubquery(child, subquery[1] === "MATERIALIZE" && this.#sources.runsOnce(name));
    } else if (detail === MULTI_INDEX_OR) level.addLoop({ ...child, name: "", hasFrame: false }, false);
    else if (/^(?:CORRELATED )?(?:SCALAR|LIST) SUBQUERY /.test(detail)) {
      this.subqueryStepsLog2 = Math.max(this.subqueryStepsLog2, addLog2(child.stepsLog2, child.onceLog2));
      if (detail.startsWith("CORRELATED "))
        level.addCorrelated(
          child,
          level.isSorted() ? Number.POSITIVE_INFINITY : this.#sources.boundListRunsLog2(query),
        );
      else level.addSubquery(child, true);
    } else if (detail.startsWith("RIGHT-JOIN ")) level.addRightJoin(child);
    else level.addPart(child, detail === "RECURSIVE STEP" ? this.#sources.countStepsLog2(query) : 0);
  }
}

/** The lines below one line of a plan, of which the loops are nested. */
class Level {
  readonly lines: readonly PlanLine[];
  /** log2 of the rows of the subqueries that begin on this level, by name. */
  readonly siblings = new Map<string, number>();
  #stepsLog2 = NO_STEPS_LOG2;
  #onceLog2 = NO_STEPS_LOG2;
  #expensivePart: ExpensivePart | undefined;
  /** Iterations of the innermost loop so far; undefined before the first loop. */
  #loopRowsLog2: number | undefined;
  /** Rows of parts that are no loops, such as the two sides of a UNION. */
  #partRowsLog2 = NO_STEPS_LOG2;
  readonly #outer: string[] = [];
  readonly #hasRightJoin: boolean;

  constructor(lines: readonly PlanLine[]) {
    this.lines = lines;
    this.#hasRightJoin = lines.some(({ detail }) => detail.startsWith("RIGHT-JOIN "));
  }

  /** Whether SQLite sorts the rows. It computes the select list of each row that enters the first ones, which may be every row. */
  isSorted(): boolean {
    return this.lines.some(({ detail }) => detail.startsWith("USE TEMP B-TREE FOR ORDER BY"));
  }

  toBranch(): Branch {
    return {
      stepsLog2: this.#stepsLog2,
      onceLog2: this.#onceLog2,
      rowsLog2: this.#loopRowsLog2 ?? Math.max(0, this.#partRowsLog2),
      expensivePart: this.#expensivePart,
    };
  }

  addLoop({ stepsLog2, onceLog2, rowsLog2, name, hasFrame }: Loop, isRightSide: boolean): void {
    const runsLog2 = this.#loopRowsLog2 ?? 0;
    const joinKind = isRightSide && this.#hasRightJoin ? "full join" : "join";
    const kind = hasFrame ? "frame" : this.#outer.length > 0 ? joinKind : "scan";
    this.#addSteps(runsLog2 + stepsLog2, { kind, inner: [name], outer: [...this.#outer] });
    this.#onceLog2 = addLog2(this.#onceLog2, onceLog2);
    this.#loopRowsLog2 = runsLog2 + rowsLog2;
    if (rowsLog2 > 0) this.#outer.push(name);
  }

  addCorrelated({ stepsLog2, onceLog2, expensivePart }: Branch, maxRunsLog2: number): void {
    const inner = expensivePart === undefined ? [] : [...expensivePart.outer, ...expensivePart.inner];
    const part = { kind: "correlated subquery", inner, outer: [...this.#outer] } as const;
    this.#addSteps(Math.min(this.#loopRowsLog2 ?? 0, maxRunsLog2) + stepsLog2, part);
    this.#onceLog2 = addLog2(this.#onceLog2, onceLog2);
  }

  /** Adds a subquery that runs once for each run of this level, or once at all. */
  addSubquery({ stepsLog2, onceLog2, expensivePart }: Branch, runsOnce: boolean): void {
    this.#onceLog2 = addLog2(this.#onceLog2, runsOnce ? addLog2(onceLog2, stepsLog2) : onceLog2);
    if (!runsOnce) this.#stepsLog2 = addLog2(this.#stepsLog2, stepsLog2);
    this.#notePart(expensivePart);
  }

  /** Adds the rows of the right side of a join that matched nothing. They are read after all others. */
  addRightJoin(child: Branch): void {
    this.addSubquery(child, false);
    this.#loopRowsLog2 = addLog2(this.#loopRowsLog2 ?? 0, child.rowsLog2);
  }

  addPart(child: Branch, runsLog2: number): void {
    this.addSubquery({ ...child, stepsLog2: runsLog2 + child.stepsLog2 }, false);
    this.#partRowsLog2 = addLog2(this.#partRowsLog2, runsLog2 + child.rowsLog2);
  }

  #addSteps(stepsLog2: number, part: Omit<ExpensivePart, "stepsLog2">): void {
    this.#stepsLog2 = addLog2(this.#stepsLog2, stepsLog2);
    this.#notePart({ ...part, stepsLog2 });
  }

  #notePart(part: ExpensivePart | undefined): void {
    if (part !== undefined && part.stepsLog2 > (this.#expensivePart?.stepsLog2 ?? NO_STEPS_LOG2))
      this.#expensivePart = part;
  }
}

/** A loop over several indexes, one after the other. */
const MULTI_INDEX_OR = "MULTI-INDEX OR";
