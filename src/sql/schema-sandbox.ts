// Holds one in-memory SQLite for databases that each have a different schema, such as users' workspaces. It contains a schema only while
// work uses it, and nothing of that schema afterwards.
import { MAX_GROWTH_BYTES, refuseWhenExhausted, isEngineBroken } from "./schema-copy-cache.ts";
import { createEnginePool } from "./engine/pool.ts";
import type { Engine } from "./engine/sqlite.ts";
import { quoteIdentifier } from "./identifier.ts";
import { copySchema } from "./schema-copy.ts";
import type { SchemaCopy, SchemaSnapshot } from "./schema-copy.ts";

/** Runs work with short-lived schema copies. */
export interface SchemaSandbox {
  /** Runs work with a copy of these tables. Throws `query_refused` when the engine exceeds its allowance or breaks. */
  use<T>(snapshot: SchemaSnapshot, tables: readonly string[], work: (copy: SchemaCopy) => T): T;
}

/** Creates a sandbox that takes its engine from this pool. */
export function createSchemaSandbox(pool = createEnginePool()): SchemaSandbox {
  let idle: { readonly engine: Engine; readonly emptyBytes: number } | undefined;

  const open = (): NonNullable<typeof idle> => {
    const engine = pool.open(() => {
      if (idle?.engine === engine) idle = undefined;
    });
    return { engine, emptyBytes: engine.memoryBytes() };
  };

  return {
    use: (snapshot, tables, work) =>
      refuseWhenExhausted(() => {
        const { engine, emptyBytes } = idle ?? open();
        // Nested work must not get the same engine, and the engine is reused only once it is known to be empty.
        idle = undefined;
        let isReusable = true;
        try {
          return pool.use(engine, () => work(copySchema(snapshot, tables, engine)));
        } catch (error) {
          isReusable = !isEngineBroken(error);
          throw error;
        } finally {
          if (isReusable && idle === undefined && engine.memoryBytes() <= emptyBytes + MAX_GROWTH_BYTES) {
            dropAllTables(engine);
            idle = { engine, emptyBytes };
          } else pool.close(engine);
        }
      }),
  };
}

function dropAllTables(engine: Engine): void {
  for (const [name] of engine.query("SELECT name FROM sqlite_schema WHERE type = 'table'"))
    engine.execute(`DROP TABLE ${quoteIdentifier(name ?? "")}`);
}
