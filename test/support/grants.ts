// What the objects of the grant store hold, for tests of what must not be in them.
import { listDurableObjectIds, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";

const TABLES = ["entry", "spent", "past_token", "duty"];

/** Every row of every object, as JSON with bytes as text. */
export async function everythingStored(): Promise<readonly string[]> {
  const ids = await listDurableObjectIds(env.GRANT);
  const rows = await Promise.all(
    ids.map(async (id) =>
      runInDurableObject(env.GRANT.get(id), (_object, { storage }) =>
        TABLES.flatMap((table) => rowsOf(storage.sql, table)),
      ),
    ),
  );
  return rows.flat();
}

function rowsOf(sql: SqlStorage, table: string): readonly string[] {
  const exists = sql.exec("SELECT 1 FROM sqlite_master WHERE name = ?", table).toArray().length > 0;
  return exists
    ? sql
        .exec(`SELECT * FROM ${table}`)
        .toArray()
        .map((row) =>
          JSON.stringify(row, (_key, value: unknown) =>
            value instanceof ArrayBuffer ? new TextDecoder().decode(value) : value,
          ),
        )
    : [];
}
