// The planning layer of governed SQL: chooses how guard views are computed, and refuses statements that would take too much work.
import { AppError } from "../errors.ts";
import type { PlanLine } from "../sql/engine/sqlite.ts";
import { toSql, listUsedViews } from "../sql/statement-guard.ts";
import type { GuardView, GuardedQuery, ViewForm } from "../sql/statement-guard.ts";
import { foldName } from "../sql/identifier.ts";
import { estimateWork, hasNestedScan } from "../sql/work-estimate.ts";
import type { WorkOptions } from "../sql/work-estimate.ts";
import { createStatementCache, buildStatementKey } from "../sql/statement-cache.ts";
import { canFailOnRow } from "../sql/row-error-oracles.ts";
import { canStallOnRow, mayRunSubqueryOnHiddenRow } from "../sql/row-timing-oracles.ts";
import type { SchemaCopy } from "../sql/schema-copy.ts";
import { listTableFunctions } from "../sql/statement.ts";
import { findCostliestFrame } from "../sql/window-frames.ts";
import { OrderLeak, buildGuardedQuery } from "./read-pipeline.ts";
import type { Middleware, ReadContext, ReadRequest } from "./read-pipeline.ts";
import { mayLeakOrder, planLeaksOrder } from "./order-leak.ts";

/** The settings of a source that the planner needs. */
export interface PlannerOptions {
  /** Maximum steps of a query by the plan's estimate. */
  readonly maxSteps: number;
}

/** A form of the views, and log2 of the estimated steps of the statement in this form. */
interface Plan {
  readonly form: ViewForm;
  readonly stepsLog2: number;
}

/**
 * Chooses the form of the views by the plans that SQLite makes over the copy of the schema. When the database chooses another plan that
 * leaks order, the statement runs once more with sorted views. Errors: `query_refused` when the estimate exceeds `maxSteps`.
 */
export function planner({ maxSteps }: PlannerOptions): Middleware {
  const plans = createStatementCache<Plan>();
  return (next) => async (context) => {
    const { schema } = context;
    const request = { ...context.request, form: { ...context.request.form, fenced: needsFence(context) } };
    const query = buildGuardedQuery(context, { ...request.form, ordering: "free" });
    const key = buildStatementKey(query, request.nonce);
    const plan = (choosePlan: typeof chooseCheapestPlan, useCache: boolean): Plan =>
      schema.use((copy) => {
        const cachedPlan = useCache ? plans.get(copy, key) : undefined;
        if (cachedPlan !== undefined) return cachedPlan;
        const { form, stepsLog2 } = choosePlan(copy, { ...context, request }, query);
        if (!valuesAffectPlan(request)) plans.set(copy, key, { form, stepsLog2 });
        return { form, stepsLog2 };
      });
    const run = ({ form, stepsLog2 }: Plan) => {
      if (stepsLog2 > Math.log2(maxSteps))
        throw createTooMuchWorkError(query, findCostliestFrame(request.statement, request.values) !== undefined);
      return next({ ...context, request: { ...request, form } });
    };
    try {
      return await run(plan(chooseCheapestPlan, true));
    } catch (error) {
      if (!(error instanceof OrderLeak)) throw error;
      return await run(plan(makeSortedPlan, false));
    }
  };
}

/**
 * Whether the estimate depends on the bound values, through a table-valued function or the size of a window frame. The key of the plan
 * cache does not include the values.
 */
function valuesAffectPlan({ statement, values }: ReadRequest): boolean {
  return (
    listTableFunctions(statement).length > 0 ||
    (values.length > 0 && findCostliestFrame(statement, values) !== undefined)
  );
}

interface PlanDetails extends Plan {
  readonly lines: readonly PlanLine[];
  /** See `WorkEstimate`. */
  readonly subqueryStepsLog2: number;
}

/** Lists the views in the statement whose row rules hide rows. */
function listRestrictedViews({ statement, views }: ReadRequest): UsedViews {
  return listUsedViews(statement, views).filter((view) => view.isRowRestricted);
}

/** Checking a statement takes time that grows with the square of its length, so longer ones are fenced without a check. */
const MAX_JUDGED_LEXER_TOKENS = 3000;

/** Whether an expression could reveal hidden rows by failing on them, or by the time that it takes. */
function needsFence({ request, schema }: ReadContext): boolean {
  const { statement, values, views } = request;
  if (listRestrictedViews(request).length === 0) return false;
  if (statement.tokens.length > MAX_JUDGED_LEXER_TOKENS) return true;
  if (canStallOnRow(statement, values)) return true;
  // Include every view, not only restricted ones: a hidden row can decide whether a subquery over another table runs.
  const fallibleColumns = schema.use((copy) =>
    listUsedViews(statement, views).flatMap((view) => [...view.fallibleColumns, ...listGeneratedColumns(copy, view)]),
  );
  return canFailOnRow(statement, values, new Set(fallibleColumns.map(foldName)));
}

/** Lists the generated columns of the view's table, whose expressions can fail when they are read. */
function listGeneratedColumns(copy: SchemaCopy, { name }: GuardView): readonly string[] {
  return copy.getTableShape(name).columns.flatMap((column) => (column.isGenerated ? [column.name] : []));
}

const NO_COLUMNS: ReadonlySet<string> = new Set();

/** log2 of steps that take a few milliseconds, which the noise of a request hides. */
const UNNOTICED_STEPS_LOG2 = 17;
/** log2 of the steps above which another form is worth the time to plan it. */
const SLOW_STEPS_LOG2 = 24;

/** Chooses the cheapest form. Fences the views when a subquery that runs for a hidden row would take noticeably long. */
function chooseCheapestPlan(copy: SchemaCopy, context: ReadContext, query: GuardedQuery): PlanDetails {
  const { request } = context;
  const best = chooseCheapestForm(copy, context, query);
  if (request.form.fenced || listRestrictedViews(request).length === 0) return best;
  const planFenced = () =>
    chooseCheapestForm(copy, { ...context, request: { ...request, form: { ...request.form, fenced: true } } }, query);
  if (best.subqueryStepsLog2 > UNNOTICED_STEPS_LOG2 && mayRunSubqueryOnHiddenRow(request.statement))
    return planFenced();
  // An index on a rule's column, used in an inner loop, finds all visible rows each time. Behind a fence, SQLite builds an automatic
  // index for the join instead.
  return best.stepsLog2 > SLOW_STEPS_LOG2 ? pickCheaper(best, planFenced()) : best;
}

/** Compares with materialized views where no index helps and scans are nested: masked columns, for example, have no index. */
function chooseCheapestForm(copy: SchemaCopy, context: ReadContext, { usedViews }: GuardedQuery): PlanDetails {
  const { materialized, fenced } = context.request.form;
  const best = chooseOrderSafePlan(copy, context, usedViews, materialized);
  const isIndexLost = fenced || best.form.ordering !== "free" || usedViews.some((view) => view.isMasked);
  const isSlow = isIndexLost && hasNestedScan(best.lines);
  return materialized || !isSlow ? best : pickCheaper(best, chooseOrderSafePlan(copy, context, usedViews, true));
}

/** Chooses the cheapest plan that does not leak order. */
function chooseOrderSafePlan(
  copy: SchemaCopy,
  context: ReadContext,
  usedViews: UsedViews,
  materialized: boolean,
): PlanDetails {
  const freePlan = makePlan(copy, context, { ...context.request.form, materialized, ordering: "free", orderSafe: [] });
  if (!planLeaksOrder(copy, freePlan.lines, usedViews)) return freePlan;
  const form = { ...context.request.form, materialized, orderSafe: listOrderSafeViews(copy, usedViews) };
  const unindexedPlan = makePlan(copy, context, { ...form, ordering: "unindexed" });
  const sortedPlan = makePlan(copy, context, { ...form, ordering: "sorted" });
  // NOT INDEXED does not keep SQLite from reading a WITHOUT ROWID table by an index.
  return planLeaksOrder(copy, unindexedPlan.lines, usedViews) ? sortedPlan : pickCheaper(unindexedPlan, sortedPlan);
}

/** Plans with sorted and fenced views, which leak no order whatever plan the database chooses. */
function makeSortedPlan(copy: SchemaCopy, context: ReadContext, { usedViews }: GuardedQuery): PlanDetails {
  return makePlan(copy, context, {
    ...context.request.form,
    fenced: true,
    orderSafe: listOrderSafeViews(copy, usedViews),
    ordering: "sorted",
  });
}

type UsedViews = GuardedQuery["usedViews"];

/** Lists the names of the views over which no plan could leak order. */
function listOrderSafeViews(copy: SchemaCopy, usedViews: UsedViews): readonly string[] {
  return usedViews.filter((view) => !mayLeakOrder(copy, view)).map((view) => view.name);
}

function makePlan(copy: SchemaCopy, context: ReadContext, form: ViewForm): PlanDetails {
  const lines = copy.engine.plan(toSql(buildGuardedQuery(context, form)));
  return { form, lines, ...estimateWork(lines, buildWorkOptions(copy, context)) };
}

/** Prefers `left` when both take the same steps. */
function pickCheaper(left: PlanDetails, right: PlanDetails): PlanDetails {
  return right.stepsLog2 < left.stepsLog2 ? right : left;
}

function createTooMuchWorkError({ usedViews }: GuardedQuery, hasCostlyFrame: boolean): AppError {
  if (hasCostlyFrame)
    return new AppError(
      "query_refused",
      [
        "The query would take too much work. A window frame with EXCLUDE, or a window function that builds text, reads its whole frame",
        "again for each row: make the frame smaller, remove EXCLUDE, or filter first.",
      ].join(" "),
    );
  const names = usedViews.map((view) => view.name).join(" and ");
  const hint = usedViews.some((view) => view.isMasked) ? " Masked columns have no index: prefer others." : "";
  return new AppError(
    "query_refused",
    [
      `The query would take too much work. ${names === "" ? "Join" : `Join ${names}`} on equal columns,`,
      `use joins instead of subqueries, or filter first.${hint}`,
    ].join(" "),
  );
}

function buildWorkOptions({ snapshot }: SchemaCopy, { request }: ReadContext): WorkOptions {
  const { statement, values } = request;
  const restrictedTables = new Map(
    listRestrictedViews(request).map(({ name, ruleColumns }) => [foldName(name), new Set(ruleColumns.map(foldName))]),
  );
  const valueCharacters = values.reduce<number>(
    (sum, value) => sum + (typeof value === "string" ? value.length : 0),
    0,
  );
  return {
    getRowCount: (table) => snapshot.rowCounts.get(table),
    usesSizeClass: (table) => (table === undefined ? restrictedTables.size > 0 : restrictedTables.has(table)),
    listRuleColumns: (table) => restrictedTables.get(table) ?? NO_COLUMNS,
    frame: findCostliestFrame(statement, values),
    // A JSON array has at most one element per two characters. An array that is stored in a row is assumed to be small.
    maxElements: Math.max(100, (statement.text.length + valueCharacters) / 2),
  };
}
