// The counts of refused requests in GATEHOUSE_DB: all isolates add to the same rows.
import type { RefusalCause, RefusedCount } from "./refused-requests.ts";

/** How long counts are stored. */
export const REFUSED_REQUEST_DAYS = 90;
const DAY_MS = 86_400_000;

/** Stores the counts of all isolates. */
export interface StoredRefusedRequests {
  /** Adds to what is stored, in one statement. */
  add(counts: readonly RefusedCount[]): Promise<void>;
  /** Lists the counts of minutes that began at `sinceMs` or later: the newest minute first, and in it the highest count first. */
  list(sinceMs: number, limit: number): Promise<readonly RefusedCount[]>;
  /** Deletes counts that are older than `REFUSED_REQUEST_DAYS`. */
  purge(nowMs: number): Promise<void>;
}

/** Creates the store over GATEHOUSE_DB. */
export function createRefusedRequestsStore(database: D1Database): StoredRefusedRequests {
  return {
    async add(counts) {
      // One parameter for all counts, because D1 binds at most 100. `WHERE true` keeps SQLite from reading ON as part of a join.
      await database
        .prepare(
          `INSERT INTO refused_request (minute_ms, cause, network, count)
            SELECT value ->> 'minuteMs', value ->> 'cause', value ->> 'network', value ->> 'count' FROM json_each(?)
            WHERE true
            ON CONFLICT (minute_ms, cause, network) DO UPDATE SET count = count + excluded.count`,
        )
        .bind(JSON.stringify(counts))
        .run();
    },
    async list(sinceMs, limit) {
      const { results } = await database
        .prepare(
          `SELECT minute_ms AS minuteMs, cause, network, count FROM refused_request WHERE minute_ms >= ?
            ORDER BY minute_ms DESC, count DESC, cause, network LIMIT ?`,
        )
        .bind(sinceMs, limit)
        .all<{ minuteMs: number; cause: RefusalCause; network: string; count: number }>();
      return results;
    },
    async purge(nowMs) {
      await database
        .prepare("DELETE FROM refused_request WHERE minute_ms < ?")
        .bind(nowMs - REFUSED_REQUEST_DAYS * DAY_MS)
        .run();
    },
  };
}
