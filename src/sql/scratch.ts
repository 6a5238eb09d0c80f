// One SQLite in memory for databases that each have a schema of their own, such as people's workspaces: it holds a schema
// only while that is looked at, and nothing of it afterwards.
import { MAX_GROWTH_BYTES, guardEngine, isBroken } from "./copies.ts";
import { createEnginePool } from "./engine/pool.ts";
import type { Engine } from "./engine/sqlite.ts";
import { quoteIdentifier } from "./identifier.ts";
import { copySchema } from "./schema.ts";
import type { SchemaCopy, SchemaSnapshot } from "./schema.ts";

export interface Scratch {
  /** Works with a copy of these tables. Throws `query_refused` when the engine gives up. */
  use<T>(snapshot: SchemaSnapshot, tables: readonly string[], work: (copy: SchemaCopy) => T): T;
}

/** Takes its engine from this pool. */
export function createScratch(pool = createEnginePool()): Scratch {
  let kept: { readonly engine: Engine; readonly emptyBytes: number } | undefined;

  const open = (): NonNullable<typeof kept> => {
    const engine = pool.open(() => {
      if (kept?.engine === engine) kept = undefined;
    });
    return { engine, emptyBytes: engine.memoryBytes() };
  };

  return {
    use: (snapshot, tables, work) =>
      guardEngine(() => {
        const { engine, emptyBytes } = kept ?? open();
        // Kept again only when it is known to be empty.
        kept = undefined;
        let isSound = true;
        try {
          return pool.use(engine, () => work(copySchema(snapshot, tables, engine)));
        } catch (error) {
          isSound = !isBroken(error);
          throw error;
        } finally {
          if (isSound && kept === undefined && engine.memoryBytes() <= emptyBytes + MAX_GROWTH_BYTES) {
            clear(engine);
            kept = { engine, emptyBytes };
          } else pool.close(engine);
        }
      }),
  };
}

function clear(engine: Engine): void {
  for (const [name] of engine.query("SELECT name FROM sqlite_schema WHERE type = 'table'"))
    engine.execute(`DROP TABLE ${quoteIdentifier(name ?? "")}`);
}
