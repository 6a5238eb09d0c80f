// Access tokens for programs: what is kept of them, and which have ended without their sessions knowing. The text of a token is
// nowhere; it is found by its hash.
import * as z from "zod";
import { addAccessToken, revokeAccessToken } from "./access-token-statements.ts";
import type { NewAccessToken } from "./access-token-statements.ts";
import { parseGroups } from "./members.ts";

export interface ListedAccessToken {
  readonly id: string;
  readonly ownerId: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly madeBy: string;
  readonly madeMs: number;
  readonly expiresMs: number;
  /** To the minute; null when it was never used. */
  readonly usedMs: number | null;
  readonly revokedMs: number | null;
}

/** A token with what is known of its owner. */
export interface PresentedAccessToken extends ListedAccessToken {
  /** As it was noted when the owner was last seen. */
  readonly ownerEmail: string;
  readonly ownerGroups: readonly string[];
  /** When the owner was last here with a sign-in of their own. */
  readonly ownerSeenMs: number;
}

export interface AccessTokens {
  /** The token of this hash, also one that has ended. */
  find(hash: string): Promise<PresentedAccessToken | undefined>;
  /** False when the owner has `maxHeld` usable ones. */
  add(token: NewAccessToken, maxHeld: number): Promise<boolean>;
  /** Of one owner, newest first. */
  list(ownerId: string): Promise<readonly ListedAccessToken[]>;
  /** False when the owner has no such token that is not revoked. */
  revoke(id: string, ownerId: string, by: string, nowMs: number): Promise<boolean>;
  /** Ends all tokens of an owner, for one whose account has ended. */
  revokeAll(ownerId: string, by: string, nowMs: number): Promise<void>;
  touch(id: string, nowMs: number): Promise<void>;
  /** Ids of those that were revoked or expired, and whose sessions have not been ended. */
  untoldEnds(nowMs: number, limit: number): Promise<readonly string[]>;
  markEndTold(id: string): Promise<void>;
  /** Forgets those that ended before. */
  purge(beforeMs: number): Promise<void>;
}

interface TokenRow {
  readonly id: string;
  readonly owner_id: string;
  readonly name: string;
  readonly roles: string;
  readonly made_by: string;
  readonly made_ms: number;
  readonly expires_ms: number;
  readonly used_ms: number | null;
  readonly revoked_ms: number | null;
}

interface PresentedRow extends TokenRow {
  readonly email: string;
  readonly groups: string;
  readonly seen_ms: number;
}

const COLUMNS = "id, owner_id, name, roles, made_by, made_ms, expires_ms, used_ms, revoked_ms";
const rolesSchema = z.array(z.string());

export function openAccessTokens(database: D1Database): AccessTokens {
  const change = async (sql: string, values: readonly (string | number)[]): Promise<number> => {
    const { meta } = await database
      .prepare(sql)
      .bind(...values)
      .run();
    return meta.changes;
  };
  return {
    async find(hash) {
      const row = await database
        .prepare(
          `SELECT ${COLUMNS.split(", ")
            .map((name) => `t.${name}`)
            .join(
              ", ",
            )}, s.email, s.groups, s.seen_ms FROM access_token AS t JOIN subject AS s ON s.subject_id = t.owner_id WHERE t.hash = ?`,
        )
        .bind(hash)
        .first<PresentedRow>();
      if (row === null) return undefined;
      const { email: ownerEmail, groups, seen_ms: ownerSeenMs } = row;
      return { ...listedOf(row), ownerEmail, ownerGroups: parseGroups(groups), ownerSeenMs };
    },
    async add(token, maxHeld) {
      const { sql, values } = addAccessToken(token, maxHeld);
      return (await change(sql, values)) > 0;
    },
    async list(ownerId) {
      const { results } = await database
        .prepare(`SELECT ${COLUMNS} FROM access_token WHERE owner_id = ? ORDER BY made_ms DESC, id`)
        .bind(ownerId)
        .all<TokenRow>();
      return results.map(listedOf);
    },
    async revoke(id, ownerId, by, nowMs) {
      const { sql, values } = revokeAccessToken(id, ownerId, by, nowMs);
      return (await change(sql, values)) > 0;
    },
    async revokeAll(ownerId, by, nowMs) {
      await change(
        "UPDATE access_token SET revoked_ms = ?3, revoked_by = ?2 WHERE owner_id = ?1 AND revoked_ms IS NULL",
        [ownerId, by, nowMs],
      );
    },
    async touch(id, nowMs) {
      await change("UPDATE access_token SET used_ms = ?2 WHERE id = ?1", [id, nowMs]);
    },
    async untoldEnds(nowMs, limit) {
      const { results } = await database
        .prepare(
          "SELECT id FROM access_token WHERE is_end_told = 0 AND (revoked_ms IS NOT NULL OR expires_ms <= ?) LIMIT ?",
        )
        .bind(nowMs, limit)
        .all<{ id: string }>();
      return results.map(({ id }) => id);
    },
    async markEndTold(id) {
      await change("UPDATE access_token SET is_end_told = 1 WHERE id = ?", [id]);
    },
    async purge(beforeMs) {
      await change("DELETE FROM access_token WHERE is_end_told = 1 AND coalesce(revoked_ms, expires_ms) < ?", [
        beforeMs,
      ]);
    },
  };
}

function listedOf(row: TokenRow): ListedAccessToken {
  return {
    id: row.id,
    ownerId: row.owner_id,
    name: row.name,
    roles: rolesSchema.parse(JSON.parse(row.roles)),
    madeBy: row.made_by,
    madeMs: row.made_ms,
    expiresMs: row.expires_ms,
    usedMs: row.used_ms,
    revokedMs: row.revoked_ms,
  };
}
