// The changes of the table of access tokens, each one statement, whether the Worker makes them or wrangler does.
import type { Change } from "./member-statements.ts";

export interface NewAccessToken {
  readonly id: string;
  /** SHA-256 of its text, 64 hex digits. */
  readonly hash: string;
  readonly ownerId: string;
  readonly name: string;
  readonly roles: readonly string[];
  /** The email of who made it, or `operator`. */
  readonly by: string;
  readonly nowMs: number;
  readonly expiresMs: number;
}

/** How many personal access tokens an owner may have. */
export interface AccessTokenCaps {
  /** Usable at once. */
  readonly maxHeld: number;
  /** Made in one UTC day, those that were revoked since included. */
  readonly maxPerDay: number;
}

const USABLE = "SELECT count(*) FROM access_token WHERE owner_id = ?3 AND revoked_ms IS NULL AND expires_ms > ?7";
const MADE_TODAY = "SELECT count(*) FROM access_token WHERE owner_id = ?3 AND made_ms >= ?10";

/** Changes nothing when the owner has reached a cap: checked in the statement, so that requests at once do not pass it. */
export function addAccessToken(token: NewAccessToken, { maxHeld, maxPerDay }: AccessTokenCaps): Change {
  return {
    sql: `INSERT INTO access_token (id, hash, owner_id, name, roles, made_by, made_ms, expires_ms) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
 WHERE (${USABLE}) < ?9 AND (${MADE_TODAY}) < ?11`,
    values: [
      token.id,
      token.hash,
      token.ownerId,
      token.name,
      JSON.stringify(token.roles),
      token.by,
      token.nowMs,
      token.expiresMs,
      maxHeld,
      startOfDay(token.nowMs),
      maxPerDay,
    ],
  };
}

/** How many the owner has made on the UTC day of `nowMs`, as `made`. */
export function countMadeToday(ownerId: string, nowMs: number): Change {
  return {
    sql: "SELECT count(*) AS made FROM access_token WHERE owner_id = ?1 AND made_ms >= ?2",
    values: [ownerId, startOfDay(nowMs)],
  };
}

/** Why a token was not added, once its owner's count of the day is known; text for the owner or the operator. */
export function describeCap(made: number, { maxHeld, maxPerDay }: AccessTokenCaps, nowMs: number): string {
  if (made < maxPerDay) return `${maxHeld} usable access tokens are the limit for one owner. Revoke one.`;
  const reset = new Date(startOfDay(nowMs) + DAY_MS).toISOString().slice(0, 10);
  return `An owner can make ${maxPerDay} access tokens per UTC day, and revoked ones count. The next one can be made from ${reset} 00:00 UTC on.`;
}

const DAY_MS = 86_400_000;

/** Midnight UTC, at which the day of `nowMs` began. */
function startOfDay(nowMs: number): number {
  return nowMs - (nowMs % DAY_MS);
}

/** Ends one. `ownerId` null: whosever it is. */
export function revokeAccessToken(id: string, ownerId: string | null, by: string, nowMs: number): Change {
  const owned = ownerId === null ? "" : " AND owner_id = ?4";
  return {
    sql: `UPDATE access_token SET revoked_ms = ?3, revoked_by = ?2 WHERE id = ?1 AND revoked_ms IS NULL${owned}`,
    values: [id, by, nowMs, ...(ownerId === null ? [] : [ownerId])],
  };
}
