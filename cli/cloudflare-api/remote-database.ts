// A deployed D1 database over the platform's query API, with the interface of a binding, so that commands run the Worker's own store
// modules. Values are bound by the API. Source: https://developers.cloudflare.com/api/resources/d1/subresources/database/methods/query/
import type { BoundStatement, StatementAnswer } from "./platform.ts";

/** Runs statements in one transaction, and returns an answer for each. */
type RunBatch = (batch: readonly BoundStatement[]) => Promise<readonly StatementAnswer[]>;

/** Creates the database. `runBatch` sends statements to it. */
export function createRemoteDatabase(runBatch: RunBatch): D1Database {
  return new RemoteDatabase(runBatch);
}

class RemoteStatement implements D1PreparedStatement {
  readonly bound: BoundStatement;
  readonly #runBatch: RunBatch;

  constructor(runBatch: RunBatch, bound: BoundStatement) {
    this.#runBatch = runBatch;
    this.bound = bound;
  }

  bind(...values: unknown[]): D1PreparedStatement {
    return new RemoteStatement(this.#runBatch, { sql: this.bound.sql, params: values.map(requireValue) });
  }

  async all<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    const [answer] = await this.#runBatch([this.bound]);
    return resultOf<T>(answer);
  }

  run<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return this.all<T>();
  }

  async first<T>(column?: string): Promise<T | null> {
    const [row] = (await this.all()).results;
    if (row === undefined) return null;
    return (column === undefined ? row : (row[column] ?? null)) as T | null;
  }

  /** The API gives rows as objects, which lose columns of the same name. */
  async raw(): Promise<never> {
    throw new TypeError("the platform's query API has no raw rows");
  }
}

class RemoteDatabase implements D1Database {
  readonly #runBatch: RunBatch;

  constructor(runBatch: RunBatch) {
    this.#runBatch = runBatch;
  }

  prepare(sql: string): RemoteStatement {
    return new RemoteStatement(this.#runBatch, { sql, params: [] });
  }

  async batch<T = unknown>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    if (statements.length === 0) return [];
    const answers = await this.#runBatch(statements.map(boundOf));
    return statements.map((_statement, index) => resultOf<T>(answers[index]));
  }

  async exec(sql: string): Promise<D1ExecResult> {
    const startedMs = performance.now();
    const answers = await this.#runBatch([{ sql, params: [] }]);
    return { count: answers.length, duration: performance.now() - startedMs };
  }

  /** The API always asks the primary, so that every session sees all writes. It gives no bookmark. */
  withSession(): D1DatabaseSession {
    return {
      prepare: (sql) => this.prepare(sql),
      batch: async (statements) => this.batch(statements),
      getBookmark: () => null,
    };
  }

  /** Not part of the query API, and deprecated. */
  async dump(): Promise<ArrayBuffer> {
    throw new TypeError("the platform's query API cannot dump a database");
  }
}

function boundOf(statement: D1PreparedStatement): BoundStatement {
  if (statement instanceof RemoteStatement) return statement.bound;
  throw new TypeError("a batch takes only statements of its own database");
}

function resultOf<T>(answer: StatementAnswer | undefined): D1Result<T> {
  if (answer === undefined) throw new TypeError("the platform's API answered fewer statements than it was sent");
  const { results, meta } = answer;
  const { changes, last_row_id } = meta;
  return {
    results: results as T[],
    success: true,
    meta: {
      duration: 0,
      size_after: 0,
      rows_read: 0,
      rows_written: 0,
      changed_db: changes > 0,
      ...meta,
      changes,
      last_row_id,
    },
  };
}

/** Allows what JSON carries exactly. A large integer would lose digits on its way. */
function requireValue(value: unknown): string | number | null {
  if (value === null || typeof value === "string") return value;
  if (typeof value === "number" && (Number.isSafeInteger(value) || !Number.isInteger(value)) && Number.isFinite(value))
    return value;
  throw new TypeError(`a ${typeof value} cannot be bound through the platform's API`);
}
