// The planning layer of governed SQL: chooses how guard views are computed, and refuses statements that would take too much work.
import { recordCompilation } from "../sql/authorizer.ts";
import type { RecordedCompilation } from "../sql/authorizer.ts";
import { AppError } from "../errors.ts";
import { byteLength } from "../lib/bytes.ts";
import { EngineExhausted } from "../sql/engine/meter.ts";
import type { PlanLine } from "../sql/engine/sqlite.ts";
import { callsOnlyListedFunctions } from "../sql/listed-functions.ts";
import { PLAIN_FORM, toSql, listUsedViews } from "../sql/statement-guard.ts";
import type { GuardView, GuardedQuery, ViewForm } from "../sql/statement-guard.ts";
import { estimateCost } from "../sql/plan-cost.ts";
import type { CostOptions } from "../sql/plan-cost.ts";
import { readsRepeatedly, searchesByRule } from "../sql/plan-loops.ts";
import { estimateWork } from "../sql/work-estimate.ts";
import type { ExpensivePart, WorkOptions } from "../sql/work-estimate.ts";
import { createStatementCache, buildStatementKey } from "../sql/statement-cache.ts";
import { mayRunSubqueryOnHiddenRow } from "../sql/row-timing-oracles.ts";
import type { SchemaCopy } from "../sql/schema-copy.ts";
import { parseTrustedStatement } from "../sql/statement.ts";
import { appliesRuleLate, mayApplyRuleLate, needsFence, needsFenceIfLeftJoined } from "./fence.ts";
import { buildGuardedQuery } from "./read-pipeline.ts";
import type { Middleware, ReadContext } from "./read-pipeline.ts";
import { mayLeakOrder, planLeaksOrder } from "./order-leak.ts";
import { createTooMuchWorkError } from "./too-much-work.ts";
import { countMaskUses, estimateMaskFactor } from "./repeated-masks.ts";
import type { MaskUses } from "./repeated-masks.ts";
import type { PlannerReport } from "./read-trace.ts";
import { buildEstimateOptions, listReferencedTables, valuesAffectEstimate } from "./estimate-options.ts";

/** The settings of a source that the planner needs. */
export interface PlannerOptions {
  /** Maximum steps of a query by the plan's estimate. */
  readonly maxSteps: number;
  /** Receives the plan that was chosen, also one that is refused. */
  readonly onPlan?: ((report: PlannerReport) => void) | undefined;
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
export function planner({ maxSteps, onPlan }: PlannerOptions): Middleware {
  const plans = createStatementCache<Plan>();
  return (next) => async (context) => {
    const { schema, request } = context;
    // Whether a fence is needed may depend on bound values, which the key does not include, so it is decided for each read.
    const fenced = schema.use((copy) => needsFence(copy, request));
    const leftFenced =
      fenced && mayApplyRuleLate(request.statement) && schema.use((copy) => needsFenceIfLeftJoined(copy, request));
    const firstForm = { ...PLAIN_FORM, fenced };
    const firstQuery = buildGuardedQuery(context, firstForm);
    const tables = listReferencedTables(request);
    const key = JSON.stringify([buildStatementKey(firstQuery, request.nonce), tables, leftFenced]);
    const first = { form: firstForm, query: firstQuery };
    const plan = schema.use((copy): Plan & Partial<Candidate> => {
      const cachedPlan = request.sortsViews ? undefined : plans.get(copy, key);
      if (cachedPlan !== undefined) return cachedPlan;
      const newPlan = choosePlan(createPlanning(copy, context, first), leftFenced, Math.log2(maxSteps));
      // After a leaking plan, later reads sort from the start. Views that are sorted to be on the safe side are sorted once.
      const isLasting = !request.sortsViews || request.hasLeakedOrder;
      if (isLasting && !valuesAffectEstimate(request))
        plans.set(copy, key, { form: newPlan.form, stepsLog2: newPlan.stepsLog2 });
      return newPlan;
    });
    const { form, compilation } = plan;
    const query = plan.query ?? buildGuardedQuery(context, form);
    onPlan?.({
      request,
      query,
      form,
      stepsLog2: plan.stepsLog2,
      maxSteps,
      needsFence: fenced,
      lines: plan.lines ?? [],
    });
    if (plan.stepsLog2 > Math.log2(maxSteps)) {
      const { expensivePart } = schema.use((copy) => makePlan(createPlanning(copy, context, first), form));
      throw createTooMuchWorkError(expensivePart, { ...request, ...query });
    }
    const planned = { query, views: request.views, form, compilation };
    return next({ ...context, request: { ...request, form }, planned });
  };
}

/** What all plans of one statement are made with. */
interface Planning {
  readonly copy: SchemaCopy;
  readonly context: ReadContext;
  readonly usedViews: readonly GuardView[];
  readonly maskUses: MaskUses | undefined;
  readonly workOptions: WorkOptions;
  readonly costOptions: CostOptions;
  /** The form to try first, and its guarded query. */
  readonly first: { readonly form: ViewForm; readonly query: GuardedQuery };
}

interface Candidate extends Plan {
  readonly query: GuardedQuery;
  readonly lines: readonly PlanLine[];
  /** Spares the authorizer a compilation. Recording takes time, so only the first candidate, which is nearly always chosen, has it. */
  readonly compilation: RecordedCompilation | undefined;
  /** Estimates the cost when it is first compared. */
  readonly getCost: () => number;
  /** See `WorkEstimate`. */
  readonly subqueryStepsLog2: number;
  /** See `WorkEstimate`. */
  readonly expensivePart: ExpensivePart | undefined;
}

/** log2 of steps that take a few milliseconds, which the noise of a request hides. */
const UNNOTICED_STEPS_LOG2 = 17;

/** A text of this length leaves room for what later layers add within D1's limit of 100 KB. */
const MAX_REWRITTEN_BYTES = 80_000;

/**
 * Chooses the cheapest plan, among them those with LEFT joins in place of RIGHT and FULL ones. Such a plan that takes too much work is no
 * improvement: the refusal then is about the joins that the user wrote. `leftFenced`: whether the statement needs a fence if it has only
 * LEFT joins.
 */
function choosePlan(planning: Planning, leftFenced: boolean, maxStepsLog2: number): Candidate {
  const best = chooseForm(planning, maxStepsLog2);
  const hasRightJoin = best.lines.some(({ detail }) => detail.startsWith("RIGHT-JOIN "));
  if (!hasRightJoin || best.stepsLog2 <= UNNOTICED_STEPS_LOG2) return best;
  const { context, first } = planning;
  const written = buildRewrittenQuery(context, { ...first.form, leftJoined: true });
  if (written === undefined) return best;
  const isComplete = !appliesRuleLate(parseTrustedStatement(written.body).tokens);
  const form = { ...first.form, leftJoined: true, fenced: isComplete ? leftFenced : first.form.fenced };
  const query = form.fenced === first.form.fenced ? written : buildGuardedQuery(context, form);
  const leftJoined = chooseFormWithinAllowance({ ...planning, first: { form, query } }, maxStepsLog2);
  // SQLite has no plan for what it rejects.
  if (leftJoined === undefined || leftJoined.lines.length === 0 || leftJoined.stepsLog2 > maxStepsLog2) return best;
  return best.stepsLog2 > maxStepsLog2 || leftJoined.getCost() < best.getCost() ? leftJoined : best;
}

/** Builds the query in a form that changes the user's text; undefined if the text stays the same or becomes too long. */
function buildRewrittenQuery(context: ReadContext, form: ViewForm): GuardedQuery | undefined {
  try {
    const query = buildGuardedQuery(context, form);
    return query.body === context.query.body || byteLength(toSql(query)) > MAX_REWRITTEN_BYTES ? undefined : query;
  } catch (error) {
    // The text as written was within the limits, and runs.
    if (error instanceof AppError && error.code === "query_refused") return undefined;
    throw error;
  }
}

function chooseFormWithinAllowance(planning: Planning, maxStepsLog2: number): Candidate | undefined {
  try {
    return chooseForm(planning, maxStepsLog2);
  } catch (error) {
    // A statement that could be planned without these forms runs nevertheless.
    if (error instanceof EngineExhausted && error.reason === "work") return undefined;
    throw error;
  }
}

/**
 * Chooses the cheapest form. The fence is required where an expression could reveal a hidden row, or where a subquery that runs for a
 * hidden row would take noticeably long; elsewhere it is one form among the others.
 */
function chooseForm(planning: Planning, maxStepsLog2: number): Candidate {
  const { context, usedViews, first } = planning;
  if (context.request.sortsViews) return makeSortedPlan(planning);
  const isRestricted = usedViews.some((view) => view.isRowRestricted);
  const mayStall = isRestricted && !first.form.fenced && mayRunSubqueryOnHiddenRow(context.request.statement);
  const isAllowed = ({ form, subqueryStepsLog2 }: Candidate): boolean =>
    form.fenced || !(mayStall && subqueryStepsLog2 > UNNOTICED_STEPS_LOG2);
  const candidates: Candidate[] = [];
  const consider = (form: ViewForm): void => {
    candidates.push(chooseOrderSafePlan(planning, form));
  };
  const considerChanged = (change: Partial<ViewForm>): void => consider({ ...first.form, ...change });
  const pickBest = (): Candidate | undefined => {
    const allowed = candidates.filter(isAllowed);
    const affordable = allowed.filter(({ stepsLog2 }) => stepsLog2 <= maxStepsLog2);
    return pickLeast(affordable, ({ getCost }) => getCost()) ?? pickLeast(allowed, ({ stepsLog2 }) => stepsLog2);
  };
  consider(first.form);
  if (pickBest() === undefined) considerChanged({ fenced: true });
  const { listRuleColumns } = planning.costOptions;
  const searchesByRules = candidates.some(({ lines }) => searchesByRule(lines, listRuleColumns));
  const fenced = pickBest()?.form.fenced ?? true;
  if (searchesByRules) considerChanged({ ruleIndexed: false, fenced });
  if (isRepeated(planning, pickBest())) {
    considerChanged({ materialized: true, fenced });
    if (searchesByRules) considerChanged({ materialized: true, ruleIndexed: false, fenced });
    if (isRestricted && !fenced) considerChanged({ fenced: true });
  }
  const { maskUses } = planning;
  if (maskUses !== undefined && maskUses.places > maskUses.columns)
    considerChanged({ ...pickBest()?.form, masksOnce: true });
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
    : (pickLeast([unindexedPlan, sortedPlan], ({ getCost }) => getCost()) ?? sortedPlan);
}

/** Plans with sorted and fenced views, which leak no order whatever plan the database chooses. */
function makeSortedPlan(planning: Planning): Candidate {
  const orderSafe = listOrderSafeViews(planning);
  const { leftJoined } = planning.first.form;
  return makePlan(planning, { ...PLAIN_FORM, leftJoined, fenced: true, orderSafe, ordering: "sorted" });
}

/** Lists the names of the views over which no plan could leak order. */
function listOrderSafeViews({ copy, usedViews }: Planning): readonly string[] {
  return usedViews.filter((view) => !mayLeakOrder(copy, view)).map((view) => view.name);
}

function makePlan({ copy, context, maskUses, workOptions, costOptions, first }: Planning, form: ViewForm): Candidate {
  const query = form === first.form ? first.query : buildGuardedQuery(context, form);
  // An EXPLAIN says nothing of functions that SQLite lacks, so the authorizer has to compile a statement that may call one.
  const isRecorded = form === first.form && callsOnlyListedFunctions(context.request.statement.tokens);
  const { compilation, plan } = isRecorded
    ? recordCompilation(toSql(query), copy)
    : { compilation: undefined, plan: copy.engine.plan(toSql(query)) };
  let cost: number | undefined;
  const getCost = (): number => (cost ??= estimateCost(plan, costOptions) * estimateMaskFactor(maskUses, form));
  return { form, query, compilation, lines: plan, getCost, ...estimateWork(plan, workOptions) };
}

/** Prefers the first of several with the same value. Undefined for an empty list. */
function pickLeast<Item>(items: readonly Item[], getValue: (item: Item) => number): Item | undefined {
  return items.reduce<Item | undefined>(
    (least, item) => (least === undefined || getValue(item) < getValue(least) ? item : least),
    undefined,
  );
}

function createPlanning(copy: SchemaCopy, context: ReadContext, first: Planning["first"]): Planning {
  const { request } = context;
  const { work, cost } = buildEstimateOptions(copy, request);
  const usedViews = listUsedViews(request.statement, request.views);
  const maskUses = countMaskUses(request.statement, usedViews);
  return { copy, context, usedViews, maskUses, workOptions: work, costOptions: cost, first };
}
