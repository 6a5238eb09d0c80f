// SQLite itself, compiled to WebAssembly, in the Worker's memory: opens an empty database, runs its DDL, and prepares
// statements under an authorizer. Nothing of a person is ever run here. The package's own JavaScript compiles at run time,
// which workerd refuses, so these are the few imports and strings that this needs.

// 37 bytes: imports a function of six i32 and one result, and exports it. SQLite calls through its table, which takes
// WebAssembly functions only.
import callbackModule from "./callback.wasm";
import { instantiate } from "./host.ts";
import { EngineExhausted, installMeter } from "./meter.ts";

/** An answer of SQLite's authorizer. */
export const ALLOW = 0;
export const DENY = 1;

/** SQLite's authorizer: an action code and four texts that depend on it. The last names the enclosing CTE or view. */
export type Authorizer = (
  action: number,
  first: string | null,
  second: string | null,
  database: string | null,
  context: string | null,
) => typeof ALLOW | typeof DENY;

export type Compiled =
  | {
      readonly ok: true;
      readonly isReadOnly: boolean;
      /** What stands behind the statement. */
      readonly tail: string;
      /** The result's columns, by name, in order. */
      readonly columns: readonly string[];
    }
  | {
      readonly ok: false;
      readonly message: string;
      /** UTF-8 bytes before the place that the message is about; -1 when it is about none. */
      readonly offset: number;
    };

/** A line of EXPLAIN QUERY PLAN: its place in the tree, SQLite's cost estimate (10 · log2), and what it does. */
export interface PlanLine {
  readonly id: number;
  readonly parent: number;
  readonly cost: number;
  readonly detail: string;
}

/**
 * An empty database in memory. Throw it away after a trap (`WebAssembly.RuntimeError`), which leaves it unusable, and when it ran
 * out of memory. Everything throws `EngineExhausted` then; `compile` and `plan` also when statements take more than may be.
 */
export interface Engine {
  /** Runs DDL of ours, unbounded. Throws `Error` with SQLite's message. */
  execute(sql: string): void;
  /** Compiles the first statement of the text, asking the authorizer about all it does, and forgets it. */
  compile(sql: string, authorizer: Authorizer): Compiled;
  /** How the statement would run here; empty when it would not. */
  plan(sql: string): readonly PlanLine[];
  /** Runs `work` under one allowance for all that it compiles and plans; else each statement has its own. */
  within<T>(work: () => T): T;
  /** Planning units that the last statement took: what it cost, whatever the machine. */
  spentUnits(): number;
  /** What it takes of the isolate's memory, which never shrinks. */
  memoryBytes(): number;
  /** The rows of a query of ours, as texts. Throws `Error` with SQLite's message. */
  query(sql: string): readonly (readonly (string | null)[])[];
}

/** SQLite's limits by number (sqlite3.h, Run-Time Limit Categories), set as D1 sets them. */
const LIMITS: readonly (readonly [number, number])[] = [
  [0, 2_000_000], // bytes of a value
  [1, 100_000], // bytes of a statement
  [2, 100], // columns
  [3, 100], // depth of an expression
  [4, 5], // terms of a compound SELECT
  [5, 25_000], // instructions of a program: D1's limit is far higher, but the list of them comes into the isolate
  [6, 32], // arguments of a function
  [7, 0], // attached databases
  [8, 50], // bytes of a LIKE pattern
  [9, 100], // parameters
];
const OPEN_READWRITE_CREATE = 6;
/** Double-quoted text is a name and never a string, as in D1 (SQLITE_DBCONFIG_DQS_DML, _DDL). */
const NO_DOUBLE_QUOTED_STRINGS = [1013, 1014];
const ROW = 100;
/** The result code of sqlite3.h. */
const NO_MEMORY = 7;
/** The authorizer's action code for a SELECT. */
const SELECT = 21;

type Exports = Readonly<Record<string, (...values: readonly number[]) => number>>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Opens an engine. `mayGrow` decides whether its memory may grow by so many bytes. */
export function openEngine(mayGrow: (bytes: number) => boolean = () => true): Engine {
  const { memory, instance, hasRunOut } = instantiate(mayGrow);
  const table = instance.exports["__indirect_function_table"];
  if (!(table instanceof WebAssembly.Table)) throw new TypeError("the SQLite module exports no function table");
  const sqlite = instance.exports as unknown as Exports;
  const call = (name: string, ...values: readonly number[]): number => {
    const run = sqlite[name];
    if (run === undefined) throw new TypeError(`the SQLite module exports no ${name}`);
    return run(...values);
  };
  const readPointer = (at: number): number => new DataView(memory.buffer).getUint32(at, true);
  const readText = (at: number): string | null => {
    if (at === 0) return null;
    const bytes = new Uint8Array(memory.buffer);
    return decoder.decode(bytes.subarray(at, bytes.indexOf(0, at)));
  };
  const withText = <T>(text: string, use: (at: number) => T): T => {
    const bytes = encoder.encode(text);
    const at = call("malloc", bytes.length + 1);
    if (at === 0) throw new EngineExhausted("memory");
    const view = new Uint8Array(memory.buffer);
    view.set(bytes, at);
    view[at + bytes.length] = 0;
    try {
      return use(at);
    } finally {
      call("free", at);
    }
  };

  call("__wasm_call_ctors");
  const { meter, watch } = installMeter(call, table, memory);
  call("sqlite3_initialize");
  // Two pointers that calls write their results to.
  const out = call("malloc", 8);
  if (withText(":memory:", (name) => call("sqlite3_open_v2", name, out, OPEN_READWRITE_CREATE, 0)) !== 0)
    throw new TypeError("SQLite opens no database");
  const database = readPointer(out);
  watch(database);
  for (const [limit, value] of LIMITS) call("sqlite3_limit", database, limit, value);
  for (const setting of NO_DOUBLE_QUOTED_STRINGS) call("sqlite3__wasm_db_config_ip", database, setting, 0, 0);

  let authorizer: Authorizer | undefined;
  const callback = new WebAssembly.Instance(callbackModule, {
    e: {
      a: (_unused: number, action: number, first: number, second: number, schema: number, context: number): number => {
        if (!meter.authorize(action === SELECT)) return DENY;
        // Without an authorizer nothing is being prepared for a person.
        return authorizer?.(action, readText(first), readText(second), readText(schema), readText(context)) ?? ALLOW;
      },
    },
  });
  const slot = table.grow(1);
  table.set(slot, callback.exports["a"]);
  call("sqlite3_set_authorizer", database, slot, 0);

  /** Whether SQLite took it. What a person wrote must not pass for wrong only because it was too much. */
  const accepts = (code: number): boolean => {
    if (hasRunOut()) throw new EngineExhausted("memory");
    if (code === NO_MEMORY || meter.isSpent()) throw new EngineExhausted("work");
    return code === 0;
  };

  /** The compiled statement, and at `out + 4` what stands behind it; undefined when SQLite does not take it. */
  const prepare = (at: number): number | undefined => {
    const code = call("sqlite3_prepare_v2", database, at, -1, out, out + 4);
    const statement = readPointer(out);
    try {
      return accepts(code) ? statement : undefined;
    } catch (error) {
      call("sqlite3_finalize", statement);
      throw error;
    }
  };

  /** Undefined when SQLite does not take the statement. */
  const rowsOf = (sql: string): (string | null)[][] | undefined =>
    withText(sql, (at) => {
      const statement = prepare(at);
      if (statement === undefined) return undefined;
      const columns = call("sqlite3_column_count", statement);
      const rows: (string | null)[][] = [];
      while (call("sqlite3_step", statement) === ROW) {
        const row = Array.from({ length: columns }, (_value, index) =>
          readText(call("sqlite3_column_text", statement, index)),
        );
        rows.push(row);
      }
      return accepts(call("sqlite3_finalize", statement)) ? rows : undefined;
    });

  const failure = (): Error => new Error(readText(call("sqlite3_errmsg", database)) ?? "unknown error");

  return {
    execute(sql) {
      if (!accepts(withText(sql, (at) => call("sqlite3_exec", database, at, 0, 0, 0)))) throw failure();
    },
    compile: (sql, asked) =>
      withText(sql, (at) =>
        meter.metered((): Compiled => {
          authorizer = asked;
          try {
            const statement = prepare(at);
            if (statement === undefined)
              return { ok: false, message: failure().message, offset: call("sqlite3_error_offset", database) };
            const tail = readText(readPointer(out + 4)) ?? "";
            const isReadOnly = call("sqlite3_stmt_readonly", statement) === 1;
            const columns = Array.from(
              { length: call("sqlite3_column_count", statement) },
              (_value, index) => readText(call("sqlite3_column_name", statement, index)) ?? "",
            );
            call("sqlite3_finalize", statement);
            return { ok: true, isReadOnly, tail, columns };
          } finally {
            authorizer = undefined;
          }
        }),
      ),
    plan(sql) {
      const rows = meter.metered(() => rowsOf(`EXPLAIN QUERY PLAN ${sql}`)) ?? [];
      return rows.map(([id, parent, cost, detail]) => ({
        id: Number(id),
        parent: Number(parent),
        cost: Number(cost),
        detail: detail ?? "",
      }));
    },
    query(sql) {
      const rows = rowsOf(sql);
      if (rows === undefined) throw failure();
      return rows;
    },
    within: (work) => meter.within(work),
    spentUnits: () => meter.spentUnits(),
    memoryBytes: () => memory.buffer.byteLength,
  };
}
