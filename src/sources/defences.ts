// The outermost part of governed SQL: refuses what would be too much to plan before SQLite sees it, and makes every refusal
// by a defence behind it known to the operator.
import { countExpandedSelects, MAX_EXPANDED_SELECTS } from "../sql/expansion.ts";
import { TOO_COMPLEX } from "../sql/copies.ts";
import { DefenceRefusal } from "../sql/defence.ts";
import type { OnRefusal } from "../sql/defence.ts";
import { foldName } from "../sql/identifier.ts";
import { BrokenCopy, DatabaseProblem, Drift } from "./reading.ts";
import type { Layer, ReadRequest } from "./reading.ts";

/** SELECTs behind the name of a guard view: its own and the one that applies the policy. */
const SELECTS_PER_VIEW = 2;

/** Bounds what SQLite makes of a statement's WITH queries. Throws `query_refused`. */
export function expansionLimit(): Layer {
  return (next) => async (reading) => {
    refuseExpansion(reading.request);
    return next(reading);
  };
}

function refuseExpansion({ statement, views }: ReadRequest): void {
  // Without it a statement comes to no more than stands in its text.
  if (!statement.names.has("with")) return;
  const viewNames = new Set(views.map(({ name }) => foldName(name)));
  const selects = countExpandedSelects(statement.text, (name) => (viewNames.has(name) ? SELECTS_PER_VIEW : 0));
  if (selects > MAX_EXPANDED_SELECTS)
    throw new DefenceRefusal({ code: "planning_limit", detail: "expansion" }, TOO_COMPLEX);
}

/** Reports refusals that pass through it. */
export function reporting(onRefusal: OnRefusal): Layer {
  return (next) => async (reading) => {
    try {
      return await next(reading);
    } catch (error) {
      if (error instanceof DefenceRefusal) onRefusal(error.refusal);
      if (error instanceof Drift && !(error instanceof BrokenCopy))
        onRefusal({ code: "schema_drift", detail: "changed" });
      if (error instanceof DatabaseProblem && error.problem.isDrift)
        onRefusal({ code: "schema_drift", detail: "column" });
      throw error;
    }
  };
}
