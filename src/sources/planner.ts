// The layer of governed SQL that plans: says how views are best computed, and refuses what would take too much work.
import { AppError } from "../errors.ts";
import type { PlanLine } from "../sql/engine/sqlite.ts";
import { sqlOf, usedViews } from "../sql/guard.ts";
import type { GuardView, GuardedQuery, ViewForm } from "../sql/guard.ts";
import { foldName } from "../sql/identifier.ts";
import { estimateWork, nestsScans } from "../sql/plan.ts";
import type { WorkOptions } from "../sql/plan.ts";
import { createMemory, keyOf } from "../sql/remembered.ts";
import { canFailOnRow } from "../sql/row-failures.ts";
import { canStallOnRow, mayRunSubqueryOnHiddenRow } from "../sql/row-stalls.ts";
import type { SchemaCopy } from "../sql/schema.ts";
import { tableFunctionsOf } from "../sql/statement.ts";
import { costliestFrame } from "../sql/window-frames.ts";
import { TellingOrder, guarded } from "./reading.ts";
import type { Layer, Reading, ReadRequest } from "./reading.ts";
import { couldTell, planTells } from "./telling.ts";

export interface PlannerOptions {
  /** Steps that a query may take, by the plan's estimate. */
  readonly maxSteps: number;
}

/** A form of the views, and the steps that it would take, as log2. */
interface Plan {
  readonly form: ViewForm;
  readonly work: number;
}

/**
 * Chooses the form of the views by the plans that SQLite makes over the copy, and refuses what can only be a mistake. Should the
 * database plan otherwise and an index tell by the order of rows, the query runs once more with views that sort.
 */
export function planner({ maxSteps }: PlannerOptions): Layer {
  const plans = createMemory<Plan>();
  return (next) => async (reading) => {
    const { schema } = reading;
    const request = { ...reading.request, form: { ...reading.request.form, fenced: needsFence(reading) } };
    const query = guarded(reading, { ...request.form, ordering: "free" });
    const key = keyOf(query, request.nonce);
    const plan = (choose: typeof cheapest, isKnown: boolean): Plan =>
      schema.use((copy) => {
        const known = isKnown ? plans.get(copy, key) : undefined;
        if (known !== undefined) return known;
        const { form, work } = choose(copy, { ...reading, request }, query);
        if (!dependsOnValues(request)) plans.set(copy, key, { form, work });
        return { form, work };
      });
    const run = ({ form, work }: Plan) => {
      if (work > Math.log2(maxSteps))
        throw tooMuchWork(query, costliestFrame(request.statement, request.values) !== undefined);
      return next({ ...reading, request: { ...request, form } });
    };
    try {
      return await run(plan(cheapest, true));
    } catch (error) {
      if (!(error instanceof TellingOrder)) throw error;
      return await run(plan(sorted, false));
    }
  };
}

/** What a table-valued function gives and how large a frame is may depend on the bound values, which the key leaves out. */
function dependsOnValues({ statement, values }: ReadRequest): boolean {
  return (
    tableFunctionsOf(statement).length > 0 || (values.length > 0 && costliestFrame(statement, values) !== undefined)
  );
}

interface Planned extends Plan {
  readonly lines: readonly PlanLine[];
  /** As of `WorkEstimate`. */
  readonly subqueryWork: number;
}

/** Views in the statement whose tables have rows that the user does not see. */
function restrictedViews({ statement, views }: ReadRequest): Views {
  return usedViews(statement, views).filter((view) => view.isRowRestricted);
}

const MAX_JUDGED_TOKENS = 3000;

/** Whether an expression could tell of hidden rows by failing, or by the time that it takes. */
function needsFence({ request, schema }: Reading): boolean {
  const { statement, values, views } = request;
  if (restrictedViews(request).length === 0) return false;
  // To judge a statement takes time that grows with the square of its length: one this long is fenced unseen.
  if (statement.tokens.length > MAX_JUDGED_TOKENS) return true;
  if (canStallOnRow(statement, values)) return true;
  // Of every view: a hidden row may decide whether a subquery over another table runs.
  const fragile = schema.use((copy) =>
    usedViews(statement, views).flatMap((view) => [...view.fragile, ...computedColumns(copy, view)]),
  );
  return canFailOnRow(statement, values, new Set(fragile.map(foldName)));
}

/** Columns that the table computes when they are read, by an expression of any kind. */
function computedColumns(copy: SchemaCopy, { name }: GuardView): readonly string[] {
  return copy.shapeOf(name).columns.flatMap((column) => (column.isGenerated ? [column.name] : []));
}

const NO_COLUMNS: ReadonlySet<string> = new Set();

/** As log2, steps that take some milliseconds: too little to be told from the noise of a request. */
const UNNOTICED_STEPS = 17;
/** As log2, steps from which on another form is worth the time to plan it. */
const SLOW_STEPS = 24;

/** With the views fenced where a subquery that a hidden row may reach takes noticeably long. */
function cheapest(copy: SchemaCopy, reading: Reading, query: GuardedQuery): Planned {
  const { request } = reading;
  const best = cheapestForm(copy, reading, query);
  if (request.form.fenced || restrictedViews(request).length === 0) return best;
  const fenced = () =>
    cheapestForm(copy, { ...reading, request: { ...request, form: { ...request.form, fenced: true } } }, query);
  if (best.subqueryWork > UNNOTICED_STEPS && mayRunSubqueryOnHiddenRow(request.statement)) return fenced();
  // An index on a rule's column in an inner loop finds all visible rows each time; behind a fence, SQLite indexes them for the join.
  return best.work > SLOW_STEPS ? cheaper(best, fenced()) : best;
}

/** Masked columns have no index: where passes over them are nested, computing views first may be cheaper. */
function cheapestForm(copy: SchemaCopy, reading: Reading, { used }: GuardedQuery): Planned {
  const { materialized, fenced } = reading.request.form;
  const best = untelling(copy, reading, used, materialized);
  const isIndexLost = fenced || best.form.ordering !== "free" || used.some((view) => view.isMasked);
  const isSlow = isIndexLost && nestsScans(best.lines);
  return materialized || !isSlow ? best : cheaper(best, untelling(copy, reading, used, true));
}

/** The cheapest plan in which the order of rows tells nothing. */
function untelling(copy: SchemaCopy, reading: Reading, used: Views, materialized: boolean): Planned {
  const free = planOf(copy, reading, { ...reading.request.form, materialized, ordering: "free", untelling: [] });
  if (!planTells(copy, free.lines, used)) return free;
  const form = { ...reading.request.form, materialized, untelling: freeViews(copy, used) };
  const unindexed = planOf(copy, reading, { ...form, ordering: "unindexed" });
  const sorting = planOf(copy, reading, { ...form, ordering: "sorted" });
  // A table without row numbers is read by an index all the same.
  return planTells(copy, unindexed.lines, used) ? sorting : cheaper(unindexed, sorting);
}

/** With views that sort, and are fenced, which needs no luck with plans. */
function sorted(copy: SchemaCopy, reading: Reading, { used }: GuardedQuery): Planned {
  return planOf(copy, reading, {
    ...reading.request.form,
    fenced: true,
    untelling: freeViews(copy, used),
    ordering: "sorted",
  });
}

type Views = GuardedQuery["used"];

/** The names of views that no index could order by hidden values. */
function freeViews(copy: SchemaCopy, used: Views): readonly string[] {
  return used.filter((view) => !couldTell(copy, view)).map((view) => view.name);
}

function planOf(copy: SchemaCopy, reading: Reading, form: ViewForm): Planned {
  const lines = copy.engine.plan(sqlOf(guarded(reading, form)));
  return { form, lines, ...estimateWork(lines, workOptions(copy, reading)) };
}

/** The first, if they are alike. */
function cheaper(one: Planned, other: Planned): Planned {
  return other.work < one.work ? other : one;
}

function tooMuchWork({ used }: GuardedQuery, hasCostlyFrame: boolean): AppError {
  if (hasCostlyFrame)
    return new AppError(
      "query_refused",
      "The query would take too much work. A window frame with EXCLUDE, and a window function that builds text, goes through its whole frame for each row: make the frame smaller, leave EXCLUDE out, or filter first.",
    );
  const names = used.map((view) => view.name).join(" and ");
  const hint = used.some((view) => view.isMasked) ? " Masked columns have no index: prefer others." : "";
  return new AppError(
    "query_refused",
    `The query would take too much work. ${names === "" ? "Join" : `Join ${names}`} on equal columns, also in place of subqueries, or filter first.${hint}`,
  );
}

function workOptions({ snapshot }: SchemaCopy, { request }: Reading): WorkOptions {
  const { statement, values } = request;
  const restricted = new Map(
    restrictedViews(request).map(({ name, ruled }) => [foldName(name), new Set(ruled.map(foldName))]),
  );
  const given = values.reduce<number>((sum, value) => sum + (typeof value === "string" ? value.length : 0), 0);
  return {
    rowsOf: (table) => snapshot.rows.get(table),
    isCoarse: (table) => (table === undefined ? restricted.size > 0 : restricted.has(table)),
    ruledColumns: (table) => restricted.get(table) ?? NO_COLUMNS,
    frame: costliestFrame(statement, values),
    // A JSON array has at most one element for each two characters; one that stands in a row is taken to be small.
    maxElements: Math.max(100, (statement.text.length + given) / 2),
  };
}
