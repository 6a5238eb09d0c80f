// The grants and access tokens of one owner that have ended, in the owner's ledger. The Worker may still have a cached entry of such an
// access token, so `begin` refuses its calls. The grant store writes an end here before it deletes the entry. The removal of a member
// writes the ends of personal access tokens here, for calls that passed the check of their token before it was revoked.
import type { EndedAccess } from "./audit-record.ts";

/** Stores what has ended. */
export interface EndedGrants {
  /** Stores the end of a grant with all its access tokens, or of one access token. Can be repeated. */
  add(ended: EndedAccess, nowMs: number): void;
  /** Whether the grant or the access token has ended. For a personal access token, `grantId` is its id. */
  hasEnded(access: EndedAccess, nowMs: number): boolean;
}

/** How long an end is remembered: much longer than a Worker caches an entry, and than the grant store takes to delete it. */
const RETENTION_MS = 3_600_000;

const buildId = ({ grantId, tokenHash }: EndedAccess): string =>
  tokenHash === undefined ? grantId : `${grantId}:${tokenHash}`;

/** Creates the store in the SQLite database of a ledger. */
export function createEndedGrants(sql: SqlStorage): EndedGrants {
  return {
    add(ended, nowMs) {
      sql.exec("DELETE FROM ended_grant WHERE until_ms <= ?", nowMs);
      sql.exec("INSERT OR REPLACE INTO ended_grant (id, until_ms) VALUES (?, ?)", buildId(ended), nowMs + RETENTION_MS);
    },
    hasEnded: ({ grantId, tokenHash }, nowMs) =>
      sql
        .exec(
          "SELECT 1 FROM ended_grant WHERE id IN (?, ?) AND until_ms > ?",
          buildId({ grantId }),
          buildId({ grantId, tokenHash }),
          nowMs,
        )
        .toArray().length > 0,
  };
}
