// The layer of governed SQL that plans: says how views are best computed, and refuses what would take too much work.
import { AppError } from "../errors.ts";
import type { PlanLine } from "../sql/engine/sqlite.ts";
import { sqlOf } from "../sql/guard.ts";
import type { GuardedQuery, ViewForm } from "../sql/guard.ts";
import { estimateWork, nestsScans } from "../sql/plan.ts";
import { createMemory, keyOf } from "../sql/remembered.ts";
import type { SchemaCopy } from "../sql/schema.ts";
import { tableFunctionsOf } from "../sql/statement.ts";
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
    const { request, schema } = reading;
    const query = guarded(reading, { ...request.form, ordering: "free" });
    const key = keyOf(query, request.nonce);
    const plan = (choose: typeof cheapest, isKnown: boolean): Plan =>
      schema.use((copy) => {
        const known = isKnown ? plans.get(copy, key) : undefined;
        if (known !== undefined) return known;
        const { form, work } = choose(copy, reading, query);
        // What a table-valued function gives depends on the values.
        if (tableFunctionsOf(request.statement).length === 0) plans.set(copy, key, { form, work });
        return { form, work };
      });
    const run = ({ form, work }: Plan) => {
      if (work > Math.log2(maxSteps)) throw tooMuchWork(query);
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

interface Planned extends Plan {
  readonly lines: readonly PlanLine[];
}

/** Masked columns have no index: where passes over them are nested, computing views first may be cheaper. */
function cheapest(copy: SchemaCopy, reading: Reading, { used }: GuardedQuery): Planned {
  const { materialized } = reading.request.form;
  const best = untelling(copy, reading, used, materialized);
  const isIndexLost = best.form.ordering !== "free" || used.some((view) => view.isMasked);
  const isSlow = isIndexLost && nestsScans(best.lines);
  return materialized || !isSlow ? best : cheaper(best, untelling(copy, reading, used, true));
}

/** The cheapest plan in which the order of rows tells nothing. */
function untelling(copy: SchemaCopy, reading: Reading, used: Views, materialized: boolean): Planned {
  const free = planOf(copy, reading, { materialized, ordering: "free", untelling: [] });
  if (!planTells(copy, free.lines, used)) return free;
  const form = formFor(copy, used, materialized);
  const unindexed = planOf(copy, reading, { ...form, ordering: "unindexed" });
  const sorting = planOf(copy, reading, { ...form, ordering: "sorted" });
  // A table without row numbers is read by an index all the same.
  return planTells(copy, unindexed.lines, used) ? sorting : cheaper(unindexed, sorting);
}

/** With views that sort, which needs no luck with plans. */
function sorted(copy: SchemaCopy, reading: Reading, { used }: GuardedQuery): Planned {
  return planOf(copy, reading, { ...formFor(copy, used, reading.request.form.materialized), ordering: "sorted" });
}

type Views = GuardedQuery["used"];

function formFor(copy: SchemaCopy, used: Views, materialized: boolean): Omit<ViewForm, "ordering"> {
  return { materialized, untelling: used.filter((view) => !couldTell(copy, view)).map((view) => view.name) };
}

function planOf(copy: SchemaCopy, reading: Reading, form: ViewForm): Planned {
  const lines = copy.engine.plan(sqlOf(guarded(reading, form)));
  return { form, lines, work: estimateWork(lines, workOptions(copy, reading.request)) };
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
    `The query would take too much work. ${names === "" ? "Join" : `Join ${names}`} on equal columns, also in place of subqueries, or filter first.${hint}`,
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
