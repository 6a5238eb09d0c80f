// Bounds what compiling statements costs, by a count that is the same on every machine. SQLite has no such bound: a few hundred
// bytes of SQL can expand to gigabytes of parse tree, and its planner can compare millions of paths, while the isolate serves no one.
import meterModule from "./meter.wasm";

/**
 * Planning units that a statement may take, and that all statements of one piece of work may take together: the forms in which a
 * query can be guarded are all planned. A byte that SQLite allocates is a unit; so are parts of each allocation, of each call of
 * the authorizer and of each step of the planner, weighed by the time that they take, 2 to 6 ns a unit. What is accepted then
 * plans in under 100 ms; nearly all queries of the sample take less than 250,000.
 */
export const PLANNING_UNITS = { statement: 4_000_000, work: 8_000_000 };

/** A statement took more than its allowance (`work`), or the engine got no more memory and must not be used again (`memory`). */
export class EngineExhausted extends Error {
  readonly reason: "work" | "memory";

  constructor(reason: "work" | "memory") {
    super(`SQLite ran out of ${reason === "work" ? "its planning allowance" : "memory"}`);
    this.reason = reason;
  }
}

export interface Meter {
  /** Runs `work` under one allowance for all that is metered in it. A call inside another shares the outer one's. */
  within<T>(work: () => T): T;
  /** Counts `work` down from the allowance. Throws `EngineExhausted` when that is spent, whatever `work` came to. */
  metered<T>(work: () => T): T;
  /** Counts a call of the authorizer; false when the allowance is spent. */
  authorize(isSelect: boolean): boolean;
  isSpent(): boolean;
  /** What the last metered work took. */
  spentUnits(): number;
}

/** Functions of the module by name. */
type Call = (name: string, ...values: readonly number[]) => number;

/** SQLITE_CONFIG_MALLOC and SQLITE_CONFIG_GETMALLOC. */
const CONFIG = { setAllocator: 4, getAllocator: 5 };
/** Where `sqlite3_mem_methods` has its functions, and how large it is. */
const METHODS = { malloc: 0, realloc: 8, bytes: 32 };
const LOOKASIDE = 1001;
const STEPS_BETWEEN_CHECKS = 100;
/** The callback crosses into JavaScript and decodes its texts. */
const UNITS_PER_AUTHORIZATION = 500;
/** To take a subquery into the query around it, SQLite walks through all that it has built so far. */
const UNITS_PER_UNIT_WALKED = 1 / 256;

/** Puts the meter in the place of SQLite's allocator. Call before `sqlite3_initialize`; `watch` comes after it. */
export function installMeter(call: Call, table: WebAssembly.Table, memory: WebAssembly.Memory) {
  const methods = call("malloc", METHODS.bytes);
  const check = (code: number): void => {
    if (code !== 0) throw new TypeError(`SQLite does not take the setting: ${code}`);
  };
  const view = (): DataView => new DataView(memory.buffer);
  check(call("sqlite3__wasm_config_i", CONFIG.getAllocator, methods));
  const { exports } = new WebAssembly.Instance(meterModule, {
    e: {
      m: table.get(view().getUint32(methods + METHODS.malloc, true)),
      r: table.get(view().getUint32(methods + METHODS.realloc, true)),
    },
  });
  const left = exports["l"];
  if (!(left instanceof WebAssembly.Global)) throw new TypeError("the meter exports no counter");
  left.value = Infinity;
  const slot = table.grow(3);
  for (const [index, name] of ["m", "r", "p"].entries()) table.set(slot + index, exports[name]);
  view().setUint32(methods + METHODS.malloc, slot, true);
  view().setUint32(methods + METHODS.realloc, slot + 1, true);
  check(call("sqlite3__wasm_config_i", CONFIG.setAllocator, methods));
  call("free", methods);
  const watch = (database: number): void => {
    // Memory that a connection sets aside would be used again and again without being counted.
    check(call("sqlite3__wasm_db_config_pii", database, LOOKASIDE, 0, 0, 0));
    call("sqlite3_progress_handler", database, STEPS_BETWEEN_CHECKS, slot + 2, 0);
  };
  return { meter: meterOf(left), watch };
}

function meterOf(left: WebAssembly.Global): Meter {
  /** What is left of the allowance that is shared now; undefined outside `within`. */
  let shared: number | undefined;
  let started = Infinity;
  let spent = 0;
  const isSpent = (): boolean => left.value < 0;
  return {
    isSpent,
    spentUnits: () => spent,
    within(work) {
      if (shared !== undefined) return work();
      shared = PLANNING_UNITS.work;
      try {
        return work();
      } finally {
        shared = undefined;
      }
    },
    metered(work) {
      started = Math.min(shared ?? PLANNING_UNITS.work, PLANNING_UNITS.statement);
      left.value = started;
      try {
        const result = work();
        // SQLite can do without some allocations, and then says nothing.
        if (isSpent()) throw new EngineExhausted("work");
        return result;
      } finally {
        spent = started - left.value;
        if (shared !== undefined) shared -= spent;
        left.value = Infinity;
      }
    },
    authorize(isSelect) {
      const walked = isSelect && left.value !== Infinity ? (started - left.value) * UNITS_PER_UNIT_WALKED : 0;
      left.value -= UNITS_PER_AUTHORIZATION + walked;
      return !isSpent();
    },
  };
}
