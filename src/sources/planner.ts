// The layer of governed SQL that plans: refuses what would take too much work, and says how views are best computed.
import { AppError } from "../errors.ts";
import type { PlanLine } from "../sql/engine/sqlite.ts";
import { sqlOf } from "../sql/guard.ts";
import type { GuardedQuery } from "../sql/guard.ts";
import { estimateWork, indexesOf, nestsScans } from "../sql/plan.ts";
import { createMemory, keyOf } from "../sql/remembered.ts";
import type { SchemaCopy } from "../sql/schema.ts";
import { callsTableFunction, guarded } from "./reading.ts";
import type { Layer, Reading, ReadRequest, Schema } from "./reading.ts";
import { tells } from "./telling.ts";

export interface PlannerOptions {
  readonly schema: Schema;
  /** Steps that a query may take, by the plan's estimate. */
  readonly maxSteps: number;
}

/**
 * Refuses what can only be a mistake, by the plan that SQLite makes over the copy. Masked columns have no index: where
 * passes over them are nested, views are computed first if that is the cheaper plan.
 */
export function planner({ schema, maxSteps }: PlannerOptions): Layer {
  const plans = createMemory<Plan>();
  return (next) => async (reading) => {
    const { request } = reading;
    const query = guarded(reading, { ...request, mustOrder: false });
    await schema.require(query.used.map((view) => view.name));
    const key = keyOf(query, request.nonce);
    const plan = await schema.use((copy): Plan => {
      const known = plans.get(copy, key);
      if (known !== undefined) return known;
      const found = choosePlan(copy, query, reading);
      // What a table-valued function gives depends on the values.
      if (!callsTableFunction(request)) plans.set(copy, key, found);
      return found;
    });
    if (plan.work > Math.log2(maxSteps)) throw tooMuchWork(query);
    const { mustMaterialize, mustOrder } = plan;
    return next({ ...reading, request: { ...request, mustMaterialize, mustOrder } });
  };
}

function choosePlan(copy: SchemaCopy, query: GuardedQuery, reading: Reading): Plan {
  const { request } = reading;
  const { mustMaterialize } = request;
  const free = planOf(copy, query, request);
  const mustOrder = query.used.length > 0 && indexesOf(free.lines).some((index) => tells(copy, index, query.used));
  const { lines, work } = mustOrder
    ? planOf(copy, guarded(reading, { mustMaterialize, mustOrder: true }), request)
    : free;
  if (mustMaterialize || !query.used.some((view) => view.isMasked) || !nestsScans(lines))
    return { work, mustMaterialize, mustOrder };
  const other = planOf(copy, guarded(reading, { mustMaterialize: true, mustOrder }), request);
  return other.work < work
    ? { work: other.work, mustMaterialize: true, mustOrder }
    : { work, mustMaterialize, mustOrder };
}

interface Plan {
  readonly work: number;
  readonly mustMaterialize: boolean;
  readonly mustOrder: boolean;
}

function tooMuchWork({ used }: GuardedQuery): AppError {
  const names = used.map((view) => view.name).join(" and ");
  return new AppError(
    "query_refused",
    `The query would take too much work. ${names === "" ? "Join" : `Join ${names}`} on equal columns, or filter first. Masked columns have no index: prefer others.`,
  );
}

/** The plan and its work as log2; nothing when the copy does not take the statement, which the authorizer then tells. */
function planOf(
  copy: SchemaCopy,
  query: GuardedQuery,
  request: ReadRequest,
): { readonly lines: readonly PlanLine[]; readonly work: number } {
  const lines = copy.engine.plan(sqlOf(query));
  return { lines, work: estimateWork(lines, workOptions(copy, request)) };
}

function workOptions({ snapshot }: SchemaCopy, { statement, values }: ReadRequest) {
  const given = values.reduce<number>((sum, value) => sum + (typeof value === "string" ? value.length : 0), 0);
  return {
    rowsOf: (table: string) => snapshot.rows.get(table),
    // A JSON array has at most one element for each two characters; one that stands in a row is taken to be small.
    maxElements: Math.max(100, (statement.text.length + given) / 2),
  };
}
