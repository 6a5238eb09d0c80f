// How far the sweep of a document source has come, in GATEHOUSE_DB: it is taken up where the last run left it, by one at a
// time. Every step can be repeated.
import { textTableOf } from "./documents.ts";

/** Where a sweep is. */
export interface SweepPlace {
  readonly sweep: number;
  /** Of the namespace's list; null at its beginning. */
  readonly cursor: string | null;
  /** The last key before it. */
  readonly afterKey: string;
}

/** What a page of a namespace's list says of the keys between two places. */
export interface SweptPage {
  readonly keys: readonly string[];
  /** Null behind the last page. */
  readonly next: { readonly cursor: string; readonly afterKey: string } | null;
}

export interface Sweeps {
  /** Takes up the sweep under way, or begins one that is due; undefined when there is neither, or somebody is at it. */
  begin(nowMs: number, leaseMs: number): Promise<SweepPlace | undefined>;
  /**
   * Removes what the page does not have and moves on, or ends the sweep behind the last page; false when somebody else has
   * moved it, and then nothing is changed.
   */
  advance(
    from: SweepPlace,
    page: SweptPage,
    times: { readonly leaseUntilMs: number; readonly dueMs: number },
  ): Promise<boolean>;
}

/** The sweeps of one source. */
export function createSweeps(database: D1Database, source: string): Sweeps {
  const table = textTableOf(source);
  const createTable = `CREATE VIRTUAL TABLE IF NOT EXISTS ${table} USING fts5(title, body, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2', prefix='3')`;
  return {
    async begin(nowMs, leaseMs) {
      const [, , , taken] = await database.batch<SweepPlace>([
        database.prepare("INSERT OR IGNORE INTO document_source (source) VALUES (?)").bind(source),
        database.prepare(createTable),
        database
          .prepare(
            "UPDATE document_source SET sweep = sweep + 1, began_ms = ?2, cursor = NULL, after_key = '' WHERE source = ?1 AND began_ms IS NULL AND due_ms <= ?2",
          )
          .bind(source, nowMs),
        database
          .prepare(
            "UPDATE document_source SET lease_ms = ?3 WHERE source = ?1 AND began_ms IS NOT NULL AND lease_ms <= ?2 RETURNING sweep, cursor, after_key AS afterKey",
          )
          .bind(source, nowMs, nowMs + leaseMs),
      ]);
      return taken?.results[0];
    },
    async advance({ sweep, cursor, afterKey }, { keys, next }, { leaseUntilMs, dueMs }) {
      // KV lists keys in the order of their UTF-8 bytes, which is how SQLite compares text.
      const gone =
        "source = ?1 AND key > ?2 AND (?3 IS NULL OR key <= ?3) AND key NOT IN (SELECT value FROM json_each(?4)) " +
        "AND EXISTS (SELECT 1 FROM document_source AS s WHERE s.source = ?1 AND s.sweep = ?5 AND s.cursor IS ?6 AND s.began_ms IS NOT NULL)";
      const range = [source, afterKey, next?.afterKey ?? null, JSON.stringify(keys), sweep, cursor] as const;
      const here = "WHERE source = ?1 AND sweep = ?2 AND cursor IS ?3 AND began_ms IS NOT NULL RETURNING sweep";
      const move =
        next === null
          ? database
              .prepare(
                `UPDATE document_source SET swept_ms = began_ms, began_ms = NULL, cursor = NULL, after_key = '', lease_ms = 0, due_ms = ?4 ${here}`,
              )
              .bind(source, sweep, cursor, dueMs)
          : database
              .prepare(`UPDATE document_source SET cursor = ?4, after_key = ?5, lease_ms = ?6 ${here}`)
              .bind(source, sweep, cursor, next.cursor, next.afterKey, leaseUntilMs);
      const [, , moved] = await database.batch([
        database.prepare(`DELETE FROM ${table} WHERE rowid IN (SELECT id FROM document WHERE ${gone})`).bind(...range),
        database.prepare(`DELETE FROM document WHERE ${gone}`).bind(...range),
        move,
      ]);
      return (moved?.results.length ?? 0) > 0;
    },
  };
}

/** Forgets sources that are not among these: their words and their state. */
export async function forgetOtherSources(database: D1Database, sources: readonly string[]): Promise<void> {
  const { results } = await database
    .prepare("SELECT source FROM document_source WHERE source NOT IN (SELECT value FROM json_each(?))")
    .bind(JSON.stringify(sources))
    .all<{ source: string }>();
  for (const { source } of results) {
    await database.batch([
      database.prepare(`DROP TABLE IF EXISTS ${textTableOf(source)}`),
      database.prepare("DELETE FROM document WHERE source = ?").bind(source),
      database.prepare("DELETE FROM document_source WHERE source = ?").bind(source),
    ]);
  }
}
