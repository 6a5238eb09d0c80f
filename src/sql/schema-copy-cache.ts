// Caches a copy of one schema: creates it on first use, drops it together with its engine, and creates it again when it is needed.
import { DefenceRefusal } from "./defence-refusal.ts";
import { EngineExhausted } from "./engine/meter.ts";
import type { EnginePool } from "./engine/pool.ts";
import { copySchema } from "./schema-copy.ts";
import type { SchemaCopy, SchemaSnapshot } from "./schema-copy.ts";

/** Maximum bytes by which an engine may grow beyond an empty copy; a larger engine is closed after the statement. */
export const MAX_GROWTH_BYTES = 8 * 1024 * 1024;

/** A schema copy that exists while it is needed. */
export interface CachedCopy {
  /** Runs work with the copy. Throws `query_refused` when the engine exceeds its allowance or breaks; a broken engine is replaced. */
  use<T>(work: (copy: SchemaCopy) => T): T;
  /** Releases the memory of the copy. */
  close(): void;
}

/** Caches a copy of these tables in an engine of the pool. `onBroken` is called when that engine traps or runs out of memory. */
export function cacheSchemaCopy(
  pool: EnginePool,
  snapshot: SchemaSnapshot,
  tables: readonly string[],
  onBroken: () => void = () => {},
): CachedCopy {
  let cached: { readonly copy: SchemaCopy; readonly emptyBytes: number } | undefined;

  const close = (): void => {
    if (cached !== undefined) pool.close(cached.copy.engine);
    cached = undefined;
  };
  /** Closes the copy, unless other work has already replaced it. */
  const closeCopy = (copy: SchemaCopy): void => {
    if (cached?.copy === copy) close();
  };
  const open = (): NonNullable<typeof cached> => {
    const engine = pool.open(() => (cached = undefined));
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
      refuseWhenExhausted(() => {
        cached ??= open();
        const { copy, emptyBytes } = cached;
        try {
          return pool.use(copy.engine, () => work(copy));
        } catch (error) {
          if (isEngineBroken(error)) {
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

/** Checks whether an engine that threw this error must not be used again. */
export function isEngineBroken(error: unknown): boolean {
  if (error instanceof EngineExhausted) return error.reason === "memory";
  // A trap, or a stack overflow.
  return error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
}

/** Runs work with an engine. Throws `query_refused`, with advice for the user, when the engine exceeds its allowance or breaks. */
export function refuseWhenExhausted<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof EngineExhausted)
      throw new DefenceRefusal({ code: "planning_limit", detail: cause.reason }, TOO_COMPLEX_MESSAGE, { cause });
    if (!isEngineBroken(cause)) throw cause;
    throw new DefenceRefusal({ code: "planning_limit", detail: "crash" }, TOO_DEEP_MESSAGE, { cause });
  }
}

/** Tells the user that the statement is too complex to plan. */
export const TOO_COMPLEX_MESSAGE = [
  "The SQL is too complex to plan. Split it into smaller queries, use each WITH name fewer times,",
  "and continue from stored results (source workspace).",
].join(" ");
const TOO_DEEP_MESSAGE = "The SQL is too large or too deeply nested. Split it.";
