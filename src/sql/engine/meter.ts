// Limits the cost of compiling statements by a count that is the same on every machine. SQLite has no such limit: a few hundred bytes of
// SQL can expand to gigabytes of parse tree, and its planner can compare millions of paths, while the isolate answers no other request.
import meterModule from "./meter.wasm";
import type { SqliteCall } from "./sqlite-exports.ts";

/**
 * Maximum planning units of one statement, and of all statements of one piece of work together: every form in which a query can be
 * guarded is planned. Each byte that SQLite allocates is one unit. Each allocation, authorizer call and planner step adds more, weighted
 * by the time that it takes, at 2 to 6 ns a unit. Accepted statements plan in under 100 ms; nearly all queries of the sample take less
 * than 250,000 units.
 */
export const PLANNING_UNITS = { statement: 4_000_000, work: 8_000_000 };

/** Reports a statement that exceeded its allowance (`work`), or an engine without memory that must not be used again (`memory`). */
export class EngineExhausted extends Error {
  readonly reason: "work" | "memory";

  constructor(reason: "work" | "memory") {
    super(`SQLite ran out of ${reason === "work" ? "its planning allowance" : "memory"}`);
    this.reason = reason;
  }
}

/** Counts the planning units of one engine. */
interface Meter {
  /** Runs `work` under one allowance for everything that is metered in it. A nested call shares the outer allowance. */
  withSharedAllowance<T>(work: () => T): T;
  /** Meters `work`. Throws `EngineExhausted` when the allowance is spent, even if `work` returned a result. */
  withAllowance<T>(work: () => T): T;
  /** Counts a call of the authorizer. Returns false when the allowance is spent. */
  countAuthorizerCall(isSelect: boolean): boolean;
  isSpent(): boolean;
  /** Returns the planning units of the last metered work. */
  spentUnits(): number;
}

/** SQLITE_CONFIG_MALLOC and SQLITE_CONFIG_GETMALLOC. */
const CONFIG = { setAllocator: 4, getAllocator: 5 };
/** Offsets of the functions in `sqlite3_mem_methods`, and its size. */
const METHODS = { malloc: 0, realloc: 8, bytes: 32 };
/** SQLITE_DBCONFIG_LOOKASIDE. */
const LOOKASIDE = 1001;
const STEPS_BETWEEN_CHECKS = 100;
/** The callback crosses into JavaScript and decodes its texts. */
const UNITS_PER_AUTHORIZATION = 500;
/** To merge a subquery into the query around it, SQLite walks through everything that it has built so far. */
const UNITS_PER_UNIT_WALKED = 1 / 256;

/** Replaces SQLite's allocator by the meter. Call this before `sqlite3_initialize`, and `watchDatabase` after it. */
export function installMeter(call: SqliteCall, table: WebAssembly.Table, memory: WebAssembly.Memory) {
  const methods = call("malloc", METHODS.bytes);
  const check = (code: number): void => {
    if (code !== 0) throw new TypeError(`SQLite rejected a setting with code ${code}`);
  };
  const view = (): DataView => new DataView(memory.buffer);
  check(call("sqlite3__wasm_config_i", CONFIG.getAllocator, methods));
  const { exports } = new WebAssembly.Instance(meterModule, {
    e: {
      m: table.get(view().getUint32(methods + METHODS.malloc, true)),
      r: table.get(view().getUint32(methods + METHODS.realloc, true)),
    },
  });
  const remaining = exports["l"];
  if (!(remaining instanceof WebAssembly.Global)) throw new TypeError("the meter exports no counter");
  remaining.value = Infinity;
  const slot = table.grow(3);
  for (const [index, name] of ["m", "r", "p"].entries()) table.set(slot + index, exports[name]);
  view().setUint32(methods + METHODS.malloc, slot, true);
  view().setUint32(methods + METHODS.realloc, slot + 1, true);
  check(call("sqlite3__wasm_config_i", CONFIG.setAllocator, methods));
  call("free", methods);
  const watchDatabase = (database: number): void => {
    // A connection would reuse its lookaside memory without counting it.
    check(call("sqlite3__wasm_db_config_pii", database, LOOKASIDE, 0, 0, 0));
    call("sqlite3_progress_handler", database, STEPS_BETWEEN_CHECKS, slot + 2, 0);
  };
  return { meter: createMeter(remaining), watchDatabase };
}

function createMeter(remaining: WebAssembly.Global): Meter {
  /** What is left of the current shared allowance; undefined outside `withSharedAllowance`. */
  let sharedRemaining: number | undefined;
  let allowanceUnits = Infinity;
  let lastSpentUnits = 0;
  const isSpent = (): boolean => remaining.value < 0;
  return {
    isSpent,
    spentUnits: () => lastSpentUnits,
    withSharedAllowance(work) {
      if (sharedRemaining !== undefined) return work();
      sharedRemaining = PLANNING_UNITS.work;
      try {
        return work();
      } finally {
        sharedRemaining = undefined;
      }
    },
    withAllowance(work) {
      allowanceUnits = Math.min(sharedRemaining ?? PLANNING_UNITS.work, PLANNING_UNITS.statement);
      remaining.value = allowanceUnits;
      try {
        const result = work();
        // SQLite can continue without some allocations, and then reports no error.
        if (isSpent()) throw new EngineExhausted("work");
        return result;
      } finally {
        lastSpentUnits = allowanceUnits - remaining.value;
        if (sharedRemaining !== undefined) sharedRemaining -= lastSpentUnits;
        remaining.value = Infinity;
      }
    },
    countAuthorizerCall(isSelect) {
      const walkedUnits =
        isSelect && remaining.value !== Infinity ? (allowanceUnits - remaining.value) * UNITS_PER_UNIT_WALKED : 0;
      remaining.value -= UNITS_PER_AUTHORIZATION + walkedUnits;
      return !isSpent();
    },
  };
}
