// The layers of governed SQL in front of a D1 database, in order. Each stops what it alone can see; the list is what a
// source is built with.
import { AppError } from "../errors.ts";
import { ALLOW } from "../sql/engine/sqlite.ts";
import { authorize } from "../sql/authorizer.ts";
import type { Forbidden } from "../sql/authorizer.ts";
import { DefenceRefusal } from "../sql/defence.ts";
import type { OnRefusal } from "../sql/defence.ts";
import { exactFrame, findTooLarge } from "../sql/exact.ts";
import { sqlOf, tablesOf } from "../sql/guard.ts";
import type { GuardedQuery } from "../sql/guard.ts";
import { NO_PROGRAM, opcodeRefusal } from "../sql/opcodes.ts";
import { hasOneSource } from "../sql/plan.ts";
import { invalidSql } from "../sql/problem.ts";
import { createMemory, keyOf } from "../sql/remembered.ts";
import { objectsOfSql, toSchemaObject } from "../sql/schema.ts";
import type { SchemaCopy } from "../sql/schema.ts";
import { tableFunctionsOf } from "../sql/statement.ts";
import { forbiddenInstruction, isSameSchema } from "../sql/verify.ts";
import type { Instruction } from "../sql/verify.ts";
import { expansionLimit, reporting } from "./defences.ts";
import { planner } from "./planner.ts";
import type { PlannerOptions } from "./planner.ts";
import { Drift, TellingOrder, guarded, stack } from "./reading.ts";
import type { Execution, Layer, ReadRequest } from "./reading.ts";
import { couldTell, hasTellingIndex, programTells } from "./telling.ts";

export interface LayerOptions extends PlannerOptions {
  /** Gets each refusal by a defence, for the operator. */
  readonly onRefusal?: OnRefusal | undefined;
  /** Whether recursive queries may run: nothing bounds how long they do. */
  readonly allowsRecursion: boolean;
}

/** All of them after the first, which is `parseStatement`: there is no statement without it. */
export function governedLayers(options: LayerOptions): readonly Layer[] {
  const { onRefusal = ignoreRefusal } = options;
  // Nothing is planned that is not bounded, so these are one layer, and what any of the others refuses passes through it.
  const planning: Layer = (next) => stack([reporting(onRefusal), expansionLimit(), planner(options)], next);
  return [planning, guard(), authorizer(options), exactValues(), verification(onRefusal)];
}

const ignoreRefusal: OnRefusal = () => {};

/** Layer 2. */
export function guard(): Layer {
  return (next) => (reading) => next({ ...reading, query: guarded(reading, reading.request.form) });
}

/** Layer 3. */
export function authorizer({ allowsRecursion }: Pick<LayerOptions, "allowsRecursion">): Layer {
  const allowed = createMemory<readonly string[]>((columns) => columns.join("").length);
  return (next) => async (reading) => {
    const { query, request, schema } = reading;
    const key = keyOf(query, request.nonce);
    const columns = schema.use((copy) => {
      const known = allowed.get(copy, key);
      if (known !== undefined) return known;
      const verdict = authorize(sqlOf(query), copy, { ...query, allowsRecursion });
      if (verdict.kind === "invalid") throw invalidSql(verdict, request, query);
      if (verdict.kind === "forbidden") throw forbidden(verdict.what);
      allowed.set(copy, key, verdict.columns);
      return verdict.columns;
    });
    return next({ ...reading, columns });
  };
}

/** Gives large integers, infinities and bytes as text that says what it is, and lets no value of any size out. */
export function exactValues(): Layer {
  return (next) => async (reading) => {
    const { query, request, schema } = reading;
    const columns = reading.columns ?? schema.use((copy) => columnsOf(copy, query, request));
    const run = async (maxValueBytes: number, maxTotalBytes: number | null): Promise<Execution> => {
      const frame = exactFrame(columns.length, { nonce: request.nonce, maxValueBytes, maxTotalBytes });
      const framed = { ...query, before: `${frame.before}${query.before}`, after: `${query.after}${frame.after}` };
      return { ...(await next({ ...reading, query: framed })), columns };
    };
    // Counting bytes takes about as long as reading. Values this small cannot come to too many, and most are: only where a
    // larger one is met, the query runs again and is counted.
    const small = Math.floor(MAX_UNCOUNTED_BYTES / ((request.maxRows + 1) * Math.max(1, columns.length)));
    const execution = await run(Math.min(small, request.maxValueBytes), null);
    const isComplete = small >= request.maxValueBytes || findTooLarge(execution.records, request.nonce) === -1;
    return isComplete ? execution : run(request.maxValueBytes, request.maxTotalBytes);
  };
}

/** Bytes of values that an isolate may take in at once. */
const MAX_UNCOUNTED_BYTES = 16 * 1024 * 1024;

function columnsOf(copy: SchemaCopy, query: GuardedQuery, request: ReadRequest): readonly string[] {
  const compiled = copy.engine.compile(sqlOf(query), () => ALLOW);
  if (!compiled.ok) throw invalidSql(compiled, request, query);
  return compiled.columns;
}

/** Layer 4. The statement has run when the answer can be checked, so nothing may rest on it alone that writes. */
export function verification(onRefusal: OnRefusal = ignoreRefusal): Layer {
  const verified = createMemory<true>();
  return (next) => async (reading) => {
    const { query, companions, request, schema } = reading;
    const tables = tablesOf(query.used);
    const functions = tableFunctionsOf(request.statement);
    // A table that is made with the name of a function would be read in its place.
    const names = [...tables, ...functions];
    const key = keyOf(query, request.nonce);
    const isVerified = schema.use((copy) => verified.get(copy, key) === true);
    const explain = { sql: `EXPLAIN ${sqlOf(query)}`, parameters: query.parameters };
    const own = [objectsOfSql(names), ...(isVerified ? [] : [explain])];
    const execution = await next({ ...reading, companions: [...companions, ...own] });
    const [found = [], program = []] = execution.companions.slice(companions.length);
    const objects = found.map(toSchemaObject);
    schema.use((copy) => {
      if (!isSameSchema(copy.objectsOf(names), objects)) throw new Drift("the schema has changed");
      if (isVerified) return;
      const instructions = program.map(toInstruction);
      const allowed = {
        rootPages: new Set(copy.objectsOf(tables).map(({ rootPage }) => rootPage)),
        allowsTableFunctions: functions.length > 0,
      };
      const problem = instructions.length === 0 ? NO_PROGRAM : forbiddenInstruction(instructions, allowed);
      if (problem !== undefined) throw new DefenceRefusal(opcodeRefusal(problem), REFUSED, { cause: problem });
      // Views that sort do so whatever the database's plan is.
      const isFree = request.form.ordering !== "sorted";
      if (isFree && programTells(copy, instructions, query.used)) {
        // The planner answers it with views that sort.
        onRefusal({ code: "order_leak", detail: "plan" });
        throw new TellingOrder("an index tells");
      }
      if (!isFree || isForAllPlans(copy, query)) verified.set(copy, key, true);
    });
    return { ...execution, companions: execution.companions.slice(0, companions.length) };
  };
}

/** Whether no other plan could tell either: the database makes another for other values, and after ANALYZE. */
function isForAllPlans(copy: SchemaCopy, query: GuardedQuery): boolean {
  const { used } = query;
  if (!used.some((view) => couldTell(copy, view))) return true;
  return !used.some((view) => hasTellingIndex(copy, view)) && hasOneSource(copy.engine.plan(sqlOf(query)));
}

const REFUSED = "The SQL does something that is not available here. Call describe for the tables that you may read.";

function forbidden(what: Forbidden): AppError {
  switch (what.kind) {
    case "function":
      return new DefenceRefusal(
        { code: "forbidden_function", detail: what.name },
        `The SQL calls ${what.name}(), which is not available.`,
      );
    case "recursion":
      return new AppError(
        "query_refused",
        "The SQL is recursive (WITH RECURSIVE), which this source does not allow. List the steps with VALUES or json_each instead.",
      );
    case "read":
      return new DefenceRefusal({ code: "forbidden_read", detail: "authorizer" }, REFUSED);
    case "other":
      return new DefenceRefusal({ code: "forbidden_action", detail: "authorizer" }, REFUSED);
  }
}

function toInstruction(record: Readonly<Record<string, unknown>>): Instruction {
  const { opcode, p1, p2, p3 } = record;
  return { opcode: String(opcode), p1: Number(p1), p2: Number(p2), p3: Number(p3) };
}
