// Composes the layers of governed SQL in front of a database, in order. Each layer stops what only it can see. Every source that runs
// SQL is built with this list.
import { AppError } from "../errors.ts";
import { ALLOW } from "../sql/engine/sqlite.ts";
import { authorize } from "../sql/authorizer.ts";
import type { ForbiddenAction } from "../sql/authorizer.ts";
import { DefenceRefusal } from "../sql/defence-refusal.ts";
import type { OnRefusal } from "../sql/defence-refusal.ts";
import { wrapForExactValues, findSizeCut } from "../sql/result-encoding.ts";
import { toSql, listReadTables } from "../sql/statement-guard.ts";
import type { GuardView, GuardedQuery } from "../sql/statement-guard.ts";
import { EMPTY_PROGRAM, buildOpcodeRefusal } from "../sql/opcodes.ts";
import { hasSingleRowSource } from "../sql/plan-loops.ts";
import { createInvalidSqlError } from "../sql/sql-problem.ts";
import { createStatementCache, buildStatementKey } from "../sql/statement-cache.ts";
import { buildSchemaObjectsSql, toSchemaObject } from "../sql/schema-objects.ts";
import type { SchemaCopy } from "../sql/schema-copy.ts";
import { listTableFunctions } from "../sql/statement.ts";
import { findForbiddenInstruction, isSameSchema } from "../sql/program-check.ts";
import type { Instruction } from "../sql/program-check.ts";
import { expansionLimit, defenceReporting } from "./defences.ts";
import { planner } from "./planner.ts";
import { shape } from "./shape-layer.ts";
import { usedColumns } from "./used-columns.ts";
import type { PlannerOptions } from "./planner.ts";
import { batchSpan, guardSpan } from "./read-spans.ts";
import type { ReadSpans } from "./read-spans.ts";
import type { ReadTrace, TracedLayer } from "./read-trace.ts";
import { SchemaDrift, OrderLeak, UncountedBytes, buildGuardedQuery, compose } from "./read-pipeline.ts";
import type { Middleware, ReadRequest } from "./read-pipeline.ts";
import { mayLeakOrder, hasLeakingIndex, programLeaksOrder } from "./order-leak.ts";

/** The settings of a source that the layers need. */
export interface MiddlewareOptions extends PlannerOptions {
  /** Receives each refusal by a defence, for the operator's log. */
  readonly onRefusal?: OnRefusal | undefined;
  /** Whether recursive queries may run. Gatehouse cannot bound how long they take. */
  readonly allowsRecursion: boolean;
  /** Records what each layer does. */
  readonly trace?: ReadTrace | undefined;
  /** Records the attempts and batches of reads in the platform's trace. */
  readonly spans?: ReadSpans | undefined;
}

/** Creates all layers after layer 1, which is `parseStatement`. */
export function createGovernedMiddleware(options: MiddlewareOptions): readonly Middleware[] {
  const { onRefusal = ignoreRefusal, trace, spans } = options;
  const traced = (layer: TracedLayer, middleware: Middleware): Middleware =>
    trace === undefined ? middleware : trace.traceLayer(layer, middleware);
  const plannerLayer = planner({ maxSteps: options.maxSteps, onPlan: trace?.onPlan });
  // One layer, so that nothing is planned before its size is bounded, and refusals by every later layer are reported.
  const planning: Middleware = (next) =>
    compose(
      [
        defenceReporting(onRefusal),
        traced("expansion limit", expansionLimit()),
        traced("used columns", usedColumns()),
        traced("planner", plannerLayer),
      ],
      next,
    );
  return [
    ...(spans === undefined ? [] : [guardSpan(spans)]),
    planning,
    traced("guard views", guard()),
    traced("authorizer", authorizer(options)),
    traced("result shape", shape()),
    traced("exact values", exactValues()),
    traced("program check", verification(onRefusal)),
    ...(spans === undefined ? [] : [batchSpan(spans)]),
  ];
}

const ignoreRefusal: OnRefusal = () => {};

/** Layer 2: puts guard views in front of the user's statement. The planner has built the query of the views and form that it chose. */
export function guard(): Middleware {
  return (next) => (context) => {
    const { request, planned } = context;
    const isPlanned = planned?.views === request.views && planned.form === request.form;
    return next({ ...context, query: isPlanned ? planned.query : buildGuardedQuery(context, request.form) });
  };
}

/** Layer 3: lets SQLite's authorizer judge the statement over the copy of the schema. Errors: `query_refused`, `query_failed`. */
export function authorizer({ allowsRecursion }: Pick<MiddlewareOptions, "allowsRecursion">): Middleware {
  const cache = createStatementCache<readonly string[]>((columns) => columns.join("").length);
  return (next) => async (context) => {
    const { query, request, schema, planned } = context;
    const key = buildStatementKey(query, request.nonce);
    const columns = schema.use((copy) => {
      const cachedColumns = cache.get(copy, key);
      if (cachedColumns !== undefined) return cachedColumns;
      const verdict = authorize(toSql(query), copy, { ...query, allowsRecursion }, planned?.compilation);
      if (verdict.kind === "invalid") throw createInvalidSqlError(verdict, request, query);
      if (verdict.kind === "forbidden") throw createForbiddenError(verdict.action);
      cache.set(copy, key, verdict.columns);
      return verdict.columns;
    });
    return next({ ...context, columns });
  };
}

/** Returns large integers, infinities and bytes as tagged text, and bounds the bytes that leave the database. */
export function exactValues(): Middleware {
  return (next) => async (context) => {
    const { query, request, schema } = context;
    const columns = context.columns ?? schema.use((copy) => listResultColumns(copy, query, request));
    const { nonce, maxReadRows, maxValueBytes, maxTotalBytes, countsBytes } = request;
    // Counting bytes takes about as long as reading. Most values are so small that their sum needs no count. Only when a larger value
    // occurs does the query run again with counting.
    const uncountedValueBytes = Math.floor(MAX_UNCOUNTED_BYTES / ((maxReadRows + 1) * Math.max(1, columns.length)));
    const wrapper = wrapForExactValues(
      columns.length,
      countsBytes
        ? { nonce, maxValueBytes, maxTotalBytes }
        : { nonce, maxValueBytes: Math.min(uncountedValueBytes, maxValueBytes), maxTotalBytes: null },
    );
    const wrappedQuery = {
      ...query,
      before: `${wrapper.before}${query.before}`,
      after: `${query.after}${wrapper.after}`,
    };
    const execution = await next({ ...context, query: wrappedQuery });
    const isComplete =
      countsBytes || uncountedValueBytes >= maxValueBytes || findSizeCut(execution.records, nonce) === null;
    if (!isComplete) throw new UncountedBytes("a value is larger than values may be whose bytes are not counted");
    return { ...execution, columns };
  };
}

/** The bytes of values that an isolate can safely receive at once. */
const MAX_UNCOUNTED_BYTES = 16 * 1024 * 1024;

function listResultColumns(copy: SchemaCopy, query: GuardedQuery, request: ReadRequest): readonly string[] {
  const compiled = copy.engine.compile(toSql(query), () => ALLOW);
  if (!compiled.ok) throw createInvalidSqlError(compiled, request, query);
  return compiled.columns;
}

/**
 * Layer 4: compares the schema and the program of the database with the copy, in the transaction of the read. The statement has already
 * run when this layer checks it, so earlier layers must stop every statement that writes. Throws `SchemaDrift` and `OrderLeak`. Errors:
 * `query_refused`.
 */
export function verification(onRefusal: OnRefusal = ignoreRefusal): Middleware {
  const cache = createStatementCache<true>();
  return (next) => async (context) => {
    const { query, checkStatements, request, schema } = context;
    const { tables, viewsCallFunctions } = schema.use((copy) => listReadObjects(copy, query.usedViews));
    const functions = listTableFunctions(request.statement);
    // A table that has the name of a table-valued function would be read in place of the function.
    const names = [...tables, ...functions];
    const key = buildStatementKey(query, request.nonce);
    const isVerified = schema.use((copy) => cache.get(copy, key) === true);
    const explain = { sql: `EXPLAIN ${toSql(query)}`, parameters: query.parameters };
    const addedStatements = [buildSchemaObjectsSql(names), ...(isVerified ? [] : [explain])];
    const execution = await next({ ...context, checkStatements: [...checkStatements, ...addedStatements] });
    const [schemaRecords = [], programRecords = []] = execution.checkRecords.slice(checkStatements.length);
    const objects = schemaRecords.map(toSchemaObject);
    schema.use((copy) => {
      if (!isSameSchema(copy.listObjects(names), objects)) throw new SchemaDrift("the schema has changed");
      if (isVerified) return;
      const instructions = programRecords.map(parseInstruction);
      const permissions = {
        rootPages: new Set(copy.listObjects(tables).map(({ rootPage }) => rootPage)),
        allowsTableFunctions: functions.length > 0 || viewsCallFunctions,
      };
      const refusedInstruction =
        instructions.length === 0 ? EMPTY_PROGRAM : findForbiddenInstruction(instructions, permissions);
      if (refusedInstruction !== undefined)
        throw new DefenceRefusal(buildOpcodeRefusal(refusedInstruction), REFUSED_MESSAGE, {
          cause: refusedInstruction,
        });
      // Sorted views put their rows in order whatever plan the database chooses.
      const isUnsorted = request.form.ordering !== "sorted";
      if (isUnsorted && programLeaksOrder(copy, instructions, query.usedViews)) {
        // The executor runs the statement again with sorted views.
        onRefusal({ code: "order_leak", detail: "plan" });
        throw new OrderLeak("the database's plan leaks the order of hidden values");
      }
      if (!isUnsorted || isOrderSafeInAllPlans(copy, query)) cache.set(copy, key, true);
    });
    return { ...execution, checkRecords: execution.checkRecords.slice(0, checkStatements.length) };
  };
}

/** Lists the names of the tables that guard views read, with those that the database views among them read. */
function listReadObjects(
  copy: SchemaCopy,
  usedViews: readonly GuardView[],
): { readonly tables: readonly string[]; readonly viewsCallFunctions: boolean } {
  const tables = listReadTables(usedViews);
  const databaseViews = tables.flatMap((name) => copy.getDatabaseView(name) ?? []);
  return {
    tables: [...new Set([...tables, ...databaseViews.flatMap(({ reads }) => [...reads])])],
    viewsCallFunctions: databaseViews.some(({ callsTableFunctions }) => callsTableFunctions),
  };
}

/** Whether every plan is order-safe. The database can choose another plan for other values and after ANALYZE. */
function isOrderSafeInAllPlans(copy: SchemaCopy, query: GuardedQuery): boolean {
  const { usedViews } = query;
  if (!usedViews.some((view) => mayLeakOrder(copy, view))) return true;
  return !usedViews.some((view) => hasLeakingIndex(copy, view)) && hasSingleRowSource(copy.engine.plan(toSql(query)));
}

const REFUSED_MESSAGE =
  "The SQL does something that is not available here. Call describe for the tables that you may read.";

/** Creates the error of a statement that does what is not available. */
export function createForbiddenError(action: ForbiddenAction): AppError {
  switch (action.kind) {
    case "function":
      return new DefenceRefusal(
        { code: "forbidden_function", detail: action.name },
        `The SQL calls ${action.name}(), which is not available.`,
      );
    case "recursion":
      return new AppError(
        "query_refused",
        "The SQL is recursive (WITH RECURSIVE), which this source does not allow. List the steps with VALUES or json_each instead.",
      );
    case "read":
      return new DefenceRefusal({ code: "forbidden_read", detail: "authorizer" }, REFUSED_MESSAGE);
    case "other":
      return new DefenceRefusal({ code: "forbidden_action", detail: "authorizer" }, REFUSED_MESSAGE);
  }
}

function parseInstruction(record: Readonly<Record<string, unknown>>): Instruction {
  const { opcode, p1, p2, p3 } = record;
  return { opcode: String(opcode), p1: Number(p1), p2: Number(p2), p3: Number(p3) };
}
