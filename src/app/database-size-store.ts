// How large a D1 database is.

/** Reads the size of a database in bytes. */
export async function readDatabaseSize(database: D1Database): Promise<number> {
  return (await database.prepare("SELECT 1").run()).meta.size_after;
}
