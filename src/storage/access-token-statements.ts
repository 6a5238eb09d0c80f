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

/** Changes nothing when the owner has `maxHeld` usable ones. */
export function addAccessToken(token: NewAccessToken, maxHeld: number): Change {
  return {
    sql: `INSERT INTO access_token (id, hash, owner_id, name, roles, made_by, made_ms, expires_ms) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
 WHERE (SELECT count(*) FROM access_token WHERE owner_id = ?3 AND revoked_ms IS NULL AND expires_ms > ?7) < ?9`,
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
    ],
  };
}

/** Ends one. `ownerId` null: whosever it is. */
export function revokeAccessToken(id: string, ownerId: string | null, by: string, nowMs: number): Change {
  const owned = ownerId === null ? "" : " AND owner_id = ?4";
  return {
    sql: `UPDATE access_token SET revoked_ms = ?3, revoked_by = ?2 WHERE id = ?1 AND revoked_ms IS NULL${owned}`,
    values: [id, by, nowMs, ...(ownerId === null ? [] : [ownerId])],
  };
}
