// The Durable Object that keeps one subject's results. People's SQL runs in its SQLite, through the layers of governed SQL,
// so nothing but results lies there: what is known of them is in its key-value storage, which SQL cannot reach.
import { DurableObject } from "cloudflare:workers";
import { quoteIdentifier } from "../sql/identifier.ts";
import { SCHEMA_OBJECTS_SQL, toSchemaObject } from "../sql/schema.ts";
import type { SchemaObject } from "../sql/schema.ts";
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

/** What is looked at in each call, of all results: oldest first. */
interface Index {
  /** How many results there were, so that no id is used twice. */
  readonly counter: number;
  readonly entries: readonly Entry[];
}

interface Entry {
  readonly id: string;
  readonly call: string;
  readonly bytes: number;
  /** Parts that the rows are stored in. */
  readonly parts: number;
  readonly expiresAtMs: number;
}

const INDEX = "index";
const resultKey = (id: string): string => `result:${id}`;
const partKey = (id: string, part: number): string => `rows:${id}:${part}`;
/** Characters of rows in one part. */
const PART_LENGTH = 500_000;

/** Holds the results of one subject: class `WORKSPACE` of the wrangler configuration. */
export class WorkspaceObject<E = unknown> extends DurableObject<E> implements Workspace {
  readonly #storage: DurableObjectStorage;
  readonly #limits: WorkspaceLimits;
  /** As it is stored, once it was read. */
  #known: Index | undefined;

  constructor(ctx: DurableObjectState, env: E, limits: WorkspaceLimits) {
    super(ctx, env);
    this.#storage = ctx.storage;
    this.#limits = limits;
  }

  async open(used: readonly string[]): ReturnType<Workspace["open"]> {
    return this.#transact(() => {
      this.#drop(this.#expired());
      const results = this.#index().entries.map(({ id }) => this.#result(id));
      let objects = this.#objects();
      const missing = results.filter(({ id }) => used.includes(id) && !objects.some(({ table }) => table === id));
      for (const result of missing) this.#makeTable(result);
      if (missing.length > 0) objects = this.#objects();
      return { results, objects: objects.filter(({ table }) => results.some(({ id }) => id === table)) };
    });
  }

  async run(statements: readonly WorkspaceStatement[]): Promise<readonly (readonly WorkspaceRecord[])[]> {
    return statements.map(({ sql, parameters }) => this.#storage.sql.exec<WorkspaceRow>(sql, ...parameters).toArray());
  }

  async keep(result: NewResult): Promise<string> {
    const expiresAtMs = Date.now() + this.#limits.resultSeconds * 1000;
    // Before the result: an alarm that finds nothing to do is harmless. Where there are results, there is one already.
    if (this.#index().entries.length === 0) await this.#storage.setAlarm(expiresAtMs);
    return this.#transact(() => {
      const known = this.#index().entries.find(({ call }) => call === result.call);
      return known?.id ?? this.#add(result, expiresAtMs);
    });
  }

  #add({ call, columns, rows, pages, origin }: NewResult, expiresAtMs: number): string {
    const { kv } = this.#storage;
    const parts = partsOf(rows);
    const bytes = rows.reduce((sum, row) => sum + row.length, 0);
    this.#makeRoom(bytes);
    const { counter, entries } = this.#index();
    const id = `r${counter + 1}`;
    const result: KeptResult = { id, columns, rows: rows.length, pages, origin, keptAtMs: Date.now(), expiresAtMs };
    for (const [index, part] of parts.entries()) kv.put(partKey(id, index), part);
    kv.put(resultKey(id), result);
    const entry: Entry = { id, call, bytes, parts: parts.length, expiresAtMs };
    this.#putIndex({ counter: counter + 1, entries: [...entries, entry] });
    return id;
  }

  async drop(ids: readonly string[]): Promise<void> {
    this.#transact(() => this.#drop(ids));
  }

  override async alarm(): Promise<void> {
    this.#transact(() => this.#drop(this.#expired()));
    const [next] = this.#index().entries;
    if (next !== undefined) await this.#storage.setAlarm(next.expiresAtMs);
  }

  /** Does all of it or nothing, also to what is in memory. */
  #transact<T>(work: () => T): T {
    try {
      return this.#storage.transactionSync(work);
    } catch (error) {
      this.#known = undefined;
      throw error;
    }
  }

  #index(): Index {
    this.#known ??= this.#storage.kv.get<Index>(INDEX) ?? { counter: 0, entries: [] };
    return this.#known;
  }

  /** Callers hold the transaction. */
  #putIndex(index: Index): void {
    this.#storage.kv.put<Index>(INDEX, index);
    this.#known = index;
  }

  #result(id: string): KeptResult {
    const result = this.#storage.kv.get<KeptResult>(resultKey(id));
    if (result === undefined) throw new TypeError(`the result ${id} is in the index and not there`);
    return result;
  }

  #objects(): readonly SchemaObject[] {
    return this.#storage.sql.exec<WorkspaceRow>(SCHEMA_OBJECTS_SQL).toArray().map(toSchemaObject);
  }

  /** Most results are never queried, so their tables are made when they first are. */
  #makeTable({ id, columns }: KeptResult): void {
    const { kv, sql } = this.#storage;
    const names = columns.map(({ name }) => quoteIdentifier(name));
    // Columns without a type take every value as it is.
    sql.exec(`CREATE TABLE ${quoteIdentifier(id)} (${names.join(", ")})`);
    const insert = insertRowsSql(id, columns);
    const { parts = 0 } = this.#index().entries.find((entry) => entry.id === id) ?? {};
    for (let part = 0; part < parts; part += 1) sql.exec(insert, kv.get<string>(partKey(id, part)) ?? "[]");
  }

  #makeRoom(bytes: number): void {
    const { workspaceResults, workspaceBytes } = this.#limits;
    const { entries } = this.#index();
    let held = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    const gone = entries.filter((entry, index) => {
      const isGone = entries.length - index >= workspaceResults || held + bytes > workspaceBytes;
      if (isGone) held -= entry.bytes;
      return isGone;
    });
    this.#drop(gone.map(({ id }) => id));
  }

  #expired(): readonly string[] {
    const nowMs = Date.now();
    return this.#index().entries.flatMap(({ id, expiresAtMs }) => (expiresAtMs <= nowMs ? [id] : []));
  }

  /** Callers hold the transaction. */
  #drop(ids: readonly string[]): void {
    if (ids.length === 0) return;
    const { kv, sql } = this.#storage;
    const { counter, entries } = this.#index();
    for (const { id, parts } of entries.filter((entry) => ids.includes(entry.id))) {
      sql.exec(`DROP TABLE IF EXISTS ${quoteIdentifier(id)}`);
      for (let part = 0; part < parts; part += 1) kv.delete(partKey(id, part));
      kv.delete(resultKey(id));
    }
    this.#putIndex({ counter, entries: entries.filter(({ id }) => !ids.includes(id)) });
  }
}

type WorkspaceRow = Record<string, SqlStorageValue>;

/** The rows as JSON arrays that one statement takes each. A row alone may be longer than a part. */
function partsOf(rows: readonly string[]): readonly string[] {
  const parts: string[][] = [];
  let length = Infinity;
  for (const row of rows) {
    if (length + row.length > PART_LENGTH) {
      parts.push([]);
      length = 0;
    }
    parts.at(-1)?.push(row);
    length += row.length;
  }
  return parts.map((part) => `[${part.join(",")}]`);
}
