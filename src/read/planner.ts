// The planning layer of governed SQL: chooses how guard views are computed, and refuses statements that would take too much work.
import type { PlanLine } from "../sql/engine/sqlite.ts";
import { toSql, listUsedViews } from "../sql/statement-guard.ts";
import type { GuardView, ViewForm } from "../sql/statement-guard.ts";
import { foldName } from "../sql/identifier.ts";
import { estimateCost } from "../sql/plan-cost.ts";
import type { CostOptions } from "../sql/plan-cost.ts";
import { readsRepeatedly, searchesByRule } from "../sql/plan-loops.ts";
import { estimateWork } from "../sql/work-estimate.ts";
import type { ExpensivePart, WorkOptions } from "../sql/work-estimate.ts";
import { createStatementCache, buildStatementKey } from "../sql/statement-cache.ts";
import { canFailOnRow } from "../sql/row-error-oracles.ts";
import { canStallOnRow, mayRunSubqueryOnHiddenRow } from "../sql/row-timing-oracles.ts";
import type { SchemaCopy } from "../sql/schema-copy.ts";
import { buildGuardedQuery } from "./read-pipeline.ts";
import type { Middleware, ReadContext, ReadRequest } from "./read-pipeline.ts";
import { mayLeakOrder, planLeaksOrder } from "./order-leak.ts";
import { createTooMuchWorkError } from "./too-much-work.ts";
import { buildEstimateOptions, listReferencedTables, valuesAffectEstimate } from "./estimate-options.ts";

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
 * Chooses the form of the views by the plans that SQLite makes over the copy of the schema. Passes on the guarded query in this form.
 * Errors: `query_refused` when the estimate exceeds `maxSteps`.
 */
export function planner({ maxSteps }: PlannerOptions): Middleware {
  const plans = createStatementCache<Plan>();
  return (next) => async (context) => {
    const { schema, request } = context;
    // Whether a fence is needed may depend on bound values, which the key does not include, so it is decided for each read.
    const fenced = schema.use((copy) => needsFence(copy, request));
    const firstForm = { ...FIRST_FORM, fenced };
    const statementKey = buildStatementKey(buildGuardedQuery(context, firstForm), request.nonce);
    const key = `${statementKey} ${listReferencedTables(request).join(",")}`;
    const { form, stepsLog2 } = schema.use((copy): Plan => {
      const cachedPlan = request.sortsViews ? undefined : plans.get(copy, key);
      if (cachedPlan !== undefined) return cachedPlan;
      const plan = choosePlan(createPlanning(copy, context), firstForm, Math.log2(maxSteps));
      // After a leaking plan, later reads sort from the start. Views that are sorted to be on the safe side are sorted once.
      const isLasting = !request.sortsViews || request.hasLeakedOrder;
      if (isLasting && !valuesAffectEstimate(request))
        plans.set(copy, key, { form: plan.form, stepsLog2: plan.stepsLog2 });
      return plan;
    });
    const query = buildGuardedQuery(context, form);
    if (stepsLog2 > Math.log2(maxSteps)) {
      const { expensivePart } = schema.use((copy) => makePlan(createPlanning(copy, context), form));
      throw createTooMuchWorkError(expensivePart, { ...request, ...query });
    }
    return next({ ...context, request: { ...request, form }, planned: { query, views: request.views, form } });
  };
}

/** What all plans of one statement are made with. */
interface Planning {
  readonly copy: SchemaCopy;
  readonly context: ReadContext;
  readonly usedViews: readonly GuardView[];
  readonly workOptions: WorkOptions;
  readonly costOptions: CostOptions;
}

interface Candidate extends Plan {
  readonly lines: readonly PlanLine[];
  readonly cost: number;
  /** See `WorkEstimate`. */
  readonly subqueryStepsLog2: number;
  /** See `WorkEstimate`. */
  readonly expensivePart: ExpensivePart | undefined;
}

/** The form that a statement has if nothing calls for another one. */
const FIRST_FORM: ViewForm = {
  ruleIndexed: true,
  materialized: false,
  fenced: false,
  ordering: "free",
  orderSafe: [],
};

/** Checking a statement takes time that grows with the square of its length, so longer ones are fenced without a check. */
const MAX_JUDGED_LEXER_TOKENS = 3000;

/** Whether an expression could reveal hidden rows by failing on them, or by the time that it takes. */
function needsFence(copy: SchemaCopy, { statement, values, views }: ReadRequest): boolean {
  const usedViews = listUsedViews(statement, views);
  if (!usedViews.some((view) => view.isRowRestricted)) return false;
  if (statement.tokens.length > MAX_JUDGED_LEXER_TOKENS) return true;
  if (canStallOnRow(statement, values)) return true;
  // Include every view, not only restricted ones: a hidden row can decide whether a subquery over another table runs.
  const fallibleColumns = usedViews.flatMap((view) => [...view.fallibleColumns, ...listGeneratedColumns(copy, view)]);
  const columns = new Set(usedViews.flatMap((view) => view.columns.map(foldName)));
  return canFailOnRow(statement, values, new Set(fallibleColumns.map(foldName)), (name) => columns.has(name));
}

/** Lists the generated columns of the view's table, whose expressions can fail when they are read. */
function listGeneratedColumns(copy: SchemaCopy, { name }: GuardView): readonly string[] {
  return copy.getTableShape(name).columns.flatMap((column) => (column.isGenerated ? [column.name] : []));
}

/** log2 of steps that take a few milliseconds, which the noise of a request hides. */
const UNNOTICED_STEPS_LOG2 = 17;

/**
 * Chooses the cheapest form. The fence is required where an expression could reveal a hidden row, or where a subquery that runs for a
 * hidden row would take noticeably long; elsewhere it is one form among the others.
 */
function choosePlan(planning: Planning, firstForm: ViewForm, maxStepsLog2: number): Plan {
  const { context, usedViews } = planning;
  if (context.request.sortsViews) return makeSortedPlan(planning);
  const isRestricted = usedViews.some((view) => view.isRowRestricted);
  const mayStall = isRestricted && !firstForm.fenced && mayRunSubqueryOnHiddenRow(context.request.statement);
  const isAllowed = ({ form, subqueryStepsLog2 }: Candidate): boolean =>
    form.fenced || !(mayStall && subqueryStepsLog2 > UNNOTICED_STEPS_LOG2);
  const candidates: Candidate[] = [];
  const consider = (change: Partial<ViewForm>): void => {
    candidates.push(chooseOrderSafePlan(planning, { ...firstForm, ...change }));
  };
  const pickBest = (): Candidate | undefined => {
    const allowed = candidates.filter(isAllowed);
    const affordable = allowed.filter(({ stepsLog2 }) => stepsLog2 <= maxStepsLog2);
    return pickLeast(affordable, ({ cost }) => cost) ?? pickLeast(allowed, ({ stepsLog2 }) => stepsLog2);
  };
  consider({});
  if (pickBest() === undefined) consider({ fenced: true });
  const { listRuleColumns } = planning.costOptions;
  const searchesByRules = candidates.some(({ lines }) => searchesByRule(lines, listRuleColumns));
  const fenced = pickBest()?.form.fenced ?? true;
  if (searchesByRules) consider({ ruleIndexed: false, fenced });
  if (isRepeated(planning, pickBest())) {
    consider({ materialized: true, fenced });
    if (searchesByRules) consider({ materialized: true, ruleIndexed: false, fenced });
    if (isRestricted && !fenced) consider({ fenced: true });
  }
  const best = pickBest();
  if (best === undefined) throw new TypeError("a fenced form is always allowed");
  return best;
}

/** Whether views that SQLite cannot simply replace by their tables are read again and again. */
function isRepeated({ usedViews, costOptions }: Planning, best: Candidate | undefined): boolean {
  return (
    best !== undefined &&
    (best.form.ordering !== "free" || usedViews.some((view) => view.isMasked || view.isRowRestricted)) &&
    readsRepeatedly(best.lines, costOptions.listRuleColumns)
  );
}

/** Chooses the cheapest plan that does not leak order. */
function chooseOrderSafePlan(planning: Planning, form: ViewForm): Candidate {
  const { copy, usedViews } = planning;
  const freePlan = makePlan(planning, form);
  if (!planLeaksOrder(copy, freePlan.lines, usedViews)) return freePlan;
  const orderSafe = listOrderSafeViews(planning);
  const unindexedPlan = makePlan(planning, { ...form, orderSafe, ordering: "unindexed" });
  const sortedPlan = makePlan(planning, { ...form, orderSafe, ordering: "sorted" });
  // NOT INDEXED does not keep SQLite from reading a WITHOUT ROWID table by an index.
  return planLeaksOrder(copy, unindexedPlan.lines, usedViews)
    ? sortedPlan
    : (pickLeast([unindexedPlan, sortedPlan], ({ cost }) => cost) ?? sortedPlan);
}

/** Plans with sorted and fenced views, which leak no order whatever plan the database chooses. */
function makeSortedPlan(planning: Planning): Candidate {
  const orderSafe = listOrderSafeViews(planning);
  return makePlan(planning, { ...FIRST_FORM, fenced: true, orderSafe, ordering: "sorted" });
}

/** Lists the names of the views over which no plan could leak order. */
function listOrderSafeViews({ copy, usedViews }: Planning): readonly string[] {
  return usedViews.filter((view) => !mayLeakOrder(copy, view)).map((view) => view.name);
}

function makePlan({ copy, context, workOptions, costOptions }: Planning, form: ViewForm): Candidate {
  const lines = copy.engine.plan(toSql(buildGuardedQuery(context, form)));
  return { form, lines, cost: estimateCost(lines, costOptions), ...estimateWork(lines, workOptions) };
}

/** Prefers the first of several with the same value. Undefined for an empty list. */
function pickLeast<Item>(items: readonly Item[], getValue: (item: Item) => number): Item | undefined {
  return items.reduce<Item | undefined>(
    (least, item) => (least === undefined || getValue(item) < getValue(least) ? item : least),
    undefined,
  );
}

function createPlanning(copy: SchemaCopy, context: ReadContext): Planning {
  const { request } = context;
  const { work, cost } = buildEstimateOptions(copy, request);
  const usedViews = listUsedViews(request.statement, request.views);
  return { copy, context, usedViews, workOptions: work, costOptions: cost };
}
