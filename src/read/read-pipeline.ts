// Defines the pipeline of a governed read: a list of middleware in front of the database. Each middleware may inspect the statement, change
// the SQL around it, add check statements to its transaction, and inspect the results.
import { guardQuery } from "../sql/statement-guard.ts";
import type { GuardView, GuardedQuery, ViewForm } from "../sql/statement-guard.ts";
import type { DriverValue, SqlValue } from "../sql/parameters.ts";
import type { ResultShape } from "../sql/result-shape.ts";
import type { SqlProblem } from "../sql/sql-problem.ts";
import type { StorageOrder, SchemaCopy } from "../sql/schema-copy.ts";
import type { Statement } from "../sql/statement.ts";

/** A user's statement, with the views and limits that apply to it. */
export interface ReadRequest {
  readonly statement: Statement;
  readonly values: readonly SqlValue[];
  /** The guard views of the tables that the user may read. */
  readonly views: readonly GuardView[];
  readonly maxReadRows: number;
  /** Maximum bytes of one value. */
  readonly maxValueBytes: number;
  /** Maximum bytes of all rows. */
  readonly maxTotalBytes: number;
  /** Unguessable text, new for each read. */
  readonly nonce: string;
  /** How views are computed: the safest form until the planner chooses one. */
  readonly form: ViewForm;
  /** The D1 bookmark of the user's last read, which the database must have reached. Null for a first read. */
  readonly bookmark: string | null;
}

/** A statement that runs in the same transaction, before the user's. */
interface CheckStatement {
  readonly sql: string;
  readonly parameters: readonly DriverValue[];
}

/** The state of one read, which each middleware passes on. */
export interface ReadContext {
  readonly request: ReadRequest;
  /** The schema that all layers check against. The database must still have it when it answers. */
  readonly schema: Schema;
  /** The statement as it would run now. */
  readonly query: GuardedQuery;
  readonly checkStatements: readonly CheckStatement[];
  /** The names of the result's columns, once a layer has determined them. */
  readonly columns?: readonly string[];
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

/** Runs a read and returns its result. */
export type Execute = (context: ReadContext) => Promise<ExecutionResult>;

/** Wraps the rest of the pipeline. Throws `AppError` for what the user can correct, and `SchemaDrift` when the schema has changed. */
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

/** A problem that the database reported, on its way through the middleware. */
export class DatabaseError extends Error {
  readonly problem: SqlProblem;

  constructor(problem: SqlProblem) {
    super(problem.error.message, { cause: problem.error });
    this.problem = problem;
  }
}
