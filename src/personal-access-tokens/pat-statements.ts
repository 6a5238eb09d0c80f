// The changes of the table `personal_access_token`: each is one statement, for the Worker and for commands.
import type { SqlStatement } from "../members/member-statements.ts";

/** A personal access token to add. */
export interface NewPat {
  readonly id: string;
  /** SHA-256 of its text, as 64 hex digits. */
  readonly hash: string;
  readonly ownerId: string;
  readonly name: string;
  readonly roles: readonly string[];
  /** The email of the user who creates it, or `operator`. */
  readonly by: string;
  readonly nowMs: number;
  readonly expiresMs: number;
}

/** How many personal access tokens an owner may have. */
export interface PatCaps {
  /** The most that are neither revoked nor expired. */
  readonly maxActive: number;
  /** The most that are created in one UTC day, including those that were revoked since. */
  readonly maxPerDay: number;
}

const COUNT_ACTIVE =
  "SELECT count(*) FROM personal_access_token WHERE owner_id = ?3 AND revoked_ms IS NULL AND expires_ms > ?7";
const COUNT_MADE_TODAY = "SELECT count(*) FROM personal_access_token WHERE owner_id = ?3 AND made_ms >= ?10";

/** Adds a token unless its owner has reached a cap. The statement checks the caps, so that concurrent requests cannot exceed them. */
export function insertPat(pat: NewPat, { maxActive, maxPerDay }: PatCaps): SqlStatement {
  return {
    sql: `INSERT INTO personal_access_token (id, hash, owner_id, name, roles, made_by, made_ms, expires_ms)
      SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
      WHERE (${COUNT_ACTIVE}) < ?9 AND (${COUNT_MADE_TODAY}) < ?11`,
    values: [
      pat.id,
      pat.hash,
      pat.ownerId,
      pat.name,
      JSON.stringify(pat.roles),
      pat.by,
      pat.nowMs,
      pat.expiresMs,
      maxActive,
      startOfDay(pat.nowMs),
      maxPerDay,
    ],
  };
}

/** Counts the tokens that were created for the owner on the UTC day of `nowMs`, in the column `made`. */
export function countPatsMadeToday(ownerId: string, nowMs: number): SqlStatement {
  return {
    sql: "SELECT count(*) AS made FROM personal_access_token WHERE owner_id = ?1 AND made_ms >= ?2",
    values: [ownerId, startOfDay(nowMs)],
  };
}

/** Explains to the owner or the operator which cap kept a token from being added. `madeToday` is the owner's count of the UTC day. */
export function describePatCap(madeToday: number, { maxActive, maxPerDay }: PatCaps, nowMs: number): string {
  if (madeToday < maxPerDay) return `An owner can have at most ${maxActive} usable personal access tokens. Revoke one.`;
  const reset = new Date(startOfDay(nowMs) + DAY_MS).toISOString().slice(0, 10);
  return [
    `At most ${maxPerDay} personal access tokens can be created for an owner per UTC day, and revoked ones count.`,
    `The next one can be created from ${reset} 00:00 UTC on.`,
  ].join(" ");
}

const DAY_MS = 86_400_000;

/** Returns the start of the UTC day of `nowMs`. */
function startOfDay(nowMs: number): number {
  return nowMs - (nowMs % DAY_MS);
}

/** Revokes a token of this owner; of any owner when `ownerId` is null. */
export function revokePat(id: string, ownerId: string | null, by: string, nowMs: number): SqlStatement {
  const ownerCondition = ownerId === null ? "" : " AND owner_id = ?4";
  return {
    sql: `UPDATE personal_access_token SET revoked_ms = ?3, revoked_by = ?2
      WHERE id = ?1 AND revoked_ms IS NULL${ownerCondition}`,
    values: [id, by, nowMs, ...(ownerId === null ? [] : [ownerId])],
  };
}
