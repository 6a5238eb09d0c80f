// The layer of governed SQL that plans: refuses what would take too much work, and says how views are best computed.
import { AppError } from "../errors.ts";
import type { PlanLine } from "../sql/engine/sqlite.ts";
import { sqlOf } from "../sql/guard.ts";
import type { GuardedQuery, ViewForm } from "../sql/guard.ts";
import { estimateWork, indexesOf, nestsScans } from "../sql/plan.ts";
import { createMemory, keyOf } from "../sql/remembered.ts";
import type { SchemaCopy } from "../sql/schema.ts";
import { tableFunctionsOf } from "../sql/statement.ts";
import { guarded } from "./reading.ts";
import type { Layer, Reading, ReadRequest } from "./reading.ts";
import { hasTellingIndex, tells } from "./telling.ts";

export interface PlannerOptions {
  /** Steps that a query may take, by the plan's estimate. */
  readonly maxSteps: number;
}

/** A form of the views, and the steps that it would take, as log2. */
interface Plan {
  readonly form: ViewForm;
  readonly work: number;
}

interface Planned extends Plan {
  readonly lines: readonly PlanLine[];
}

/** Refuses what can only be a mistake, by the plan that SQLite makes over the copy. */
export function planner({ maxSteps }: PlannerOptions): Layer {
  const plans = createMemory<Plan>();
  return (next) => async (reading) => {
    const { request, schema } = reading;
    const query = guarded(reading, free(request.form));
    const key = keyOf(query, request.nonce);
    const plan = schema.use((copy): Plan => {
      const known = plans.get(copy, key);
      if (known !== undefined) return known;
      const { form, work } = choosePlan(copy, reading, query);
      // What a table-valued function gives depends on the values.
      if (tableFunctionsOf(request.statement).length === 0) plans.set(copy, key, { form, work });
      return { form, work };
    });
    if (plan.work > Math.log2(maxSteps)) throw tooMuchWork(query);
    return next({ ...reading, request: { ...request, form: plan.form } });
  };
}

const free = (form: ViewForm): ViewForm => ({ ...form, ordering: "free" });

/**
 * The cheapest plan that keeps the order of rows from telling anything. Masked columns have no index: where passes over them are nested,
 * computing views first may be cheaper, too.
 */
function choosePlan(copy: SchemaCopy, reading: Reading, freeQuery: GuardedQuery): Plan {
  const { request } = reading;
  const { used } = freeQuery;
  const plan = (form: ViewForm, query = guarded(reading, form)) => {
    const lines = copy.engine.plan(sqlOf(query));
    return { form, lines, work: estimateWork(lines, workOptions(copy, request)) };
  };
  const ordered = (): Planned => {
    const harmless = used.filter((view) => !hasTellingIndex(copy, view)).map((view) => view.name);
    const form = { ...request.form, harmless };
    return cheaper(plan({ ...form, ordering: "unindexed" }), plan({ ...form, ordering: "sorted" }));
  };
  const first = plan(free(request.form), freeQuery);
  const best = indexesOf(first.lines).some((index) => tells(copy, index, used)) ? ordered() : first;
  const isSlow = used.some((view) => view.isMasked) && nestsScans(best.lines);
  return best.form.materialized || !isSlow ? best : cheaper(best, plan({ ...best.form, materialized: true }));
}

/** The first, if they are alike. */
function cheaper(one: Planned, other: Planned): Planned {
  return other.work < one.work ? other : one;
}

function tooMuchWork({ used }: GuardedQuery): AppError {
  const names = used.map((view) => view.name).join(" and ");
  const hint = used.some((view) => view.isMasked) ? " Masked columns have no index: prefer others." : "";
  return new AppError(
    "query_refused",
    `The query would take too much work. ${names === "" ? "Join" : `Join ${names}`} on equal columns, or filter first.${hint}`,
  );
}

function workOptions({ snapshot }: SchemaCopy, { statement, values }: ReadRequest) {
  const given = values.reduce<number>((sum, value) => sum + (typeof value === "string" ? value.length : 0), 0);
  return {
    rowsOf: (table: string) => snapshot.rows.get(table),
    // A JSON array has at most one element for each two characters; one that stands in a row is taken to be small.
    maxElements: Math.max(100, (statement.text.length + given) / 2),
  };
}
