// A copy of one schema for as long as that is needed: made when it is first used, given up with its engine, and made again.
import { DefenceRefusal } from "./defence.ts";
import { EngineExhausted } from "./engine/meter.ts";
import type { EnginePool } from "./engine/pool.ts";
import { copySchema } from "./schema.ts";
import type { SchemaCopy, SchemaSnapshot } from "./schema.ts";

/** How much more memory an engine may have after a statement than an empty copy takes. */
export const MAX_GROWTH_BYTES = 8 * 1024 * 1024;

export interface KeptCopy {
  /** Works with the copy. Throws `query_refused` when its engine gives up, which leaves the next work a new one. */
  use<T>(work: (copy: SchemaCopy) => T): T;
  /** Gives the memory back. */
  close(): void;
}

/** Keeps a copy of these tables in an engine of the pool. `onBroken` is called when that trapped or ran out of memory. */
export function keepCopy(
  pool: EnginePool,
  snapshot: SchemaSnapshot,
  tables: readonly string[],
  onBroken: () => void = () => {},
): KeptCopy {
  let kept: { readonly copy: SchemaCopy; readonly emptyBytes: number } | undefined;

  const close = (): void => {
    if (kept !== undefined) pool.close(kept.copy.engine);
    kept = undefined;
  };
  /** Unless other work has replaced it meanwhile. */
  const closeCopy = (copy: SchemaCopy): void => {
    if (kept?.copy === copy) close();
  };
  const open = (): NonNullable<typeof kept> => {
    const engine = pool.open(() => (kept = undefined));
    try {
      const copy = pool.use(engine, () => copySchema(snapshot, tables, engine));
      return { copy, emptyBytes: engine.memoryBytes() };
    } catch (error) {
      pool.close(engine);
      throw error;
    }
  };

  return {
    close,
    use: (work) =>
      guardEngine(() => {
        kept ??= open();
        const { copy, emptyBytes } = kept;
        try {
          return pool.use(copy.engine, () => work(copy));
        } catch (error) {
          if (isBroken(error)) {
            closeCopy(copy);
            onBroken();
          }
          throw error;
        } finally {
          if (copy.engine.memoryBytes() > emptyBytes + MAX_GROWTH_BYTES) closeCopy(copy);
        }
      }),
  };
}

/** Whether an engine that threw this must not be used again. */
export function isBroken(error: unknown): boolean {
  if (error instanceof EngineExhausted) return error.reason === "memory";
  // A trap, or the end of the stack.
  return error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
}

/** Runs work with an engine, and says what the person can do when it gave up. Throws `query_refused`. */
export function guardEngine<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof EngineExhausted)
      throw new DefenceRefusal({ code: "planning_limit", detail: cause.reason }, TOO_COMPLEX, { cause });
    if (!isBroken(cause)) throw cause;
    throw new DefenceRefusal({ code: "planning_limit", detail: "crash" }, TOO_DEEP, { cause });
  }
}

export const TOO_COMPLEX =
  "The SQL is too complex to plan. Split it into smaller queries, name each WITH query fewer times, and go on from results that were kept (source workspace).";
const TOO_DEEP = "The SQL is too large or too deeply nested. Split it.";
