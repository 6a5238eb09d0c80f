// Holds one in-memory SQLite for databases that each have a different schema, such as users' workspaces. It contains one schema at a time,
// which stays until work needs another one: all layers of a read use the same.
import { MAX_GROWTH_BYTES, refuseWhenExhausted, isEngineBroken } from "./schema-copy-cache.ts";
import { createEnginePool } from "./engine/pool.ts";
import type { Engine } from "./engine/sqlite.ts";
import { quoteIdentifier } from "./identifier.ts";
import { copySchema } from "./schema-copy.ts";
import type { SchemaCopy, SchemaSnapshot } from "./schema-copy.ts";

/** Runs work with short-lived schema copies. */
export interface SchemaSandbox {
  /**
   * Runs work with a copy of these tables. The same snapshot must always come with the same tables. Throws `query_refused` when the
   * engine exceeds its allowance or breaks.
   */
  use<T>(snapshot: SchemaSnapshot, tables: readonly string[], work: (copy: SchemaCopy) => T): T;
}

/** An engine, and the copy that is in it. */
interface Loaded {
  readonly engine: Engine;
  readonly emptyBytes: number;
  readonly copy: SchemaCopy | undefined;
  /** How many calls of `use` work with it now. */
  activeUses: number;
}

/** Creates a sandbox that takes its engine from this pool. */
export function createSchemaSandbox(pool = createEnginePool()): SchemaSandbox {
  let loaded: Loaded | undefined;

  const open = (): Loaded => {
    const engine = pool.open(() => {
      if (loaded?.engine === engine) loaded = undefined;
    });
    return { engine, emptyBytes: engine.memoryBytes(), copy: undefined, activeUses: 0 };
  };
  const close = (entry: Loaded): void => {
    if (loaded === entry) loaded = undefined;
    pool.close(entry.engine);
  };
  /** Loads the copy of this snapshot, in place of another one that nothing uses now. */
  const load = (snapshot: SchemaSnapshot, tables: readonly string[]): Loaded => {
    if (loaded?.copy?.snapshot === snapshot) return loaded;
    const idle = loaded !== undefined && loaded.activeUses === 0 ? loaded : open();
    // If this fails, the engine is not known to be empty, and is not used again.
    loaded = undefined;
    try {
      const copy = pool.use(idle.engine, () => {
        dropAllTables(idle.engine);
        return copySchema(snapshot, tables, idle.engine);
      });
      return (loaded = { ...idle, copy });
    } catch (error) {
      pool.close(idle.engine);
      throw error;
    }
  };

  return {
    use: (snapshot, tables, work) =>
      refuseWhenExhausted(() => {
        const entry = load(snapshot, tables);
        const { copy, engine } = entry;
        if (copy === undefined) throw new TypeError("a loaded engine has a copy");
        entry.activeUses += 1;
        try {
          return pool.use(engine, () => work(copy));
        } catch (error) {
          if (isEngineBroken(error)) close(entry);
          throw error;
        } finally {
          entry.activeUses -= 1;
          const isCurrent = loaded === entry;
          const hasGrown = engine.memoryBytes() > entry.emptyBytes + MAX_GROWTH_BYTES;
          if (entry.activeUses === 0 && (!isCurrent || hasGrown)) close(entry);
        }
      }),
  };
}

function dropAllTables(engine: Engine): void {
  for (const [name] of engine.query("SELECT name FROM sqlite_schema WHERE type = 'table'"))
    engine.execute(`DROP TABLE ${quoteIdentifier(name ?? "")}`);
}
