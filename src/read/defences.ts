// The outermost middleware of governed SQL: refuses a statement that would take too long to plan, before SQLite sees it, and reports every
// refusal by a later defence to the operator.
import { countExpandedSelects, MAX_EXPANDED_SELECTS } from "../sql/expansion.ts";
import { TOO_COMPLEX_MESSAGE } from "../sql/schema-copy-cache.ts";
import { DefenceRefusal } from "../sql/defence-refusal.ts";
import type { OnRefusal } from "../sql/defence-refusal.ts";
import { foldName } from "../sql/identifier.ts";
import { BrokenSchemaCopy, DatabaseError, SchemaDrift } from "./read-pipeline.ts";
import type { Middleware, ReadRequest } from "./read-pipeline.ts";

/** The SELECTs that the name of a guard view expands to: the view itself and the one that applies the policy. */
const SELECTS_PER_VIEW = 2;

/** Bounds the number of SELECTs that SQLite expands a statement's WITH queries to. Errors: `query_refused`. */
export function expansionLimit(): Middleware {
  return (next) => async (context) => {
    refuseExpansion(context.request);
    return next(context);
  };
}

function refuseExpansion({ statement, views }: ReadRequest): void {
  // Only WITH makes a statement grow beyond its text.
  if (!statement.names.has("with")) return;
  const viewNames = new Set(views.map(({ name }) => foldName(name)));
  const selects = countExpandedSelects(statement.text, (name) => (viewNames.has(name) ? SELECTS_PER_VIEW : 0));
  if (selects > MAX_EXPANDED_SELECTS)
    throw new DefenceRefusal({ code: "planning_limit", detail: "expansion" }, TOO_COMPLEX_MESSAGE);
}

/** Reports refusals by the middleware behind it to the operator. Rethrows every error. */
export function defenceReporting(onRefusal: OnRefusal): Middleware {
  return (next) => async (context) => {
    try {
      return await next(context);
    } catch (error) {
      if (error instanceof DefenceRefusal) onRefusal(error.refusal);
      if (error instanceof SchemaDrift && !(error instanceof BrokenSchemaCopy))
        onRefusal({ code: "schema_drift", detail: "changed" });
      if (error instanceof DatabaseError && error.problem.isDrift)
        onRefusal({ code: "schema_drift", detail: "column" });
      throw error;
    }
  };
}
