// The Durable Object that stores one subject's results. User SQL runs in its SQLite database behind the policy's checks, so that database
// holds nothing but rows of results. Everything else about them is in its key-value storage, which SQL cannot reach.
import { DurableObject } from "cloudflare:workers";
import { UnknownLayoutError } from "../lib/storage-layout.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import { SCHEMA_OBJECTS_SQL, toSchemaObject } from "../sql/schema-objects.ts";
import type { SchemaObject } from "../sql/schema-objects.ts";
import { buildInsertRowsSql } from "./result-rows.ts";
import { buildColumnDefinition } from "./stored-columns.ts";
import type { ResultLedger } from "../audit/audit-record.ts";
import {
  listEntries,
  listOverflow,
  nextDueMs,
  postpone,
  promote,
  removeEntries,
  removePending,
  takeNumber,
  useUpNumbers,
} from "./result-index.ts";
import type { PendingEntry, PendingIndex, ResultIndex, WorkspaceIndex } from "./result-index.ts";
import type {
  ClearableWorkspace,
  KeepResult,
  StoredResult,
  NewResult,
  OpenedWorkspace,
  Workspace,
  WorkspaceRecord,
  WorkspaceStatement,
} from "./workspace.ts";

/** The limits of one workspace. */
interface WorkspaceLimits {
  /** The most usable results. */
  readonly workspaceResults: number;
  /** The most bytes of the rows of all usable results, as JSON, and of all pending ones. */
  readonly workspaceBytes: number;
  /** How long a result is stored. */
  readonly resultSeconds: number;
  /** The longest time between begin and commit of a call, after which its ledger says for good whether it was committed. */
  readonly leaseSeconds: number;
}

/** What a WorkspaceObject is created with. */
export interface WorkspaceOptions {
  readonly limits: WorkspaceLimits;
  /** Opens the ledger of a user. */
  readonly openLedger: (ownerId: string) => ResultLedger;
  readonly onError: (error: unknown) => void;
}

/** The most pending results: more than one user's calls usually leave at a time, because one call runs per source. */
const MAX_PENDING_RESULTS = 16;
/** When a ledger that could not be reached is asked again. */
const RETRY_MS = 30_000;

const INDEX_KEY = "index";
const PENDING_KEY = "pending";
const LAYOUT_KEY = "layout";
/** The number of the layout of the keys. Layout 0 has the same keys, without a number. */
const LAYOUT_NUMBER = 1;
const buildResultKey = (id: string): string => `result:${id}`;
const buildPartKey = (id: string, part: number): string => `rows:${id}:${part}`;
/** The most characters of rows in one part, unless a single row is longer. */
const MAX_PART_CHARACTERS = 500_000;

/** Stores the results of one subject. The wrangler configuration binds it as `WORKSPACE`. */
export class WorkspaceObject<E = unknown> extends DurableObject<E> implements Workspace, ClearableWorkspace {
  readonly #storage: DurableObjectStorage;
  readonly #options: WorkspaceOptions;
  /** The stored index; undefined until it is read. */
  #cachedIndex: WorkspaceIndex | undefined;

  constructor(ctx: DurableObjectState, env: E, options: WorkspaceOptions) {
    super(ctx, env);
    this.#storage = ctx.storage;
    this.#options = options;
  }

  async open(usedIds: readonly string[], committedCalls: readonly string[] = []): Promise<OpenedWorkspace> {
    this.#transact(() => this.#promote(committedCalls));
    // Usually there are none: the last results of this subject are committed, and the ledger has named them.
    await this.#settle(this.#readIndex().pending.entries);
    return this.#transact(() => {
      this.#drop(this.#listExpired());
      const results = this.#readIndex().index.entries.map(({ id }) => this.#readResult(id));
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

  async keep(result: NewResult, committedCalls: readonly string[]): Promise<KeepResult> {
    const leaseEndMs = Date.now() + this.#options.limits.leaseSeconds * 1000;
    // The alarm is set before the result is stored: an alarm without a result does no harm.
    await this.#setAlarmBy(leaseEndMs);
    return this.#transact(() => {
      this.#promote(committedCalls);
      const workspaceIndex = this.#readIndex();
      if (listEntries(workspaceIndex).some(({ call }) => call === result.call)) return { ok: true };
      const withNumber = takeNumber(workspaceIndex, result.number, { nowMs: Date.now(), leaseEndMs });
      if (withNumber === undefined) return { ok: false, lastNumber: workspaceIndex.index.counter };
      this.#insert(result, leaseEndMs, withNumber);
      return { ok: true };
    });
  }

  /** Returns the highest number of a result that the workspace ever had. A ledger asks once, before it assigns numbers. */
  async readLastNumber(): Promise<number> {
    return this.#readIndex().index.counter;
  }

  #insert(
    { call, number, ownerId, columns, rows, pages, origin }: NewResult,
    settleAtMs: number,
    withNumber: WorkspaceIndex,
  ): void {
    const { kv } = this.#storage;
    const parts = splitIntoParts(rows);
    const bytes = rows.reduce((sum, row) => sum + row.length, 0);
    const { index, pending } = this.#makePendingRoom(withNumber, bytes);
    const id = `r${number}`;
    const keptAtMs = Date.now();
    const expiresAtMs = keptAtMs + this.#options.limits.resultSeconds * 1000;
    const result: StoredResult = { id, columns, rows: rows.length, pages, origin, keptAtMs, expiresAtMs };
    for (const [part, text] of parts.entries()) kv.put(buildPartKey(id, part), text);
    kv.put(buildResultKey(id), result);
    const entry: PendingEntry = { id, call, bytes, parts: parts.length, expiresAtMs, ownerId, settleAtMs };
    this.#putIndex({ index, pending: { ...pending, entries: [...pending.entries, entry] } });
  }

  async drop(ids: readonly string[]): Promise<void> {
    this.#transact(() => this.#drop(ids));
  }

  async countResults(): Promise<number> {
    return listEntries(this.#readIndex()).length - this.#listExpired().length;
  }

  async clear(lastNumber: number): Promise<void> {
    this.#transact(() => {
      const workspaceIndex = this.#readIndex();
      const ids = listEntries(workspaceIndex).map(({ id }) => id);
      // A workspace that was never used stays without storage.
      if (ids.length === 0 && workspaceIndex.index.counter === 0 && lastNumber === 0) return;
      this.#deleteRows(workspaceIndex, ids);
      this.#putIndex(useUpNumbers(workspaceIndex, lastNumber));
    });
  }

  override async alarm(): Promise<void> {
    const nowMs = Date.now();
    await this.#settle(this.#readIndex().pending.entries.filter(({ settleAtMs }) => settleAtMs <= nowMs));
    this.#transact(() => this.#drop(this.#listExpired()));
    const dueMs = nextDueMs(this.#readIndex());
    if (dueMs !== undefined) await this.#setAlarmBy(dueMs);
  }

  /** Makes the pending results of calls usable that a ledger has named as committed. Callers hold the transaction. */
  #promote(committedCalls: readonly string[]): void {
    const workspaceIndex = this.#readIndex();
    const promoted = promote(workspaceIndex, committedCalls);
    if (promoted.pending !== workspaceIndex.pending) this.#putIndex(this.#makeRoom(promoted));
  }

  /** Asks the ledger what became of the calls of pending results. Deletes those whose call was not committed. */
  async #settle(entries: readonly PendingEntry[]): Promise<void> {
    for (const ownerId of new Set(entries.map((entry) => entry.ownerId))) {
      const asked = entries.filter((entry) => entry.ownerId === ownerId);
      const calls = asked.map(({ call }) => call);
      try {
        const { committed, running } = await this.#options.openLedger(ownerId).settleResults(calls);
        const { leaseSeconds } = this.#options.limits;
        this.#transact(() => {
          this.#promote(committed);
          this.#putIndex(postpone(this.#readIndex(), running, Date.now() + leaseSeconds * 1000));
          this.#drop(
            asked.filter(({ call }) => !committed.includes(call) && !running.includes(call)).map(({ id }) => id),
          );
        });
      } catch (error) {
        // The results stay pending, so no call can use them.
        this.#options.onError(error);
        this.#transact(() => this.#putIndex(postpone(this.#readIndex(), calls, Date.now() + RETRY_MS)));
      }
    }
  }

  /** Sets the alarm unless it is set to an earlier time. */
  async #setAlarmBy(dueMs: number): Promise<void> {
    const alarmMs = await this.#storage.getAlarm();
    if (alarmMs === null || alarmMs > dueMs) await this.#storage.setAlarm(dueMs);
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

  #readIndex(): WorkspaceIndex {
    if (this.#cachedIndex !== undefined) return this.#cachedIndex;
    const { kv } = this.#storage;
    const storedNumber = kv.get<number>(LAYOUT_KEY) ?? 0;
    if (storedNumber > LAYOUT_NUMBER) throw new UnknownLayoutError("WorkspaceObject", storedNumber, LAYOUT_NUMBER);
    const index = kv.get<ResultIndex>(INDEX_KEY) ?? { counter: 0, entries: [] };
    return (this.#cachedIndex = { index, pending: kv.get<PendingIndex>(PENDING_KEY) ?? { entries: [], skipped: [] } });
  }

  /** Stores the index. Callers hold the transaction. */
  #putIndex({ index, pending }: WorkspaceIndex): void {
    const { kv } = this.#storage;
    if (kv.get<number>(LAYOUT_KEY) !== LAYOUT_NUMBER) kv.put(LAYOUT_KEY, LAYOUT_NUMBER);
    kv.put<ResultIndex>(INDEX_KEY, index);
    if (pending.entries.length > 0 || pending.skipped.length > 0) kv.put<PendingIndex>(PENDING_KEY, pending);
    else kv.delete(PENDING_KEY);
    this.#cachedIndex = { index, pending };
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
    const { parts = 0 } = this.#readIndex().index.entries.find((entry) => entry.id === id) ?? {};
    for (let part = 0; part < parts; part += 1) sql.exec(insert, kv.get<string>(buildPartKey(id, part)) ?? "[]");
  }

  /** Deletes the rows of the oldest usable results until the others fit, and returns the index without them. */
  #makeRoom(workspaceIndex: WorkspaceIndex): WorkspaceIndex {
    const { workspaceResults: maxResults, workspaceBytes: maxBytes } = this.#options.limits;
    const { entries } = workspaceIndex.index;
    const overflow = listOverflow(entries.slice(0, -1), { maxResults, maxBytes }, entries.at(-1)?.bytes ?? 0);
    const ids = overflow.map(({ id }) => id);
    this.#deleteRows(workspaceIndex, ids);
    return removeEntries(workspaceIndex, ids);
  }

  /**
   * Deletes the rows of the oldest pending results until a new one fits, and returns the index without them. Usable results stay, because
   * the call of the new one may not be committed.
   */
  #makePendingRoom(workspaceIndex: WorkspaceIndex, newBytes: number): WorkspaceIndex {
    const limits = { maxResults: MAX_PENDING_RESULTS, maxBytes: this.#options.limits.workspaceBytes };
    const overflow = listOverflow(workspaceIndex.pending.entries, limits, newBytes);
    this.#deleteRows(
      workspaceIndex,
      overflow.map(({ id }) => id),
    );
    return removePending(workspaceIndex, overflow);
  }

  #listExpired(): readonly string[] {
    const nowMs = Date.now();
    return listEntries(this.#readIndex()).flatMap(({ id, expiresAtMs }) => (expiresAtMs <= nowMs ? [id] : []));
  }

  /** Deletes results. Callers hold the transaction. */
  #drop(ids: readonly string[]): void {
    if (ids.length === 0) return;
    const workspaceIndex = this.#readIndex();
    this.#deleteRows(workspaceIndex, ids);
    this.#putIndex(removeEntries(workspaceIndex, ids));
  }

  /** Deletes the rows of results. Callers hold the transaction and remove the results from the index. */
  #deleteRows(workspaceIndex: WorkspaceIndex, ids: readonly string[]): void {
    const { kv, sql } = this.#storage;
    for (const { id, parts } of listEntries(workspaceIndex).filter((entry) => ids.includes(entry.id))) {
      sql.exec(`DROP TABLE IF EXISTS ${quoteIdentifier(id)}`);
      for (let part = 0; part < parts; part += 1) kv.delete(buildPartKey(id, part));
      kv.delete(buildResultKey(id));
    }
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
