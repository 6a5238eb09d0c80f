// Runs SQLite, compiled to WebAssembly, in the Worker's memory: opens an empty database, runs its DDL, and prepares statements under an
// authorizer. It never runs a user's statement. The package's own JavaScript compiles WebAssembly at run time, which workerd forbids, so
// this file makes the few calls itself.

// 37 bytes: imports a function with six i32 parameters and one result, and exports it. SQLite calls functions through its table, which
// accepts only WebAssembly functions.
import callbackModule from "./callback.wasm";
import { instantiate } from "./host.ts";
import { EngineExhausted, installMeter } from "./meter.ts";
import { FUNCTION_TABLE } from "./sqlite-exports.ts";
import type { SqliteCall } from "./sqlite-exports.ts";

/** Result of the authorizer that allows an action. */
export const ALLOW = 0;
/** Result of the authorizer that makes SQLite reject the statement. */
export const DENY = 1;

/** Decides about one action of a statement. The texts depend on the action code; `context` names the enclosing CTE or view. */
export type Authorizer = (
  action: number,
  first: string | null,
  second: string | null,
  database: string | null,
  context: string | null,
) => typeof ALLOW | typeof DENY;

export type CompileResult =
  | {
      readonly ok: true;
      readonly isReadOnly: boolean;
      /** The text after the statement. */
      readonly tail: string;
      /** Names of the result columns, in order. */
      readonly columns: readonly string[];
      /** The column of a table that each result column shows unchanged, in order; null for any other. */
      readonly origins: readonly (TableColumn | null)[];
    }
  | {
      readonly ok: false;
      readonly message: string;
      /** UTF-8 bytes before the place that the message is about; -1 if it is about none. */
      readonly offset: number;
    };

/** A column of a table, by the names in its declaration. */
interface TableColumn {
  readonly table: string;
  readonly column: string;
}

/** An instruction of a compiled statement. `p4` is the text form of its fourth operand. */
interface CompiledInstruction {
  readonly opcode: string;
  readonly p2: number;
  readonly p4: string;
}

/** A line of EXPLAIN QUERY PLAN: its place in the tree, SQLite's cost estimate (10 · log2), and what it does. */
export interface PlanLine {
  readonly id: number;
  readonly parent: number;
  readonly cost: number;
  readonly detail: string;
}

/**
 * An empty database in memory. Discard it after a trap (`WebAssembly.RuntimeError`), which leaves it unusable, and when it has run out of
 * memory: its methods then throw `EngineExhausted`. `compile`, `compileWithPlan`, `plan` and `listInstructions` also throw it when
 * statements exceed their allowance.
 */
export interface Engine {
  /** Runs Gatehouse's own statements without an allowance. Throws `Error` with SQLite's message. */
  execute(sql: string): void;
  /** Compiles the first statement of the text, calls the authorizer for each of its actions, and discards it. */
  compile(sql: string, authorizer: Authorizer): CompileResult;
  /** Compiles a statement as `compile` does, and lists its plan from the same compilation; the plan is empty if SQLite rejects it. */
  compileWithPlan(
    sql: string,
    authorizer: Authorizer,
  ): { readonly compiled: CompileResult; readonly plan: readonly PlanLine[] };
  /** Lists the plan of a statement; empty if SQLite rejects it. */
  plan(sql: string): readonly PlanLine[];
  /** Lists the instructions of a statement that have one of these opcodes; empty if SQLite rejects it. */
  listInstructions(sql: string, opcodes: readonly string[]): readonly CompiledInstruction[];
  /** Runs `work` under one allowance for everything that it compiles and plans. Without this, each statement has its own allowance. */
  withSharedAllowance<T>(work: () => T): T;
  /** Returns the planning units of the last statement, which are the same on every machine. */
  spentUnits(): number;
  /** Returns the bytes that the engine takes of the isolate's memory, which never shrink. */
  memoryBytes(): number;
  /** Runs one of Gatehouse's own queries and returns its rows as texts. Throws `Error` with SQLite's message. */
  query(sql: string): readonly (readonly (string | null)[])[];
}

/** SQLite's limits by number (sqlite3.h, Run-Time Limit Categories), with D1's values. */
const LIMITS: readonly (readonly [number, number])[] = [
  [0, 2_000_000], // bytes of a value
  [1, 100_000], // bytes of a statement
  [2, 100], // columns
  [3, 100], // depth of an expression
  [4, 5], // terms of a compound SELECT
  [5, 25_000], // instructions of a program: D1's limit is far higher, but the isolate receives the list of them
  [6, 32], // arguments of a function
  [7, 0], // attached databases
  [8, 50], // bytes of a LIKE pattern
  [9, 100], // parameters
];
const OPEN_READWRITE_CREATE = 6;
/** Double-quoted text can be a string in a declaration and not in a statement, as in D1 (SQLITE_DBCONFIG_DQS_DML, _DDL). */
const DOUBLE_QUOTED_STRINGS = [
  [1013, 0],
  [1014, 1],
] as const;
/** Result codes of sqlite3.h. */
const ROW = 100;
const NO_MEMORY = 7;
/** The authorizer's action code for a SELECT. */
const SELECT = 21;

type Exports = Readonly<Record<string, (...values: readonly number[]) => number>>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Opens an engine. `mayGrow` decides whether its memory may grow by this many bytes. */
export function openEngine(mayGrow: (bytes: number) => boolean = () => true): Engine {
  const { memory, instance, isOutOfMemory } = instantiate(mayGrow);
  const table = instance.exports[FUNCTION_TABLE];
  if (!(table instanceof WebAssembly.Table)) throw new TypeError("the SQLite module exports no function table");
  const sqlite = instance.exports as unknown as Exports;
  const call: SqliteCall = (name, ...values) => {
    const exportedFunction = sqlite[name];
    if (exportedFunction === undefined) throw new TypeError(`the SQLite module exports no ${name}`);
    return exportedFunction(...values);
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
  const { meter, watchDatabase } = installMeter(call, table, memory);
  call("sqlite3_initialize");
  // Space for two pointers, which calls write as results.
  const outPointer = call("malloc", 8);
  if (withText(":memory:", (name) => call("sqlite3_open_v2", name, outPointer, OPEN_READWRITE_CREATE, 0)) !== 0)
    throw new TypeError("SQLite could not open a database");
  const database = readPointer(outPointer);
  watchDatabase(database);
  for (const [limit, value] of LIMITS) call("sqlite3_limit", database, limit, value);
  for (const [setting, isOn] of DOUBLE_QUOTED_STRINGS) call("sqlite3__wasm_db_config_ip", database, setting, isOn, 0);

  let authorizer: Authorizer | undefined;
  const callback: AuthorizerCallback = (_unused, action, first, second, schema, context) => {
    if (!meter.countAuthorizerCall(action === SELECT)) return DENY;
    // Only compilations set an authorizer: plans are never run, and all other statements are Gatehouse's own.
    return authorizer?.(action, readText(first), readText(second), readText(schema), readText(context)) ?? ALLOW;
  };
  call("sqlite3_set_authorizer", database, addToTable(table, callback), 0);

  /** Whether SQLite accepted a statement. Exhaustion throws, so that a user's SQL is not called invalid only because it is too large. */
  const isAccepted = (code: number): boolean => {
    if (isOutOfMemory()) throw new EngineExhausted("memory");
    if (code === NO_MEMORY || meter.isSpent()) throw new EngineExhausted("work");
    return code === 0;
  };

  /** Compiles a statement, and stores the address of the text after it at `outPointer + 4`; undefined if SQLite rejects the statement. */
  const prepare = (at: number): number | undefined => {
    const code = call("sqlite3_prepare_v2", database, at, -1, outPointer, outPointer + 4);
    const statement = readPointer(outPointer);
    try {
      return isAccepted(code) ? statement : undefined;
    } catch (error) {
      call("sqlite3_finalize", statement);
      throw error;
    }
  };

  /** Runs a statement and calls `onRow` for each row; returns whether SQLite accepts it. */
  const forEachRow = (sql: string, onRow: (statement: number) => void): boolean =>
    withText(sql, (at) => {
      const statement = prepare(at);
      if (statement === undefined) return false;
      while (call("sqlite3_step", statement) === ROW) onRow(statement);
      return isAccepted(call("sqlite3_finalize", statement));
    });

  const { readCell, readRow, readSteps, readColumns } = createStatementReader(call, readText);

  /** Runs a statement and returns its rows; undefined if SQLite rejects it. */
  const readRows = (sql: string): (string | null)[][] | undefined => {
    const rows: (string | null)[][] = [];
    return forEachRow(sql, (statement) => rows.push(readRow(statement))) ? rows : undefined;
  };

  /** Describes a statement that was just compiled. */
  const readCompiled = (statement: number): CompileResult => {
    const tail = readText(readPointer(outPointer + 4)) ?? "";
    const isReadOnly = call("sqlite3_stmt_readonly", statement) === 1;
    return { ok: true, isReadOnly, tail, ...readColumns(statement) };
  };

  /** Compiles a text under an authorizer, has `read` describe the statement, and discards it. */
  const compileText = (
    text: string,
    statementAuthorizer: Authorizer,
    read: (statement: number) => CompileResult,
  ): CompileResult =>
    withText(text, (at) =>
      meter.withAllowance((): CompileResult => {
        authorizer = statementAuthorizer;
        try {
          const statement = prepare(at);
          if (statement === undefined)
            return { ok: false, message: createSqliteError().message, offset: call("sqlite3_error_offset", database) };
          try {
            return read(statement);
          } finally {
            call("sqlite3_finalize", statement);
          }
        } finally {
          authorizer = undefined;
        }
      }),
    );

  const createSqliteError = (): Error => new Error(readText(call("sqlite3_errmsg", database)) ?? "unknown error");

  return {
    execute(sql) {
      if (!isAccepted(withText(sql, (at) => call("sqlite3_exec", database, at, 0, 0, 0)))) throw createSqliteError();
    },
    compile: (sql, statementAuthorizer) => compileText(sql, statementAuthorizer, readCompiled),
    compileWithPlan(sql, statementAuthorizer) {
      let plan: readonly PlanLine[] = [];
      const compiled = compileText(`${EXPLAIN_PLAN}${sql}`, statementAuthorizer, (statement) => {
        plan = readSteps(statement).map(toPlanLine);
        // The statement's own columns, without compiling it again.
        if (!isAccepted(call("sqlite3_reset", statement)) || call("sqlite3_stmt_explain", statement, 0) !== 0)
          throw new TypeError("SQLite could not end an EXPLAIN");
        return readCompiled(statement);
      });
      return { compiled: removePrefix(EXPLAIN_PLAN, compiled), plan };
    },
    plan: (sql) => (meter.withAllowance(() => readRows(`${EXPLAIN_PLAN}${sql}`)) ?? []).map(toPlanLine),
    listInstructions(sql, opcodes) {
      const instructions: CompiledInstruction[] = [];
      // The columns of EXPLAIN: addr, opcode, p1, p2, p3, p4, p5, comment. Most instructions are passed over, so only the opcode is read.
      const isExplained = meter.withAllowance(() =>
        forEachRow(`EXPLAIN ${sql}`, (statement) => {
          const opcode = readCell(statement, 1) ?? "";
          if (!opcodes.includes(opcode)) return;
          instructions.push({ opcode, p2: Number(readCell(statement, 3)), p4: readCell(statement, 5) ?? "" });
        }),
      );
      return isExplained ? instructions : [];
    },
    query(sql) {
      const rows = readRows(sql);
      if (rows === undefined) throw createSqliteError();
      return rows;
    },
    withSharedAllowance: (work) => meter.withSharedAllowance(work),
    spentUnits: () => meter.spentUnits(),
    memoryBytes: () => memory.buffer.byteLength,
  };
}

/** The authorizer as SQLite calls it. Texts are addresses. */
type AuthorizerCallback = (
  unused: number,
  action: number,
  first: number,
  second: number,
  schema: number,
  context: number,
) => number;

/** Adds a function to the table through which SQLite calls functions; returns its index. */
function addToTable(table: WebAssembly.Table, callback: AuthorizerCallback): number {
  const { exports } = new WebAssembly.Instance(callbackModule, { e: { a: callback } });
  const slot = table.grow(1);
  table.set(slot, exports["a"]);
  return slot;
}

const EXPLAIN_PLAN = "EXPLAIN QUERY PLAN ";

/** Makes the offset of an error behind a prefix one in the text after it. */
function removePrefix(prefix: string, compiled: CompileResult): CompileResult {
  return compiled.ok ? compiled : { ...compiled, offset: Math.max(-1, compiled.offset - prefix.length) };
}

/** Creates what reads the rows and columns of compiled statements. */
function createStatementReader(call: SqliteCall, readText: (at: number) => string | null) {
  const readCell = (statement: number, index: number): string | null =>
    readText(call("sqlite3_column_text", statement, index));
  const listColumns = <T>(statement: number, read: (index: number) => T): T[] =>
    Array.from({ length: call("sqlite3_column_count", statement) }, (_value, index) => read(index));
  const readRow = (statement: number): (string | null)[] =>
    listColumns(statement, (index) => readCell(statement, index));
  /** Runs a compiled statement and returns its rows. */
  const readSteps = (statement: number): readonly (readonly (string | null)[])[] => {
    const rows: (string | null)[][] = [];
    while (call("sqlite3_step", statement) === ROW) rows.push(readRow(statement));
    return rows;
  };
  return {
    readCell,
    readRow,
    readSteps,
    readColumns: (statement: number) => ({
      columns: listColumns(statement, (index) => readText(call("sqlite3_column_name", statement, index)) ?? ""),
      origins: listColumns(statement, (index) =>
        toTableColumn(
          readText(call("sqlite3_column_table_name", statement, index)),
          readText(call("sqlite3_column_origin_name", statement, index)),
        ),
      ),
    }),
  };
}

function toPlanLine([id, parent, cost, detail]: readonly (string | null)[]): PlanLine {
  return { id: Number(id), parent: Number(parent), cost: Number(cost), detail: detail ?? "" };
}

function toTableColumn(table: string | null, column: string | null): TableColumn | null {
  return table === null || column === null ? null : { table, column };
}
