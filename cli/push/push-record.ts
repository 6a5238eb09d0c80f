// The record of a push, in the target database itself. Every batch that changes the database first moves the record from the position that
// it expects to the next one, in the same transaction. So a batch is applied once at most, whatever was killed, lost or sent again: at
// any other position its first statement fails, and with it the batch.
import { setTimeout as sleep } from "node:timers/promises";
import type { BoundStatement, StatementAnswer } from "../cloudflare-api/platform.ts";
import { PlatformError, PlatformUnreachable } from "../cloudflare-api/platform.ts";
import { CliError } from "../kit/cli-error.ts";

/** Runs statements in one transaction of the target database. */
export type RunBatch = (batch: readonly BoundStatement[]) => Promise<readonly StatementAnswer[]>;

/** How far a push is: the step, and the rows of this step that have arrived. */
export interface Position {
  readonly step: number;
  readonly rows: number;
}

/** A stored record. */
export interface PushRecord extends Position {
  readonly digest: string;
  /** Whether the push replaces data, which the operator has confirmed. */
  readonly isReplacing: boolean;
  /** The Time Travel bookmark of the database before the push. */
  readonly bookmark: string;
}

/** The table of the record. */
export const PUSH_TABLE = "_gatehouse_push";
const ATTEMPTS = 7;
const FIRST_DELAY_MS = 500;
const TOO_MANY_REQUESTS = 429;

/** How the target is asked. */
export interface Target {
  readonly run: RunBatch;
  /** Says why something is tried again. */
  readonly say: (line: string) => void;
  /** The first delay before another attempt; it doubles. */
  readonly delayMs?: number;
  /** The characters of rows that are sent at once. */
  readonly batchLength?: number;
}

/** Whether the same request may succeed later: too many requests, a fault of the platform, or no answer. */
export function isTransient(error: unknown): boolean {
  if (error instanceof PlatformUnreachable) return true;
  return error instanceof PlatformError && (error.status === TOO_MANY_REQUESTS || error.status >= 500);
}

/** Reads rows, and asks again when that may help: reading changes nothing. */
export async function readTarget(target: Target, sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const [answer] = await target.run([{ sql, params: [] }]);
      return answer?.results ?? [];
    } catch (error) {
      await waitOrThrow(target, error, attempt);
    }
  }
}

async function waitOrThrow({ say, delayMs = FIRST_DELAY_MS }: Target, error: unknown, attempt: number): Promise<void> {
  if (!isTransient(error)) throw error;
  const reason = error instanceof Error ? error.message : "no reason given";
  if (attempt >= ATTEMPTS)
    throw new CliError(`${reason} It was tried ${ATTEMPTS} times.`, {
      hint: "Run the command again: it goes on where it stopped.",
      cause: error,
    });
  const pause = (error instanceof PlatformError ? error.retryAfterMs : undefined) ?? delayMs * 2 ** (attempt - 1);
  say(`${reason} Trying again in ${Math.ceil(pause / 1_000)} s.`);
  await sleep(pause);
}

/** Reads the record of a database; undefined if there was no push. */
export async function readPushRecord(target: Target): Promise<PushRecord | undefined> {
  const tables = await readTarget(
    target,
    `SELECT name FROM sqlite_schema WHERE type = 'table' AND name = '${PUSH_TABLE}'`,
  );
  if (tables.length === 0) return undefined;
  const [row] = await readTarget(target, `SELECT digest, step, rows, replacing, bookmark FROM ${PUSH_TABLE}`);
  if (row === undefined) return undefined;
  return {
    digest: String(row["digest"]),
    step: Number(row["step"]),
    rows: Number(row["rows"]),
    isReplacing: row["replacing"] === 1,
    bookmark: String(row["bookmark"]),
  };
}

/** Moves the record and the database together. */
export class PushJournal {
  readonly #target: Target;
  #record: PushRecord | undefined;

  constructor(target: Target, record: PushRecord | undefined) {
    [this.#target, this.#record] = [target, record];
  }

  /** The record as it was last seen. Throws `TypeError` before `begin`. */
  get record(): PushRecord {
    if (this.#record === undefined) throw new TypeError("no push has begun");
    return this.#record;
  }

  /** Begins a push in place of the one before, with statements that remove what that has left. */
  async begin(record: Omit<PushRecord, "step" | "rows">, cleanup: readonly string[]): Promise<void> {
    const next = { ...record, step: 0, rows: 0 };
    const create =
      `CREATE TABLE IF NOT EXISTS ${PUSH_TABLE} (id INTEGER PRIMARY KEY CHECK (id = 1), digest TEXT NOT NULL, step INTEGER NOT NULL, ` +
      "rows INTEGER NOT NULL, replacing INTEGER NOT NULL, bookmark TEXT NOT NULL)";
    // A second INSERT fails by its primary key, so that a late one cannot set a push back.
    const values = `'${next.digest}', 0, 0, ${Number(next.isReplacing)}, ?1`;
    const insert = `INSERT INTO ${PUSH_TABLE} (id, digest, step, rows, replacing, bookmark) VALUES (1, ${values})`;
    const first: BoundStatement =
      this.#record === undefined
        ? { sql: insert, params: [next.bookmark] }
        : {
            sql: `${this.#guard(this.#record, next)}, digest = '${next.digest}', replacing = ${Number(next.isReplacing)}, bookmark = ?1`,
            params: [next.bookmark],
          };
    await this.#apply([{ sql: create, params: [] }, first, ...cleanup.map((sql) => ({ sql, params: [] }))], next);
  }

  /** Applies statements, and moves the record to a position, in one transaction. */
  async advance(position: Position, statements: readonly BoundStatement[]): Promise<void> {
    const next = { ...this.record, ...position };
    await this.#apply([{ sql: this.#guard(this.record, next), params: [] }, ...statements], next);
  }

  /** Fails, because `step` takes no NULL, unless the record is where it is expected. */
  #guard({ digest, step, rows }: PushRecord, next: Position): string {
    const isExpected = `digest = '${digest}' AND step = ${step} AND rows = ${rows}`;
    return `UPDATE ${PUSH_TABLE} SET step = CASE WHEN ${isExpected} THEN ${next.step} END, rows = ${next.rows}`;
  }

  async #apply(batch: readonly BoundStatement[], next: PushRecord): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#target.run(batch);
        this.#record = next;
        return;
      } catch (error) {
        // The record says whether the batch was applied, also when its answer was lost.
        const stored = await readPushRecord(this.#target);
        if (isSame(stored, next)) {
          this.#record = next;
          return;
        }
        if (!isSame(stored, this.#record))
          throw new CliError("Another push into this database is running: its record has moved.", {
            hint: "Wait until it has ended, then run this command again.",
            cause: error,
          });
        await waitOrThrow(this.#target, error, attempt);
      }
    }
  }
}

function isSame(one: PushRecord | undefined, other: PushRecord | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return (["digest", "step", "rows", "isReplacing"] as const).every((key) => one[key] === other[key]);
}
