// Access tokens for programs: what is kept of them, and which have ended without their sessions knowing. The text of a token is
// nowhere; it is found by its hash.
import * as z from "zod";
import { addAccessToken, countMadeToday, revokeAccessToken } from "./access-token-statements.ts";
import type { AccessTokenCaps, NewAccessToken } from "./access-token-statements.ts";
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
  /** The reasons for which a use of the token after its end is in the record. */
  readonly recordedRefusals: readonly string[];
}

/** An access token that has ended. */
export interface EndedAccessToken {
  readonly id: string;
  readonly ownerId: string;
}

/** `madeToday`: how many the owner has made on this UTC day; a token was not added when it is at a cap, or too many are usable. */
export type AddedAccessToken = { readonly ok: true } | { readonly ok: false; readonly madeToday: number };

export interface AccessTokens {
  /** The token of this hash, also one that has ended. */
  find(hash: string): Promise<PresentedAccessToken | undefined>;
  /** Adds one unless the owner has reached a cap. */
  add(token: NewAccessToken, caps: AccessTokenCaps): Promise<AddedAccessToken>;
  /** Of one owner, newest first. */
  list(ownerId: string): Promise<readonly ListedAccessToken[]>;
  /** False when the owner has no such token that is not revoked. */
  revoke(id: string, ownerId: string, by: string, nowMs: number): Promise<boolean>;
  /** Ends all tokens of an owner, for one whose account has ended. */
  revokeAll(ownerId: string, by: string, nowMs: number): Promise<void>;
  touch(id: string, nowMs: number): Promise<void>;
  /** Notes that a use of the ended token is in the record for this reason. */
  markRefusalRecorded(id: string, reason: string): Promise<void>;
  /** Those that were revoked or expired, and whose sessions have not been ended. */
  untoldEnds(nowMs: number, limit: number): Promise<readonly EndedAccessToken[]>;
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
  readonly recorded_refusals: string;
  readonly email: string;
  readonly groups: string;
  readonly seen_ms: number;
}

const COLUMNS = "id, owner_id, name, roles, made_by, made_ms, expires_ms, used_ms, revoked_ms";
const rolesSchema = z.array(z.string());
const refusalsSchema = z.array(z.string());

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
            )}, t.recorded_refusals, s.email, s.groups, s.seen_ms FROM access_token AS t JOIN subject AS s ON s.subject_id = t.owner_id WHERE t.hash = ?`,
        )
        .bind(hash)
        .first<PresentedRow>();
      if (row === null) return undefined;
      const { email: ownerEmail, groups, seen_ms: ownerSeenMs } = row;
      const recordedRefusals = refusalsSchema.parse(JSON.parse(row.recorded_refusals));
      return { ...listedOf(row), ownerEmail, ownerGroups: parseGroups(groups), ownerSeenMs, recordedRefusals };
    },
    async add(token, caps) {
      const { sql, values } = addAccessToken(token, caps);
      if ((await change(sql, values)) > 0) return { ok: true };
      const counted = countMadeToday(token.ownerId, token.nowMs);
      const row = await database
        .prepare(counted.sql)
        .bind(...counted.values)
        .first<{ made: number }>();
      return { ok: false, madeToday: row?.made ?? 0 };
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
    async markRefusalRecorded(id, reason) {
      await change(
        `UPDATE access_token SET recorded_refusals = json_insert(recorded_refusals, '$[#]', ?2)
 WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM json_each(recorded_refusals) WHERE value = ?2)`,
        [id, reason],
      );
    },
    async untoldEnds(nowMs, limit) {
      const { results } = await database
        .prepare(
          "SELECT id, owner_id FROM access_token WHERE is_end_told = 0 AND (revoked_ms IS NOT NULL OR expires_ms <= ?) LIMIT ?",
        )
        .bind(nowMs, limit)
        .all<{ id: string; owner_id: string }>();
      return results.map(({ id, owner_id: ownerId }) => ({ id, ownerId }));
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
