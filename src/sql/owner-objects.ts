// Tells the objects of a database's owner from those of SQLite, D1, wrangler and Gatehouse, by their names.
import { findReservedPrefix, foldName } from "./identifier.ts";

/** Prefixes of names that SQLite, D1 or Gatehouse owns. */
const INTERNAL_PREFIXES: readonly (string | undefined)[] = ["sqlite_", "_cf_", "_gatehouse"];

/** Whether an object belongs to the owner of the database. */
export function isOwnerObject(name: string): boolean {
  return foldName(name) !== "d1_migrations" && !INTERNAL_PREFIXES.includes(findReservedPrefix(name));
}

/** The same as a condition on the column `name` of `sqlite_schema`. */
export const OWNER_OBJECTS_SQL =
  "name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' " +
  "AND name NOT LIKE '\\_gatehouse%' ESCAPE '\\' AND lower(name) <> 'd1_migrations'";
