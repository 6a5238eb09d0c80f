// Deletes the images of changes that nothing needs any more: previews of proposals that have ended or never came to be, and the images of
// changes that are too old to be undone. The journal stays, because its keys keep changes from being applied twice.
import { CHANGE_TABLES, IMAGE_TABLE, JOURNAL_TABLE } from "./change-journal.ts";

/** How many previews one statement looks at. */
const PAGE_SIZE = 500;

/** What a clean-up of one database needs. */
interface CleanupOptions {
  readonly database: D1Database;
  /** Returns those of these changes that are not open. */
  readonly listClosed: (ids: readonly string[]) => Promise<readonly string[]>;
  /** Changes that were applied before this time, in milliseconds since the epoch, cannot be undone. */
  readonly undoableSinceMs: number;
}

/** Why the changes of a database cannot be used; undefined when they can. */
export async function findChangeTablesFault(database: D1Database): Promise<string | undefined> {
  const found = await database
    .prepare(
      "SELECT count(*) AS tables FROM sqlite_schema WHERE type = 'table' AND name IN (SELECT value FROM json_each(?))",
    )
    .bind(JSON.stringify(CHANGE_TABLES))
    .first<number>("tables");
  return found === CHANGE_TABLES.length
    ? undefined
    : `the database lacks the tables ${CHANGE_TABLES.join(", ")}, which changes need. Run \`npm run migrate\`.`;
}

/** Deletes images that nothing needs. The images of a preview are named by its change, a dot and a random text. */
export async function deleteOldImages({ database, listClosed, undoableSinceMs }: CleanupOptions): Promise<void> {
  for (let deleted = 1; deleted > 0;) {
    const { meta } = await database
      .prepare(
        `DELETE FROM ${IMAGE_TABLE} WHERE change_id IN (
          SELECT change_id FROM ${JOURNAL_TABLE} AS j WHERE at_ms < ?
            AND EXISTS (SELECT 1 FROM ${IMAGE_TABLE} AS i WHERE i.change_id = j.change_id) LIMIT ${PAGE_SIZE})`,
      )
      .bind(undoableSinceMs)
      .run();
    deleted = meta.changes;
  }
  for (let last = ""; ;) {
    const { results } = await database
      .prepare(
        `SELECT DISTINCT change_id AS id FROM ${IMAGE_TABLE} WHERE phase = 'preview' AND change_id > ?
          ORDER BY change_id LIMIT ${PAGE_SIZE}`,
      )
      .bind(last)
      .all<{ id: string }>();
    const ids = results.map(({ id }) => id);
    const closed = new Set(ids.length === 0 ? [] : await listClosed([...new Set(ids.map(nameChange))]));
    const abandoned = ids.filter((id) => closed.has(nameChange(id)));
    if (abandoned.length > 0)
      await database
        .prepare(`DELETE FROM ${IMAGE_TABLE} WHERE phase = 'preview' AND change_id IN (SELECT value FROM json_each(?))`)
        .bind(JSON.stringify(abandoned))
        .run();
    last = ids.at(-1) ?? "";
    if (ids.length < PAGE_SIZE) return;
  }
}

function nameChange(previewId: string): string {
  return previewId.split(".")[0] ?? previewId;
}
