// The layers of governed SQL in front of a D1 database, in order. Each stops what it alone can see; the list is what a
// source is built with.
import { AppError } from "../errors.ts";
import { ALLOW } from "../sql/engine/sqlite.ts";
import type { PlanLine } from "../sql/engine/sqlite.ts";
import { authorize } from "../sql/authorizer.ts";
import type { Forbidden } from "../sql/authorizer.ts";
import { exactFrame, hasTooLarge } from "../sql/exact.ts";
import { ALLOWED_TABLE_FUNCTIONS } from "../sql/functions.ts";
import { guardQuery, sqlOf, tablesOf } from "../sql/guard.ts";
import type { GuardView, GuardedQuery } from "../sql/guard.ts";
import { foldName } from "../sql/identifier.ts";
import { estimateWork, indexesOf, nestsScans } from "../sql/plan.ts";
import { invalidSql } from "../sql/problem.ts";
import { objectsOfSql, toSchemaObject } from "../sql/schema.ts";
import type { SchemaCopy, SchemaObject } from "../sql/schema.ts";
import { forbiddenInstruction, isSameSchema } from "../sql/verify.ts";
import type { Instruction } from "../sql/verify.ts";
import { Drift } from "./reading.ts";
import type { Execution, Layer, ReadRequest, Schema } from "./reading.ts";

export interface LayerOptions {
  readonly schema: Schema;
  /** Whether recursive queries may run: nothing bounds how long they do. */
  readonly allowsRecursion: boolean;
  /** Steps that a query may take, by the plan's estimate. */
  readonly maxSteps: number;
}

/** All of them after the first, which is `parseStatement`: there is no statement without it. */
export function governedLayers(options: LayerOptions): readonly Layer[] {
  return [planner(options), guard(options), authorizer(options), exactValues(options), verification(options)];
}

/**
 * Refuses what can only be a mistake, by the plan that SQLite makes over the copy. Masked columns have no index: where
 * passes over them are nested, views are computed first if that is the cheaper plan.
 */
export function planner({ schema, maxSteps }: Pick<LayerOptions, "schema" | "maxSteps">): Layer {
  return (next) => async (reading) => {
    const { request } = reading;
    const compose = (materialized: boolean, ordered: boolean): GuardedQuery =>
      guardQuery(request.statement, reading.query, request.views, { ...request, materialized, ordered });
    const query = compose(request.mustMaterialize, false);
    await schema.require(query.used.map((view) => view.name));
    const plan = await schema.use((copy): Plan => {
      const { mustMaterialize } = request;
      const free = planOf(copy, query, request);
      const mustOrder = query.used.length > 0 && indexesOf(free.lines).some((index) => tells(copy, index, query.used));
      const { lines, work } = mustOrder ? planOf(copy, compose(mustMaterialize, true), request) : free;
      if (mustMaterialize || !query.used.some((view) => view.isMasked) || !nestsScans(lines))
        return { work, mustMaterialize, mustOrder };
      const other = planOf(copy, compose(true, mustOrder), request);
      return other.work < work
        ? { work: other.work, mustMaterialize: true, mustOrder }
        : { work, mustMaterialize, mustOrder };
    });
    if (plan.work > Math.log2(maxSteps)) throw tooMuchWork(query);
    const { mustMaterialize, mustOrder } = plan;
    return next({ ...reading, request: { ...request, mustMaterialize, mustOrder } });
  };
}

interface Plan {
  readonly work: number;
  readonly mustMaterialize: boolean;
  readonly mustOrder: boolean;
}

/** Whether the order of an index tells about values that somebody does not see as they are stored. */
function tells(copy: SchemaCopy, index: string, used: readonly GuardView[]): boolean {
  const columns = copy.columnsOfIndex(index);
  const table = copy.snapshot.objects.find(({ type, name }) => type === "index" && name === index)?.table;
  // Tokens are looked up by their whole key: no order comes of that.
  if (table !== undefined && used.some(({ lookup }) => lookup?.table === table)) return false;
  const view = used.find(({ name }) => table !== undefined && foldName(name) === foldName(table));
  if (columns === undefined || view === undefined) return true;
  const clear = new Set(view.clear.map(foldName));
  return columns.some((column) => !clear.has(column));
}

/** Layer 2. */
export function guard({ schema }: Pick<LayerOptions, "schema">): Layer {
  return (next) => async (reading) => {
    const { request } = reading;
    const options = { ...request, materialized: request.mustMaterialize, ordered: request.mustOrder };
    const query = guardQuery(request.statement, reading.query, request.views, options);
    await schema.require(query.used.map((view) => view.name));
    return next({ ...reading, query });
  };
}

/** Layer 3. */
export function authorizer({ schema, allowsRecursion }: Pick<LayerOptions, "schema" | "allowsRecursion">): Layer {
  return (next) => async (reading) => {
    const { query, request } = reading;
    const verdict = await schema.use((copy) => authorize(sqlOf(query), copy, { ...query, allowsRecursion }));
    if (verdict.kind === "invalid") throw invalidSql(verdict, request, query);
    if (verdict.kind === "forbidden") throw forbidden(verdict.what);
    return next({ ...reading, columns: verdict.columns });
  };
}

/** Gives large integers, infinities and bytes as text that says what it is, and lets no value of any size out. */
export function exactValues({ schema }: Pick<LayerOptions, "schema">): Layer {
  return (next) => async (reading) => {
    const { query, request } = reading;
    const columns = reading.columns ?? (await schema.use((copy) => columnsOf(copy, query, request)));
    const run = async (maxValueBytes: number, maxTotalBytes: number | null): Promise<Execution> => {
      const frame = exactFrame(columns.length, { nonce: request.nonce, maxValueBytes, maxTotalBytes });
      const framed = { ...query, before: `${frame.before}${query.before}`, after: `${query.after}${frame.after}` };
      return { ...(await next({ ...reading, query: framed })), columns };
    };
    // Counting bytes takes about as long as reading. Values this small cannot come to too many, and most are: only where a
    // larger one is met, the query runs again and is counted.
    const small = Math.floor(MAX_UNCOUNTED_BYTES / ((request.maxRows + 1) * Math.max(1, columns.length)));
    const execution = await run(Math.min(small, request.maxValueBytes), null);
    const isComplete =
      small >= request.maxValueBytes || !execution.records.some((one) => hasTooLarge(one, request.nonce));
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
export function verification({ schema }: Pick<LayerOptions, "schema">): Layer {
  return (next) => async (reading) => {
    const { query, companions, request } = reading;
    const tables = tablesOf(query);
    const explain = { sql: `EXPLAIN ${sqlOf(query)}`, parameters: query.parameters };
    const execution = await next({ ...reading, companions: [...companions, objectsOfSql(tables), explain] });
    const [found = [], program = []] = execution.companions.slice(companions.length);
    const objects = found.map(toSchemaObject);
    await schema.use((copy) => {
      if (!isSameSchema(copy.objectsOf(tables), objects)) throw new Drift("the schema has changed");
    });
    // Where views set no order of their own, the database must not have taken an index that would.
    const telling = request.mustOrder ? [] : await schema.use((copy) => tellingPages(copy, objects, query.used));
    const problem = forbiddenInstruction(program.map(toInstruction), {
      rootPages: new Set(objects.map(({ rootPage }) => rootPage).filter((page) => !telling.includes(page))),
      allowsTableFunctions: [...ALLOWED_TABLE_FUNCTIONS].some((name) => request.statement.names.has(name)),
    });
    if (problem !== undefined) throw new AppError("query_refused", REFUSED, { cause: problem });
    return { ...execution, companions: execution.companions.slice(0, companions.length) };
  };
}

function tellingPages(
  copy: SchemaCopy,
  objects: readonly SchemaObject[],
  used: readonly GuardView[],
): readonly number[] {
  return objects.flatMap(({ type, name, rootPage }) => (type === "index" && tells(copy, name, used) ? [rootPage] : []));
}

const REFUSED = "The SQL does something that is not available here. Call describe for the tables that you may read.";

function forbidden(what: Forbidden): AppError {
  switch (what.kind) {
    case "function":
      return new AppError("query_refused", `The SQL calls ${what.name}(), which is not available.`);
    case "recursion":
      return new AppError(
        "query_refused",
        "The SQL is recursive (WITH RECURSIVE), which this source does not allow. List the steps with VALUES or json_each instead.",
      );
    case "read":
    case "other":
      return new AppError("query_refused", REFUSED);
  }
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

function toInstruction(record: Readonly<Record<string, unknown>>): Instruction {
  const { opcode, p1, p2, p3 } = record;
  return { opcode: String(opcode), p1: Number(p1), p2: Number(p2), p3: Number(p3) };
}
