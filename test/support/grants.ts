// Reads everything that the grant store's Durable Objects contain, for tests of what must not be stored.
import { listDurableObjectIds, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";

/** Returns every row of every object as JSON, with bytes decoded as text. */
export async function everythingStored(): Promise<readonly string[]> {
  const ids = await listDurableObjectIds(env.GRANT);
  const rows = await Promise.all(
    ids.map(async (id) =>
      runInDurableObject(env.GRANT.get(id), (_object, { storage }) =>
        listTables(storage.sql).flatMap((table) => readRows(storage.sql, table)),
      ),
    ),
  );
  return rows.flat();
}

/** Asks the database for its tables, because a list written here could miss a new one. */
function listTables(sql: SqlStorage): readonly string[] {
  return sql
    .exec<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'")
    .toArray()
    .map(({ name }) => name)
    .filter((name) => !name.startsWith("sqlite_") && !name.startsWith("_cf_"));
}

function readRows(sql: SqlStorage, table: string): readonly string[] {
  return sql
    .exec(`SELECT * FROM "${table}"`)
    .toArray()
    .map((row) =>
      JSON.stringify(row, (_key, value: unknown) =>
        value instanceof ArrayBuffer ? new TextDecoder().decode(value) : value,
      ),
    );
}
