// One SQLite in memory for databases that each have a schema of their own, such as people's workspaces: it holds a schema
// only while that is looked at, and nothing of it afterwards.
import { openEngine } from "./engine/sqlite.ts";
import type { Engine } from "./engine/sqlite.ts";
import { quoteIdentifier } from "./identifier.ts";
import { copySchema, useCopy } from "./schema.ts";
import type { SchemaCopy, SchemaSnapshot } from "./schema.ts";

export interface Scratch {
  /** Works with a copy of these tables. Throws `query_refused` when the engine gives up. */
  use<T>(snapshot: SchemaSnapshot, tables: readonly string[], work: (copy: SchemaCopy) => T): T;
}

export function createScratch(): Scratch {
  let kept: Engine | undefined;

  return {
    use(snapshot, tables, work) {
      const engine = kept ?? openEngine();
      // Kept again only when it is known to be empty.
      kept = undefined;
      let isSound = true;
      const copy = copySchema(snapshot, tables, engine);
      try {
        return useCopy(copy, work, () => (isSound = false));
      } finally {
        if (isSound) {
          clear(engine);
          kept = engine;
        }
      }
    },
  };
}

function clear(engine: Engine): void {
  for (const [name] of engine.query("SELECT name FROM sqlite_schema WHERE type = 'table'"))
    engine.execute(`DROP TABLE ${quoteIdentifier(name ?? "")}`);
}
