// The Durable Object that keeps one subject's results. People's SQL runs in its SQLite, through the layers of governed SQL,
// so nothing but results lies there: what is known of them is in its key-value storage, which SQL cannot reach.
import { DurableObject } from "cloudflare:workers";
import { quoteIdentifier } from "../sql/identifier.ts";
import { SCHEMA_OBJECTS_SQL, toSchemaObject } from "../sql/schema.ts";
import { insertRowsSql } from "./rows.ts";
import type { KeptResult, NewResult, Workspace, WorkspaceRecord, WorkspaceStatement } from "./workspace.ts";

export interface WorkspaceLimits {
  /** Results of one subject. */
  readonly workspaceResults: number;
  /** Bytes of their rows, as JSON. */
  readonly workspaceBytes: number;
  /** How long a result is kept. */
  readonly resultSeconds: number;
}

/** A result as it is stored. */
interface Stored extends KeptResult {
  readonly call: string;
  readonly bytes: number;
  /** How many were kept before it: ids tell no order as text. */
  readonly number: number;
}

const COUNTER = "counter";
const RESULT = "result:";
/** Characters of rows in one statement. */
const CHUNK_LENGTH = 500_000;

export type WorkspaceObjectClass<E> = new (ctx: DurableObjectState, env: E) => DurableObject<E> & Workspace;

/** The workspace class of a deployment with these limits. */
export function defineWorkspaceObject<E>(limitsOf: (env: E) => WorkspaceLimits): WorkspaceObjectClass<E> {
  return class WorkspaceObject extends DurableObject<E> implements Workspace {
    readonly #storage: DurableObjectStorage;
    readonly #limits: WorkspaceLimits;

    constructor(ctx: DurableObjectState, env: E) {
      super(ctx, env);
      this.#storage = ctx.storage;
      this.#limits = limitsOf(env);
    }

    async open(): ReturnType<Workspace["open"]> {
      this.#dropExpired();
      const results = this.#results().map(({ call: _call, bytes: _bytes, number: _number, ...result }) => result);
      const objects = this.#storage.sql.exec<WorkspaceRow>(SCHEMA_OBJECTS_SQL).toArray().map(toSchemaObject);
      return { results, objects: objects.filter(({ table }) => results.some(({ id }) => id === table)) };
    }

    async run(statements: readonly WorkspaceStatement[]): Promise<readonly (readonly WorkspaceRecord[])[]> {
      return statements.map(({ sql, parameters }) =>
        this.#storage.sql.exec<WorkspaceRow>(sql, ...parameters).toArray(),
      );
    }

    async keep(result: NewResult): Promise<string> {
      const { resultSeconds } = this.#limits;
      const expiresAtMs = Date.now() + resultSeconds * 1000;
      // Before the result: an alarm that finds nothing to do is harmless.
      if ((await this.#storage.getAlarm()) === null) await this.#storage.setAlarm(expiresAtMs);
      return this.#storage.transactionSync(() => {
        const known = this.#results().find(({ call }) => call === result.call);
        return known?.id ?? this.#add(result, expiresAtMs);
      });
    }

    #add({ call, columns, rows, pages, origin }: NewResult, expiresAtMs: number): string {
      const bytes = rows.reduce((sum, row) => sum + row.length, 0);
      this.#makeRoom(bytes);
      const number = (this.#storage.kv.get<number>(COUNTER) ?? 0) + 1;
      const id = `r${number}`;
      const names = columns.map(({ name }) => quoteIdentifier(name));
      // Columns without a type take every value as it is.
      this.#storage.sql.exec(`CREATE TABLE ${quoteIdentifier(id)} (${names.join(", ")})`);
      const insert = insertRowsSql(id, columns);
      for (const chunk of chunksOf(rows)) this.#storage.sql.exec(insert, `[${chunk.join(",")}]`);
      const known = { id, columns, rows: rows.length, pages, origin, keptAtMs: Date.now(), expiresAtMs };
      const stored: Stored = { ...known, call, bytes, number };
      this.#storage.kv.put(COUNTER, number);
      this.#storage.kv.put(`${RESULT}${id}`, stored);
      return id;
    }

    async drop(ids: readonly string[]): Promise<void> {
      this.#storage.transactionSync(() => {
        for (const { id } of this.#results()) if (ids.includes(id)) this.#forget(id);
      });
    }

    override async alarm(): Promise<void> {
      this.#dropExpired();
      const [next] = this.#results().toSorted((a, b) => a.expiresAtMs - b.expiresAtMs);
      if (next !== undefined) await this.#storage.setAlarm(next.expiresAtMs);
    }

    /** Oldest first. */
    #results(): readonly Stored[] {
      const stored = [...this.#storage.kv.list<Stored>({ prefix: RESULT })].map(([, result]) => result);
      return stored.toSorted((a, b) => a.number - b.number);
    }

    #makeRoom(bytes: number): void {
      const { workspaceResults, workspaceBytes } = this.#limits;
      const results = this.#results();
      let held = results.reduce((sum, result) => sum + result.bytes, 0);
      for (const [index, result] of results.entries()) {
        if (results.length - index < workspaceResults && held + bytes <= workspaceBytes) return;
        this.#forget(result.id);
        held -= result.bytes;
      }
    }

    #dropExpired(): void {
      const nowMs = Date.now();
      this.#storage.transactionSync(() => {
        for (const { id, expiresAtMs } of this.#results()) if (expiresAtMs <= nowMs) this.#forget(id);
      });
    }

    #forget(id: string): void {
      this.#storage.sql.exec(`DROP TABLE IF EXISTS ${quoteIdentifier(id)}`);
      this.#storage.kv.delete(`${RESULT}${id}`);
    }
  };
}

type WorkspaceRow = Record<string, SqlStorageValue>;

/** Rows in parts that one statement takes. A row alone may be longer. */
function chunksOf(rows: readonly string[]): readonly (readonly string[])[] {
  const chunks: string[][] = [];
  let length = Infinity;
  for (const row of rows) {
    if (length + row.length > CHUNK_LENGTH) {
      chunks.push([]);
      length = 0;
    }
    chunks.at(-1)?.push(row);
    length += row.length;
  }
  return chunks;
}
