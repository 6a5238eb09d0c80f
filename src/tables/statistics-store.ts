// When the tables of each D1 source were last analysed, in GATEHOUSE_DB. A run of the upkeep claims the check of a source before it reads
// anything of it, so runs at the same time, or after one that was killed, do not repeat what is billed.
import * as z from "zod";
import type { StatisticsState } from "./analyze-tables.ts";

const DAY_MS = 24 * 3_600_000;
/** How long a run that found tables without statistics keeps other runs from the source. The platform ends a run after 15 minutes. */
const CLAIM_MS = 15 * 60_000;

/** Stores the state of all sources. */
export interface StatisticsStore {
  /**
   * Claims the check of a source. Undefined when it was checked within a day; or, if some table has no statistics (`isUrgent`), when
   * it was analysed within a day or another run may be at it.
   */
  claim(source: string, nowMs: number, isUrgent: boolean): Promise<StatisticsState | undefined>;
  /** Deletes the state of sources that the policy no longer declares. */
  deleteOtherSources(sources: readonly string[]): Promise<void>;
}

/** Row counts by folded table name. What an earlier or later version may have written in another form counts as nothing. */
const rowCountsSchema = z
  .string()
  .transform((text): unknown => parseJson(text))
  .pipe(z.record(z.string(), z.number()))
  .catch({});

/** Creates the store over GATEHOUSE_DB. */
export function createStatisticsStore(database: D1Database): StatisticsStore {
  const openState = (source: string, storedCounts: unknown): StatisticsState => ({
    rowCounts: new Map(Object.entries(rowCountsSchema.parse(storedCounts))),
    async begin(nowMs) {
      await database
        .prepare("UPDATE source_statistics SET analyzed_ms = ?2 WHERE source = ?1")
        .bind(source, nowMs)
        .run();
    },
    async record(rowCounts) {
      await database
        .prepare("UPDATE source_statistics SET row_counts = ?2 WHERE source = ?1")
        .bind(source, JSON.stringify(Object.fromEntries(rowCounts)))
        .run();
    },
  });
  return {
    async claim(source, nowMs, isUrgent) {
      // A time in the future was written under a clock that was wrong.
      const { results } = await database
        .prepare(
          `INSERT INTO source_statistics (source, checked_ms, analyzed_ms, row_counts) VALUES (?1, ?2, 0, '{}')
            ON CONFLICT (source) DO UPDATE SET checked_ms = ?2
              WHERE (checked_ms <= ?3 OR checked_ms > ?2 OR (?4 AND checked_ms <= ?5))
                AND (analyzed_ms <= ?3 OR analyzed_ms > ?2)
            RETURNING row_counts AS rowCounts`,
        )
        .bind(source, nowMs, nowMs - DAY_MS, isUrgent ? 1 : 0, nowMs - CLAIM_MS)
        .all<{ rowCounts: unknown }>();
      const [claimed] = results;
      return claimed === undefined ? undefined : openState(source, claimed.rowCounts);
    },
    async deleteOtherSources(sources) {
      await database
        .prepare("DELETE FROM source_statistics WHERE source NOT IN (SELECT value FROM json_each(?))")
        .bind(JSON.stringify(sources))
        .run();
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The schema refuses undefined, so the tables count as never analysed.
    return undefined;
  }
}
