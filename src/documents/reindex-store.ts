// The progress of reindexing a document source, in GATEHOUSE_DB: a run continues where the last one stopped, and a lease lets only one
// run work at a time. Every step can be repeated.
import { buildOtherFormCondition, nameTextTable } from "./document-index-store.ts";

/** The position of a pass over all keys. */
interface ReindexPosition {
  /** The number of the pass. */
  readonly run: number;
  /** The cursor of the namespace's list; null at the beginning. */
  readonly cursor: string | null;
  /** The last key before the cursor. */
  readonly afterKey: string;
}

/** All keys of a namespace between two positions. */
export interface KeyPage {
  readonly keys: readonly string[];
  /** Where the next page begins; null after the last page. */
  readonly next: { readonly cursor: string; readonly afterKey: string } | null;
}

/** Stores the progress of one source. */
export interface ReindexStore {
  /**
   * Continues the unfinished pass, or begins one that is due or that an entry in another form needs. Undefined when there is neither,
   * or another run holds the lease.
   */
  begin(nowMs: number, leaseMs: number): Promise<ReindexPosition | undefined>;
  /**
   * Removes indexed documents that the page lacks and moves to the next page; after the last page, ends the pass. Returns false and
   * changes nothing when another run has moved the position.
   */
  advance(
    from: ReindexPosition,
    page: KeyPage,
    times: { readonly leaseUntilMs: number; readonly dueMs: number },
  ): Promise<boolean>;
}

/** Creates the store of one source. */
export function createReindexStore(database: D1Database, source: string): ReindexStore {
  const table = nameTextTable(source);
  const createTable = `CREATE VIRTUAL TABLE IF NOT EXISTS ${table} USING fts5(
    title, body, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2', prefix='3'
  )`;
  return {
    async begin(nowMs, leaseMs) {
      const [, , , claimed] = await database.batch<ReindexPosition>([
        database.prepare("INSERT OR IGNORE INTO document_source (source) VALUES (?)").bind(source),
        database.prepare(createTable),
        database
          .prepare(
            `UPDATE document_source SET reindex_run = reindex_run + 1, began_ms = ?2, cursor = NULL, after_key = ''
              WHERE source = ?1 AND began_ms IS NULL AND (due_ms <= ?2 OR ${buildOtherFormCondition("?1")})`,
          )
          .bind(source, nowMs),
        database
          .prepare(
            `UPDATE document_source SET lease_ms = ?3 WHERE source = ?1 AND began_ms IS NOT NULL AND lease_ms <= ?2
              RETURNING reindex_run AS run, cursor, after_key AS afterKey`,
          )
          .bind(source, nowMs, nowMs + leaseMs),
      ]);
      return claimed?.results[0];
    },
    async advance({ run, cursor, afterKey }, { keys, next }, { leaseUntilMs, dueMs }) {
      // KV lists keys in the order of their UTF-8 bytes, and SQLite compares text in the same order.
      const missingCondition = `source = ?1 AND key > ?2 AND (?3 IS NULL OR key <= ?3)
        AND key NOT IN (SELECT value FROM json_each(?4))
        AND EXISTS (
          SELECT 1 FROM document_source AS s
          WHERE s.source = ?1 AND s.reindex_run = ?5 AND s.cursor IS ?6 AND s.began_ms IS NOT NULL
        )`;
      const range = [source, afterKey, next?.afterKey ?? null, JSON.stringify(keys), run, cursor] as const;
      const positionCondition =
        "WHERE source = ?1 AND reindex_run = ?2 AND cursor IS ?3 AND began_ms IS NOT NULL RETURNING reindex_run";
      const move =
        next === null
          ? database
              .prepare(
                `UPDATE document_source
                  SET reindexed_ms = began_ms, began_ms = NULL, cursor = NULL, after_key = '', lease_ms = 0, due_ms = ?4
                  ${positionCondition}`,
              )
              .bind(source, run, cursor, dueMs)
          : database
              .prepare(`UPDATE document_source SET cursor = ?4, after_key = ?5, lease_ms = ?6 ${positionCondition}`)
              .bind(source, run, cursor, next.cursor, next.afterKey, leaseUntilMs);
      const [, , moved] = await database.batch([
        database
          .prepare(`DELETE FROM ${table} WHERE rowid IN (SELECT id FROM document WHERE ${missingCondition})`)
          .bind(...range),
        database.prepare(`DELETE FROM document WHERE ${missingCondition}`).bind(...range),
        move,
      ]);
      return (moved?.results.length ?? 0) > 0;
    },
  };
}

/** Deletes the index and the progress of every source that is not in `sources`. */
export async function deleteOtherSources(database: D1Database, sources: readonly string[]): Promise<void> {
  const { results } = await database
    .prepare("SELECT source FROM document_source WHERE source NOT IN (SELECT value FROM json_each(?))")
    .bind(JSON.stringify(sources))
    .all<{ source: string }>();
  for (const { source } of results) {
    await database.batch([
      database.prepare(`DROP TABLE IF EXISTS ${nameTextTable(source)}`),
      database.prepare("DELETE FROM document WHERE source = ?").bind(source),
      database.prepare("DELETE FROM document_source WHERE source = ?").bind(source),
    ]);
  }
}
