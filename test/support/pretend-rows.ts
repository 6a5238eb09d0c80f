// Pretends in tests that a table is large, so that the work limit can be tested without the time that a large table takes.

/**
 * Writes statistics, as if `ANALYZE` had counted these rows. Gatehouse believes them only while the range of ids is about as large, so the
 * table needs a first row with the id 1 and a last one with this number as its id.
 */
export async function pretendRows(database: D1Database, rowCounts: Readonly<Record<string, number>>): Promise<void> {
  const statements = Object.entries(rowCounts).flatMap(([table, rows]) => [
    database.prepare("DELETE FROM sqlite_stat1 WHERE tbl = ?").bind(table),
    database.prepare("INSERT INTO sqlite_stat1 VALUES (?, NULL, ?)").bind(table, String(rows)),
  ]);
  // Creates the table of statistics.
  await database.prepare("ANALYZE sqlite_schema").run();
  await database.batch(statements);
}
