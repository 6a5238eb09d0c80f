// SQLite itself, compiled to WebAssembly, in the Worker's memory: opens an empty database, runs its DDL, and prepares
// statements under an authorizer. Nothing of a person is ever run here. The package's own JavaScript compiles at run time,
// which workerd refuses, so these are the few imports and strings that this needs.
import sqliteModule from "@sqlite.org/sqlite-wasm/sqlite3.wasm";
// 37 bytes: imports a function of six i32 and one result, and exports it. SQLite calls through its table, which takes
// WebAssembly functions only.
import callbackModule from "./callback.wasm";

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

/** An empty database in memory. A trap inside leaves it unusable: throw it away after any `WebAssembly.RuntimeError`. */
export interface Engine {
  /** Runs DDL. Throws `Error` with SQLite's message. */
  execute(sql: string): void;
  /** Compiles the first statement of the text, asking the authorizer about all it does, and forgets it. */
  compile(sql: string, authorizer: Authorizer): Compiled;
  /** How the statement would run here; empty when it would not. */
  plan(sql: string): readonly PlanLine[];
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
  [6, 32], // arguments of a function
  [7, 0], // attached databases
  [8, 50], // bytes of a LIKE pattern
  [9, 100], // parameters
];
const OPEN_READWRITE_CREATE = 6;
/** Double-quoted text is a name and never a string, as in D1 (SQLITE_DBCONFIG_DQS_DML, _DDL). */
const NO_DOUBLE_QUOTED_STRINGS = [1013, 1014];
const ROW = 100;
/** What the module is built for: 8 MiB at first; 64 MiB here at most, of the 128 that an isolate has. */
const MEMORY_PAGES = { initial: 128, maximum: 1024 };
const PAGE_BYTES = 65_536;

type Exports = Readonly<Record<string, (...values: readonly number[]) => number>>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function openEngine(): Engine {
  const memory = new WebAssembly.Memory(MEMORY_PAGES);
  const instance = new WebAssembly.Instance(sqliteModule, importsFor(memory));
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
    if (at === 0) throw new RangeError("SQLite is out of memory");
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
  call("sqlite3_initialize");
  // Two pointers that calls write their results to.
  const out = call("malloc", 8);
  if (withText(":memory:", (name) => call("sqlite3_open_v2", name, out, OPEN_READWRITE_CREATE, 0)) !== 0)
    throw new TypeError("SQLite opens no database");
  const database = readPointer(out);
  for (const [limit, value] of LIMITS) call("sqlite3_limit", database, limit, value);
  for (const setting of NO_DOUBLE_QUOTED_STRINGS) call("sqlite3__wasm_db_config_ip", database, setting, 0, 0);

  let authorizer: Authorizer | undefined;
  const callback = new WebAssembly.Instance(callbackModule, {
    e: {
      a: (_unused: number, action: number, first: number, second: number, schema: number, context: number): number =>
        // Without an authorizer nothing is being prepared for a person.
        authorizer?.(action, readText(first), readText(second), readText(schema), readText(context)) ?? ALLOW,
    },
  });
  const slot = table.grow(1);
  table.set(slot, callback.exports["a"]);
  call("sqlite3_set_authorizer", database, slot, 0);

  /** Undefined when SQLite does not take the statement. */
  const rowsOf = (sql: string): (string | null)[][] | undefined =>
    withText(sql, (at) => {
      if (call("sqlite3_prepare_v2", database, at, -1, out, 0) !== 0) return undefined;
      const statement = readPointer(out);
      const columns = call("sqlite3_column_count", statement);
      const rows: (string | null)[][] = [];
      while (call("sqlite3_step", statement) === ROW) {
        const row = Array.from({ length: columns }, (_value, index) =>
          readText(call("sqlite3_column_text", statement, index)),
        );
        rows.push(row);
      }
      call("sqlite3_finalize", statement);
      return rows;
    });

  const failure = (): Error => new Error(readText(call("sqlite3_errmsg", database)) ?? "unknown error");

  return {
    execute(sql) {
      if (withText(sql, (at) => call("sqlite3_exec", database, at, 0, 0, 0)) !== 0) throw failure();
    },
    compile: (sql, asked) =>
      withText(sql, (at): Compiled => {
        authorizer = asked;
        try {
          const code = call("sqlite3_prepare_v2", database, at, -1, out, out + 4);
          if (code !== 0)
            return { ok: false, message: failure().message, offset: call("sqlite3_error_offset", database) };
          const statement = readPointer(out);
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
    plan(sql) {
      const rows = rowsOf(`EXPLAIN QUERY PLAN ${sql}`) ?? [];
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
  };
}

/** No files, no clock, no environment: every system call fails, except for more memory. */
function importsFor(memory: WebAssembly.Memory): WebAssembly.Imports {
  const own: Readonly<Record<string, (...values: readonly number[]) => number>> = {
    emscripten_get_heap_max: () => MEMORY_PAGES.maximum * PAGE_BYTES,
    emscripten_resize_heap: (bytes = 0) => {
      const pages = Math.ceil((bytes - memory.buffer.byteLength) / PAGE_BYTES);
      try {
        memory.grow(pages);
        return 1;
      } catch {
        // SQLite reports that it is out of memory.
        return 0;
      }
    },
    // No two of these are ever compared.
    emscripten_date_now: () => 0,
    emscripten_get_now: () => 0,
    environ_sizes_get: (count = 0, size = 0) => {
      const view = new DataView(memory.buffer);
      view.setUint32(count, 0, true);
      view.setUint32(size, 0, true);
      return 0;
    },
  };
  const imports: Record<string, Record<string, WebAssembly.ImportValue>> = { env: { memory } };
  for (const { module, name, kind } of WebAssembly.Module.imports(sqliteModule)) {
    if (kind === "function")
      (imports[module] ??= {})[name] = own[name] ?? (() => (module === "env" ? -ENOSYS : ENOSYS));
  }
  return imports;
}

/** "Function not implemented", in the numbering of WASI. */
const ENOSYS = 52;
