// A statement on its way to a database, and what comes back. Layers stand in a list before the database: each may look at
// the statement, change how it is framed, add statements to its transaction, and look at what those say.
import { guardQuery } from "../sql/guard.ts";
import type { GuardView, GuardedQuery, ViewForm } from "../sql/guard.ts";
import type { SqlValue } from "../sql/parameters.ts";
import type { Problem } from "../sql/problem.ts";
import type { OwnOrder, SchemaCopy } from "../sql/schema.ts";
import type { Statement } from "../sql/statement.ts";

/** What a person asks, under today's decisions. */
export interface ReadRequest {
  readonly statement: Statement;
  readonly values: readonly SqlValue[];
  /** The tables that the person may read, as they may see them. */
  readonly views: readonly GuardView[];
  readonly maxRows: number;
  /** Bytes of one value at most. */
  readonly maxValueBytes: number;
  /** Bytes of all rows at most. */
  readonly maxTotalBytes: number;
  /** Random text, new for each reading. */
  readonly nonce: string;
  /** How views are computed: in the safest form, until the planner has chosen one. */
  readonly form: ViewForm;
  /** How new the database must at least be: what the person's last read saw. Null when nothing is known. */
  readonly bookmark: string | null;
}

/** Another statement of the same transaction, which runs before the person's. */
export interface Companion {
  readonly sql: string;
  readonly parameters: readonly SqlValue[];
}

export interface Reading {
  readonly request: ReadRequest;
  /** The one that all layers judge by, and that the database must still have when it answers. */
  readonly schema: Schema;
  /** As it would run now. */
  readonly query: GuardedQuery;
  readonly companions: readonly Companion[];
  /** The names of the result's columns, once a layer knows them. */
  readonly columns?: readonly string[];
}

/** The statement of a reading behind guard views of this form. */
export function guarded({ request, query, schema }: Reading, form: ViewForm): GuardedQuery {
  const { statement, views, nonce, maxRows } = request;
  const ownOrderOf = (table: string): OwnOrder | undefined => schema.use((copy) => copy.shapeOf(table).ownOrder);
  return guardQuery(statement, query, views, { nonce, maxRows, ownOrderOf, ...form });
}

/** A database's schema as it was at one moment. */
export interface Schema {
  /** Works with a copy of it. Throws `query_refused` when SQLite gives up over it, and `BrokenCopy` to each later reader. */
  use<T>(work: (copy: SchemaCopy) => T): T;
}

/** Knows the schema of the database behind the layers. */
export interface SchemaKeeper {
  /** Throws `source_unavailable` when one of the tables is not what it was declared to be, or the database does not answer. */
  open(tables: readonly string[]): Promise<Schema>;
  /** It has changed: read it again at the next opening, unless that was done since this one was opened. */
  forget(schema: Schema): void;
}

type Records = readonly Readonly<Record<string, unknown>>[];

/** What the database gave: of the person's statement, and of each companion, in their order. */
export interface Execution {
  readonly records: Records;
  readonly companions: readonly Records[];
  /** The names of the result's columns, in order; those of the records are `resultColumn`s. */
  readonly columns: readonly string[];
  /** The views that occurred in the SQL. */
  readonly used: readonly GuardView[];
  /** How new the database was. */
  readonly bookmark: string | null;
}

export type Execute = (reading: Reading) => Promise<Execution>;

/** One layer in front of the rest. Throws `AppError` for what the person can mend, `Drift` when the schema has changed. */
export type Layer = (next: Execute) => Execute;

/** The first layer of the list is asked first. */
export function stack(layers: readonly Layer[], execute: Execute): Execute {
  return layers.reduceRight<Execute>((next, layer) => layer(next), execute);
}

/** The database is not what it was when its schema was read. */
export class Drift extends Error {}

/** SQLite in memory failed under another reading. */
export class BrokenCopy extends Drift {}

/** The database chose another plan than the copy did, and one that would tell by the order of rows. */
export class TellingOrder extends Error {}

/** A problem that came from the database, on its way through the layers. */
export class DatabaseProblem extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.error.message, { cause: problem.error });
    this.problem = problem;
  }
}
