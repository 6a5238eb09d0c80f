// Records what the read pipeline does with a statement, for an operator who asks why it is refused or slow: which layers it passed, the
// form that the planner chose, and the statement as it would run. It decides nothing, and holds no rows.
import { AppError } from "../errors.ts";
import type { PlanLine } from "../sql/engine/sqlite.ts";
import type { DriverValue } from "../sql/parameters.ts";
import { toSql } from "../sql/statement-guard.ts";
import type { GuardedQuery, ViewForm } from "../sql/statement-guard.ts";
import { DatabaseError } from "./read-pipeline.ts";
import type { Execute, Middleware, ReadContext, ReadRequest, SchemaCache } from "./read-pipeline.ts";

/** The layers behind the check of the statement's text, in the order in which they judge. */
export const TRACED_LAYERS = [
  "schema check",
  "expansion limit",
  "used columns",
  "planner",
  "guard views",
  "authorizer",
  "result shape",
  "exact values",
  "database",
  "program check",
] as const;

export type TracedLayer = (typeof TRACED_LAYERS)[number];

/** What a layer said. A layer that was not reached has no verdict. */
export interface LayerVerdict {
  readonly layer: TracedLayer;
  /** Why it refused the statement; null if it passed it on. */
  readonly refusal: string | null;
}

/** The form that the planner chose, and why. */
export interface ChosenPlan {
  readonly form: ViewForm;
  /** log2 of the estimated steps. */
  readonly stepsLog2: number;
  /** The limit that the estimate is compared with. */
  readonly maxSteps: number;
  /** Whether an expression could reveal a hidden row by failing on it, or by the time that it takes. */
  readonly needsFence: boolean;
  /** SQLite's plan over the copy of the schema, by which it was chosen; empty if SQLite rejects the statement. */
  readonly lines: readonly PlanStep[];
}

/** What the planner reports. */
export interface PlannerReport extends ChosenPlan {
  readonly query: GuardedQuery;
  readonly request: ReadRequest;
}

/** A line of EXPLAIN QUERY PLAN. */
export type PlanStep = Pick<PlanLine, "id" | "parent" | "detail">;

/** SQL with its parameters. In place of the random text in the names of guard views it has the word `nonce`. */
export interface TracedSql {
  readonly sql: string;
  readonly parameters: readonly DriverValue[];
}

/** A table that a statement reads. */
interface TracedTable {
  readonly table: string;
  /** The columns that its guard view reads. */
  readonly columns: readonly string[];
}

/** What the database says about the statement that would run. */
export interface TracedStatement extends TracedSql {
  /** Its EXPLAIN QUERY PLAN. */
  readonly plan: readonly PlanStep[];
  /** How many instructions its program has, which the program check judges. */
  readonly instructions: number;
}

/** One attempt at a read. Its parts are absent if the attempt was refused before. */
export interface AttemptTrace {
  readonly verdicts: readonly LayerVerdict[];
  readonly plan?: ChosenPlan;
  readonly tables?: readonly TracedTable[];
  readonly guarded?: TracedSql;
  readonly statement?: TracedStatement;
}

/** Takes part in the reads of a source, and records them. */
export interface ReadTrace {
  /** The attempts so far. An attempt that another one corrects is among them. */
  readonly attempts: readonly AttemptTrace[];
  traceSchema(cache: SchemaCache): SchemaCache;
  traceLayer(layer: TracedLayer, middleware: Middleware): Middleware;
  traceDatabase(execute: Execute): Execute;
  readonly onPlan: (report: PlannerReport) => void;
  recordStatement(context: ReadContext, statement: Pick<TracedStatement, "plan" | "instructions">): void;
}

/** Creates a trace, for one read at a time. */
export function createReadTrace(): ReadTrace {
  const attempts: AttemptTrace[] = [];
  let lastError: unknown;

  const change = (part: Partial<AttemptTrace>): void => {
    attempts.push({ verdicts: [], ...attempts.pop(), ...part });
  };
  const addVerdict = (layer: TracedLayer, refusal: string | null): void =>
    change({ verdicts: [...(attempts.at(-1)?.verdicts ?? []), { layer, refusal }] });
  /** The innermost layer sees an error first: the error is its own. */
  const addError = (layer: TracedLayer, error: unknown): void => {
    if (error === lastError) return;
    lastError = error;
    addVerdict(layer, describeRefusal(error));
  };

  return {
    attempts,
    onPlan: ({ query, request, lines, ...plan }) =>
      change({
        plan: { ...plan, lines: withoutNonce(lines, request) },
        guarded: toTracedSql({ query, request }),
        tables: query.usedViews.map(toTracedTable),
      }),
    traceSchema: (cache) => ({
      invalidate: (schema) => cache.invalidate(schema),
      async open(tables) {
        attempts.push({ verdicts: [] });
        try {
          const schema = await cache.open(tables);
          addVerdict("schema check", null);
          return schema;
        } catch (error) {
          addError("schema check", error);
          throw error;
        }
      },
    }),
    traceLayer: (layer, middleware) => (next) => {
      // The program check judges what the database returns; every other layer has judged when it passes the statement on.
      const judgesResult = layer === "program check";
      const execute = middleware(async (context) => {
        if (!judgesResult) addVerdict(layer, null);
        return next(context);
      });
      return async (context) => {
        try {
          const result = await execute(context);
          if (judgesResult) addVerdict(layer, null);
          return result;
        } catch (error) {
          addError(layer, error);
          throw error;
        }
      };
    },
    traceDatabase: (execute) => async (context) => {
      try {
        const result = await execute(context);
        addVerdict("database", null);
        return result;
      } catch (error) {
        addError("database", error);
        throw error;
      }
    },
    recordStatement: (context, { plan, instructions }) =>
      change({ statement: { ...toTracedSql(context), plan: withoutNonce(plan, context.request), instructions } }),
  };
}

function toTracedSql({ query, request }: Pick<ReadContext, "query" | "request">): TracedSql {
  return { sql: replaceNonce(toSql(query), request), parameters: query.parameters };
}

function withoutNonce(lines: readonly PlanStep[], request: ReadRequest): readonly PlanStep[] {
  return lines.map(({ id, parent, detail }) => ({ id, parent, detail: replaceNonce(detail, request) }));
}

function replaceNonce(text: string, { nonce }: ReadRequest): string {
  return text.replaceAll(nonce, "nonce");
}

function toTracedTable({ name, readColumns }: ReadContext["query"]["usedViews"][number]): TracedTable {
  return { table: name, columns: readColumns };
}

/** Words a refusal as the user gets it, and a reason for another attempt as the code words it. */
function describeRefusal(error: unknown): string {
  const refusal = error instanceof DatabaseError ? error.problem.error : error;
  if (refusal instanceof AppError) return refusal.publicMessage;
  return refusal instanceof Error ? refusal.message : "no reason given";
}
