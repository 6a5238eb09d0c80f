// The Durable Object that stores one subject's results. User SQL runs in its SQLite database behind the policy's checks, so that database
// holds nothing but rows of results. Everything else about them is in its key-value storage, which SQL cannot reach.
import { DurableObject } from "cloudflare:workers";
import { UnknownLayoutError } from "../lib/storage-layout.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import { SCHEMA_OBJECTS_SQL, toSchemaObject } from "../sql/schema-copy.ts";
import type { SchemaObject } from "../sql/schema-copy.ts";
import { buildInsertRowsSql } from "./result-rows.ts";
import { buildColumnDefinition } from "./stored-columns.ts";
import type {
  StoredResult,
  NewResult,
  OpenedWorkspace,
  Workspace,
  WorkspaceRecord,
  WorkspaceStatement,
} from "./workspace.ts";

/** The limits of one workspace. */
interface WorkspaceLimits {
  /** The most results. */
  readonly workspaceResults: number;
  /** The most bytes of the rows of all results, as JSON. */
  readonly workspaceBytes: number;
  /** How long a result is stored. */
  readonly resultSeconds: number;
}

/** What every call needs to know about all results. Oldest first. */
interface ResultIndex {
  /** How many results were ever stored, so that no id is used twice. */
  readonly counter: number;
  readonly entries: readonly IndexEntry[];
}

interface IndexEntry {
  readonly id: string;
  readonly call: string;
  readonly bytes: number;
  /** The number of parts in which the rows are stored. */
  readonly parts: number;
  readonly expiresAtMs: number;
}

const INDEX_KEY = "index";
const LAYOUT_KEY = "layout";
/** The number of the layout of the keys. Layout 0 has the same keys, without a number. */
const LAYOUT_NUMBER = 1;
const buildResultKey = (id: string): string => `result:${id}`;
const buildPartKey = (id: string, part: number): string => `rows:${id}:${part}`;
/** The most characters of rows in one part, unless a single row is longer. */
const MAX_PART_CHARACTERS = 500_000;

/** Stores the results of one subject. The wrangler configuration binds it as `WORKSPACE`. */
export class WorkspaceObject<E = unknown> extends DurableObject<E> implements Workspace {
  readonly #storage: DurableObjectStorage;
  readonly #limits: WorkspaceLimits;
  /** The stored index; undefined until it is read. */
  #cachedIndex: ResultIndex | undefined;

  constructor(ctx: DurableObjectState, env: E, limits: WorkspaceLimits) {
    super(ctx, env);
    this.#storage = ctx.storage;
    this.#limits = limits;
  }

  async open(usedIds: readonly string[]): Promise<OpenedWorkspace> {
    return this.#transact(() => {
      this.#drop(this.#listExpired());
      const results = this.#readIndex().entries.map(({ id }) => this.#readResult(id));
      let objects = this.#listSchemaObjects();
      const missingTables = results.filter(
        ({ id }) => usedIds.includes(id) && !objects.some(({ table }) => table === id),
      );
      for (const result of missingTables) this.#createTable(result);
      if (missingTables.length > 0) objects = this.#listSchemaObjects();
      return { results, objects: objects.filter(({ table }) => results.some(({ id }) => id === table)) };
    });
  }

  async run(statements: readonly WorkspaceStatement[]): Promise<readonly (readonly WorkspaceRecord[])[]> {
    return statements.map(({ sql, parameters }) => this.#storage.sql.exec<WorkspaceRow>(sql, ...parameters).toArray());
  }

  async store(result: NewResult): Promise<string> {
    const expiresAtMs = Date.now() + this.#limits.resultSeconds * 1000;
    // The alarm is set before the result is stored: an alarm without a result does no harm. If there are results, an alarm is already set.
    if (this.#readIndex().entries.length === 0) await this.#storage.setAlarm(expiresAtMs);
    return this.#transact(() => {
      const storedEntry = this.#readIndex().entries.find(({ call }) => call === result.call);
      return storedEntry?.id ?? this.#insert(result, expiresAtMs);
    });
  }

  #insert({ call, columns, rows, pages, origin }: NewResult, expiresAtMs: number): string {
    const { kv } = this.#storage;
    const parts = splitIntoParts(rows);
    const bytes = rows.reduce((sum, row) => sum + row.length, 0);
    this.#makeRoom(bytes);
    const { counter, entries } = this.#readIndex();
    const id = `r${counter + 1}`;
    const result: StoredResult = { id, columns, rows: rows.length, pages, origin, keptAtMs: Date.now(), expiresAtMs };
    for (const [index, part] of parts.entries()) kv.put(buildPartKey(id, index), part);
    kv.put(buildResultKey(id), result);
    const entry: IndexEntry = { id, call, bytes, parts: parts.length, expiresAtMs };
    this.#putIndex({ counter: counter + 1, entries: [...entries, entry] });
    return id;
  }

  async drop(ids: readonly string[]): Promise<void> {
    this.#transact(() => this.#drop(ids));
  }

  override async alarm(): Promise<void> {
    this.#transact(() => this.#drop(this.#listExpired()));
    const [next] = this.#readIndex().entries;
    if (next !== undefined) await this.#storage.setAlarm(next.expiresAtMs);
  }

  /** Runs the work in a transaction. If it fails, also drops the index in memory. */
  #transact<T>(work: () => T): T {
    try {
      return this.#storage.transactionSync(work);
    } catch (error) {
      this.#cachedIndex = undefined;
      throw error;
    }
  }

  #readIndex(): ResultIndex {
    if (this.#cachedIndex !== undefined) return this.#cachedIndex;
    const { kv } = this.#storage;
    const storedNumber = kv.get<number>(LAYOUT_KEY) ?? 0;
    if (storedNumber > LAYOUT_NUMBER) throw new UnknownLayoutError("WorkspaceObject", storedNumber, LAYOUT_NUMBER);
    return (this.#cachedIndex = kv.get<ResultIndex>(INDEX_KEY) ?? { counter: 0, entries: [] });
  }

  /** Stores the index. Callers hold the transaction. */
  #putIndex(index: ResultIndex): void {
    this.#storage.kv.put(LAYOUT_KEY, LAYOUT_NUMBER);
    this.#storage.kv.put<ResultIndex>(INDEX_KEY, index);
    this.#cachedIndex = index;
  }

  #readResult(id: string): StoredResult {
    const result = this.#storage.kv.get<StoredResult>(buildResultKey(id));
    if (result === undefined) throw new TypeError(`the index lists the result ${id}, but it is not stored`);
    return result;
  }

  #listSchemaObjects(): readonly SchemaObject[] {
    return this.#storage.sql.exec<WorkspaceRow>(SCHEMA_OBJECTS_SQL).toArray().map(toSchemaObject);
  }

  /** Creates the table of a result when a query first uses it, because most results are never queried. */
  #createTable({ id, columns }: StoredResult): void {
    const { kv, sql } = this.#storage;
    sql.exec(`CREATE TABLE ${quoteIdentifier(id)} (${columns.map(buildColumnDefinition).join(", ")})`);
    const insert = buildInsertRowsSql(id, columns);
    const { parts = 0 } = this.#readIndex().entries.find((entry) => entry.id === id) ?? {};
    for (let part = 0; part < parts; part += 1) sql.exec(insert, kv.get<string>(buildPartKey(id, part)) ?? "[]");
  }

  #makeRoom(bytes: number): void {
    const { workspaceResults, workspaceBytes } = this.#limits;
    const { entries } = this.#readIndex();
    let storedBytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    const evictedEntries = entries.filter((entry, index) => {
      const isEvicted = entries.length - index >= workspaceResults || storedBytes + bytes > workspaceBytes;
      if (isEvicted) storedBytes -= entry.bytes;
      return isEvicted;
    });
    this.#drop(evictedEntries.map(({ id }) => id));
  }

  #listExpired(): readonly string[] {
    const nowMs = Date.now();
    return this.#readIndex().entries.flatMap(({ id, expiresAtMs }) => (expiresAtMs <= nowMs ? [id] : []));
  }

  /** Deletes results. Callers hold the transaction. */
  #drop(ids: readonly string[]): void {
    if (ids.length === 0) return;
    const { kv, sql } = this.#storage;
    const { counter, entries } = this.#readIndex();
    for (const { id, parts } of entries.filter((entry) => ids.includes(entry.id))) {
      sql.exec(`DROP TABLE IF EXISTS ${quoteIdentifier(id)}`);
      for (let part = 0; part < parts; part += 1) kv.delete(buildPartKey(id, part));
      kv.delete(buildResultKey(id));
    }
    this.#putIndex({ counter, entries: entries.filter(({ id }) => !ids.includes(id)) });
  }
}

type WorkspaceRow = Record<string, SqlStorageValue>;

/** Splits the rows into JSON arrays, each small enough for one statement. */
function splitIntoParts(rows: readonly string[]): readonly string[] {
  const parts: string[][] = [];
  let partCharacters = Infinity;
  for (const row of rows) {
    if (partCharacters + row.length > MAX_PART_CHARACTERS) {
      parts.push([]);
      partCharacters = 0;
    }
    parts.at(-1)?.push(row);
    partCharacters += row.length;
  }
  return parts.map((part) => `[${part.join(",")}]`);
}
