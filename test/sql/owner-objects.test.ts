// The condition in SQL and the check of a name tell the same objects from those of SQLite, D1, wrangler and Gatehouse.
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { OWNER_OBJECTS_SQL, isOwnerObject } from "../../src/sql/owner-objects.ts";

it.each([
  ["orders", true],
  ["gatehouse", true],
  ["sqliteman", true],
  ["cf_orders", true],
  ["d1_migrations_old", true],
  ["fts5_notes", true],
  ["d1_migrations", false],
  ["D1_Migrations", false],
  ["sqlite_stat1", false],
  ["_cf_KV", false],
  ["_CF_METADATA", false],
  ["_gatehouse_load", false],
  ["_Gatehouse_Layout", false],
])("says of %s whether its owner made it: %s", async (name, expected) => {
  expect(isOwnerObject(name)).toBe(expected);
  const sql = `SELECT ${OWNER_OBJECTS_SQL} AS owned FROM (SELECT ?1 AS name)`;
  expect(await env.SHOP_DB.prepare(sql).bind(name).first("owned")).toBe(expected ? 1 : 0);
});
