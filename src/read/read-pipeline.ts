// Defines the pipeline of a governed read: a list of middleware in front of the database. Each middleware may inspect the statement, change
// the SQL around it, add check statements to its transaction, and inspect the results. Retries are the executor's, in read-executor.ts.
import type { RecordedCompilation } from "../sql/authorizer.ts";
import { guardQuery } from "../sql/statement-guard.ts";
import type { GuardView, GuardedQuery, ViewForm } from "../sql/statement-guard.ts";
import type { DriverValue, SqlValue } from "../sql/parameters.ts";
import type { ResultShape } from "../sql/result-shape.ts";
import type { StatementReads } from "../sql/statement-reads.ts";
import type { SqlProblem } from "../sql/sql-problem.ts";
import type { StorageOrder, SchemaCopy } from "../sql/schema-copy.ts";
import type { Statement } from "../sql/statement.ts";

/** A user's statement, with the views and limits that apply to it. */
export interface ReadRequest extends AttemptSettings {
  readonly statement: Statement;
  readonly values: readonly SqlValue[];
  /** The guard views of the tables that the user may read. */
  readonly views: readonly GuardView[];
  readonly maxReadRows: number;
  /** Maximum bytes of one value. */
  readonly maxValueBytes: number;
  /** Maximum bytes of all rows. */
  readonly maxTotalBytes: number;
  /** Unguessable text, new for each attempt. */
  readonly nonce: string;
  /** How views are computed: the safest form until the planner chooses one. */
  readonly form: ViewForm;
}

/** What an attempt at a read has to do because of what earlier attempts met. */
export interface AttemptSettings {
  /** The D1 bookmark that the database must have reached. Null for any state. */
  readonly bookmark: string | null;
  /** Whether views must be sorted, because the database may choose a plan under which the order of rows would reveal hidden values. */
  readonly sortsViews: boolean;
  /** Whether that has happened. Views may also be sorted to be on the safe side. */
  readonly hasLeakedOrder: boolean;
  /** Whether the bytes of the rows must be counted: a value was too large to go without. */
  readonly countsBytes: boolean;
}

/** A statement that runs in the same transaction, before the user's. */
interface CheckStatement {
  readonly sql: string;
  readonly parameters: readonly DriverValue[];
}

/** The state of one attempt at a read, which each middleware passes on. */
export interface ReadContext {
  readonly request: ReadRequest;
  /** The schema that all layers check against. The database must still have it when it answers. */
  readonly schema: Schema;
  /** The statement as it would run now. */
  readonly query: GuardedQuery;
  /** The guarded query of the planner, with the views and form that it is built of; absent before the planner. */
  readonly planned?: PlannedQuery;
  readonly checkStatements: readonly CheckStatement[];
  /** Which columns the statement uses; absent if no layer has found out. */
  readonly reads?: StatementReads;
  /** The names of the result's columns, once a layer has determined them. */
  readonly columns?: readonly string[];
}

/** A guarded query, and what it is built of. */
export interface PlannedQuery {
  readonly query: GuardedQuery;
  readonly views: readonly GuardView[];
  readonly form: ViewForm;
  /** The compilation of exactly this query, if the planner has just made it. */
  readonly compilation?: RecordedCompilation | undefined;
}

/** Builds the statement of a read behind guard views of this form. */
export function buildGuardedQuery({ request, query, schema }: ReadContext, form: ViewForm): GuardedQuery {
  const { statement, views, nonce, maxReadRows } = request;
  const findStorageOrder = (table: string): StorageOrder | undefined =>
    schema.use((copy) => copy.getTableShape(table).storageOrder);
  return guardQuery(statement, query, views, { nonce, maxReadRows, findStorageOrder, ...form });
}

/** The schema of a database at one moment. */
export interface Schema {
  /**
   * Runs `work` with an in-memory copy of the schema. Errors: `query_refused` when SQLite fails, for example out of memory. After that,
   * throws `BrokenSchemaCopy` to every other reader of the same copy.
   */
  use<T>(work: (copy: SchemaCopy) => T): T;
}

/** Caches the schema of the database behind the middleware. */
export interface SchemaCache {
  /** Errors: `source_unavailable` when one of the tables does not match its declaration, or the database does not answer. */
  open(tables: readonly string[]): Promise<Schema>;
  /** Makes the next `open` read the schema again, unless that has happened since `schema` was opened. */
  invalidate(schema: Schema): void;
}

type Records = readonly Readonly<Record<string, unknown>>[];

/** What the database returned for the user's statement and for each check statement, in their order. */
export interface ExecutionResult {
  readonly records: Records;
  readonly checkRecords: readonly Records[];
  /** The names of the result's columns, in order. The keys of the records are generated; see sql/result-encoding.ts. */
  readonly columns: readonly string[];
  /** What the statement reads, and the columns of its result; absent if no layer has found out. */
  readonly shape?: ResultShape;
  /** The D1 bookmark of this read. */
  readonly bookmark: string | null;
}

/** Runs an attempt and returns its result. */
export type Execute = (context: ReadContext) => Promise<ExecutionResult>;

/** Wraps the rest of the pipeline. Throws `AppError` for what the user can correct, and the errors below for what another attempt can. */
export type Middleware = (next: Execute) => Execute;

/** Composes middleware in front of `execute`. The first of the list runs first. */
export function compose(middleware: readonly Middleware[], execute: Execute): Execute {
  return middleware.reduceRight<Execute>((next, current) => current(next), execute);
}

/** The database's schema has changed since it was read. */
export class SchemaDrift extends Error {}

/** The in-memory SQLite of the schema copy failed during another read. */
export class BrokenSchemaCopy extends SchemaDrift {}

/** The database chose another plan than the schema copy did, and row order under this plan would reveal hidden values. */
export class OrderLeak extends Error {}

/** A value was larger than values may be whose bytes are not counted. */
export class UncountedBytes extends Error {}

/** A problem that the database reported, on its way through the middleware. */
export class DatabaseError extends Error {
  readonly problem: SqlProblem;

  constructor(problem: SqlProblem) {
    super(problem.error.message, { cause: problem.error });
    this.problem = problem;
  }
}
