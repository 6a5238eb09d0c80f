// The hashes of spent refresh tokens and of ended access tokens. A spent refresh token keeps its reply for a grace period; after that, its
// reuse shows that it was stolen. An ended access token is remembered so that its use can be recorded.
import type { TokenRefusalReason } from "./audit-events.ts";
import type { LazyTables } from "../../lib/lazy-tables.ts";

/** A refresh token that was used. */
export interface SpentRefreshToken {
  readonly grantId: string;
  readonly spentMs: number;
  /** The reply, encrypted with a key that is derived from the refresh token; null after the grace period. */
  readonly answer: ArrayBuffer | null;
}

/** An access token that was refused, or will be. */
interface RevokedToken {
  readonly grantId: string;
  readonly clientId: string;
  readonly refusal: TokenRefusalReason;
}

/** Stores the tokens of one shard by their hashes. */
export interface RevokedTokens {
  addSpent(hash: string, spent: SpentRefreshToken): void;
  findSpent(hash: string): SpentRefreshToken | undefined;
  /** Deletes the spent refresh tokens of a grant that has ended. */
  deleteSpent(grantId: string): void;
  /** Stores an access token that has expired or was revoked. */
  revoke(hash: string, token: RevokedToken, nowMs: number): void;
  /** Returns an ended access token and marks it as reported. Undefined when there is none or it was reported before. */
  takeUnreported(hash: string): RevokedToken | undefined;
  /** Stores that an access token was refused while it was still an entry. False when that is already stored. */
  markRefused(hash: string, token: RevokedToken, nowMs: number): boolean;
  /** Deletes replies after the grace period, and ended access tokens after their retention. */
  purgeExpired(nowMs: number): void;
  /** Returns when the next purge is due; undefined when nothing is stored that expires. */
  nextPurgeMs(): number | undefined;
  isEmpty(): boolean;
}

/** The most spent refresh tokens of one grant: six weeks of refreshes, at one an hour. */
const MAX_SPENT_PER_GRANT = 1000;
/** How long an ended access token is remembered. After that, it cannot be distinguished from one that was never issued. */
const RETENTION_MS = 7 * 86_400_000;

interface RevokedTokenRow extends Record<string, SqlStorageValue> {
  readonly grantId: string;
  readonly clientId: string;
  readonly refusal: TokenRefusalReason;
}

/** Creates the store over the tables of a GrantObject. `graceMs` is the grace period of spent refresh tokens. */
export function createRevokedTokens(
  { getIfCreated, ensureCreated }: Pick<LazyTables, "getIfCreated" | "ensureCreated">,
  graceMs: number,
): RevokedTokens {
  const insertToken = (
    hash: string,
    { grantId, clientId, refusal }: RevokedToken,
    isReported: number,
    nowMs: number,
  ): boolean =>
    ensureCreated()
      .exec(
        `INSERT OR IGNORE INTO revoked_token (hash, grant_id, client_id, refusal, is_reported, until_ms)
          VALUES (?, ?, ?, ?, ?, ?) RETURNING hash`,
        hash,
        grantId,
        clientId,
        refusal,
        isReported,
        nowMs + RETENTION_MS,
      )
      .toArray().length > 0;
  return {
    addSpent(hash, { grantId, spentMs, answer }) {
      ensureCreated().exec(
        "INSERT INTO spent_refresh_token (hash, grant_id, spent_ms, answer) VALUES (?, ?, ?, ?)",
        hash,
        grantId,
        spentMs,
        answer,
      );
      ensureCreated().exec(
        `DELETE FROM spent_refresh_token WHERE grant_id = ?1 AND hash IN (
          SELECT hash FROM spent_refresh_token WHERE grant_id = ?1 ORDER BY spent_ms DESC LIMIT -1 OFFSET ?2
        )`,
        grantId,
        MAX_SPENT_PER_GRANT,
      );
    },
    findSpent: (hash) =>
      getIfCreated()
        ?.exec<SpentRefreshToken & Record<string, SqlStorageValue>>(
          "SELECT grant_id AS grantId, spent_ms AS spentMs, answer FROM spent_refresh_token WHERE hash = ?",
          hash,
        )
        .toArray()[0],
    deleteSpent: (grantId) => void getIfCreated()?.exec("DELETE FROM spent_refresh_token WHERE grant_id = ?", grantId),
    revoke: (hash, token, nowMs) => void insertToken(hash, token, 0, nowMs),
    takeUnreported(hash) {
      const revokedToken = getIfCreated()
        ?.exec<RevokedTokenRow>(
          "SELECT grant_id AS grantId, client_id AS clientId, refusal FROM revoked_token WHERE hash = ? AND is_reported = 0",
          hash,
        )
        .toArray()[0];
      if (revokedToken !== undefined)
        getIfCreated()?.exec("UPDATE revoked_token SET is_reported = 1 WHERE hash = ?", hash);
      return revokedToken;
    },
    markRefused: (hash, token, nowMs) => insertToken(hash, token, 1, nowMs),
    purgeExpired(nowMs) {
      const sql = getIfCreated();
      sql?.exec(
        "UPDATE spent_refresh_token SET answer = NULL WHERE answer IS NOT NULL AND spent_ms <= ?",
        nowMs - graceMs,
      );
      sql?.exec("DELETE FROM revoked_token WHERE until_ms <= ?", nowMs);
    },
    isEmpty: () =>
      (
        getIfCreated()
          ?.exec("SELECT hash FROM spent_refresh_token UNION ALL SELECT hash FROM revoked_token LIMIT 1")
          .toArray() ?? []
      ).length === 0,
    nextPurgeMs() {
      const oldestAnsweredMs = getIfCreated()
        ?.exec<{ at: number | null }>("SELECT min(spent_ms) AS at FROM spent_refresh_token WHERE answer IS NOT NULL")
        .one().at;
      const untilMs = getIfCreated()
        ?.exec<{ at: number | null }>("SELECT min(until_ms) AS at FROM revoked_token")
        .one().at;
      return findEarliest([oldestAnsweredMs == null ? undefined : oldestAnsweredMs + graceMs, untilMs ?? undefined]);
    },
  };
}

/** Returns the earliest of the defined times; undefined when none is defined. */
export function findEarliest(times: readonly (number | undefined)[]): number | undefined {
  const definedTimes = times.filter((time) => time !== undefined);
  return definedTimes.length === 0 ? undefined : Math.min(...definedTimes);
}
