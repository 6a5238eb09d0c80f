// The table `personal_access_token` in GATEHOUSE_DB. It stores a hash of each token and never its text. It also holds which ended tokens
// still have sessions to end.
import { openStatements } from "../lib/statement-store.ts";
import * as z from "zod";
import { insertPat, countPatsMadeToday, revokePat } from "./pat-statements.ts";
import type { PatCaps, NewPat } from "./pat-statements.ts";
import { parseGroups } from "../members/member-store.ts";

/** A stored personal access token. */
export interface ListedPat {
  readonly id: string;
  readonly ownerId: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly madeBy: string;
  readonly madeMs: number;
  readonly expiresMs: number;
  /** The last use, at most a minute old; null when it was never used. */
  readonly usedMs: number | null;
  readonly revokedMs: number | null;
}

/** A personal access token that a program presented, with its owner. */
export interface PresentedPat extends ListedPat {
  /** The owner's email and groups when they were last seen. */
  readonly ownerEmail: string;
  readonly ownerGroups: readonly string[];
  /** When the owner was last seen with a sign-in of their own. Uses of their personal access tokens do not count. */
  readonly ownerSeenMs: number;
  /** The reasons for which a use after the token's end is already recorded. */
  readonly recordedRefusals: readonly string[];
}

/** A personal access token with its owner's email address; null when the owner is no longer known. */
export interface OwnedPat extends ListedPat {
  readonly ownerEmail: string | null;
}

/** A personal access token that has ended, but whose sessions have not. */
interface EndedPat {
  readonly id: string;
  readonly ownerId: string;
}

/** The result of `PatStore.add`. When a cap is reached, `madeToday` is the number of tokens created for the owner on this UTC day. */
type AddPatResult = { readonly ok: true } | { readonly ok: false; readonly madeToday: number };

/** Stores personal access tokens. */
export interface PatStore {
  /** Finds the token with this hash, even if it has ended. */
  findByHash(hash: string): Promise<PresentedPat | undefined>;
  /** Adds a token unless its owner has reached a cap. */
  add(pat: NewPat, caps: PatCaps): Promise<AddPatResult>;
  /** Lists the tokens of an owner, newest first. */
  list(ownerId: string): Promise<readonly ListedPat[]>;
  /** Lists the tokens of all owners with the owners' email addresses, newest first. */
  listAll(): Promise<readonly OwnedPat[]>;
  /** Revokes a token of this owner, or of any owner when `ownerId` is null. False when there is no such token, or it is already revoked. */
  revoke(id: string, ownerId: string | null, by: string, nowMs: number): Promise<boolean>;
  /** Revokes all tokens of an owner, when their account at the identity provider has ended. */
  revokeAll(ownerId: string, by: string, nowMs: number): Promise<void>;
  /** Stores the time of a use. */
  touch(id: string, nowMs: number): Promise<void>;
  /** Stores that a use of the ended token was recorded for this reason. */
  markRefusalRecorded(id: string, reason: string): Promise<void>;
  /** Lists at most `limit` tokens that were revoked or have expired and whose sessions have not been ended. */
  listPendingEnds(nowMs: number, limit: number): Promise<readonly EndedPat[]>;
  /** Stores that the sessions of an ended token have been ended. */
  markEndPropagated(id: string): Promise<void>;
  /** Deletes the tokens that ended before a time. */
  purge(beforeMs: number): Promise<void>;
}

interface PatRow {
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

interface PresentedPatRow extends PatRow {
  readonly recorded_refusals: string;
  readonly email: string;
  readonly groups: string;
  readonly seen_ms: number;
}

const COLUMNS = "id, owner_id, name, roles, made_by, made_ms, expires_ms, used_ms, revoked_ms";
/** The same columns of the table under the alias `t`. */
const PAT_COLUMNS = COLUMNS.replaceAll(/\w+/g, "t.$&");
const rolesSchema = z.array(z.string());
const refusalsSchema = z.array(z.string());

/** Creates the store over GATEHOUSE_DB. */
export function openPatStore(database: D1Database): PatStore {
  const { run } = openStatements(database);
  return {
    async findByHash(hash) {
      const row = await database
        .prepare(
          `SELECT ${PAT_COLUMNS}, t.recorded_refusals, s.email, s.groups, s.seen_ms
            FROM personal_access_token AS t JOIN subject AS s ON s.subject_id = t.owner_id WHERE t.hash = ?`,
        )
        .bind(hash)
        .first<PresentedPatRow>();
      if (row === null) return undefined;
      const { email: ownerEmail, groups, seen_ms: ownerSeenMs } = row;
      const recordedRefusals = refusalsSchema.parse(JSON.parse(row.recorded_refusals));
      return { ...toListedPat(row), ownerEmail, ownerGroups: parseGroups(groups), ownerSeenMs, recordedRefusals };
    },
    async add(pat, caps) {
      const { sql, values } = insertPat(pat, caps);
      if ((await run(sql, ...values)) > 0) return { ok: true };
      const countStatement = countPatsMadeToday(pat.ownerId, pat.nowMs);
      const row = await database
        .prepare(countStatement.sql)
        .bind(...countStatement.values)
        .first<{ made: number }>();
      return { ok: false, madeToday: row?.made ?? 0 };
    },
    async list(ownerId) {
      const { results } = await database
        .prepare(`SELECT ${COLUMNS} FROM personal_access_token WHERE owner_id = ? ORDER BY made_ms DESC, id`)
        .bind(ownerId)
        .all<PatRow>();
      return results.map(toListedPat);
    },
    async listAll() {
      const { results } = await database
        .prepare(
          `SELECT ${PAT_COLUMNS}, s.email FROM personal_access_token AS t
            LEFT JOIN subject AS s ON s.subject_id = t.owner_id ORDER BY t.made_ms DESC, t.id`,
        )
        .all<PatRow & { email: string | null }>();
      return results.map((row) => ({ ...toListedPat(row), ownerEmail: row.email }));
    },
    async revoke(id, ownerId, by, nowMs) {
      const { sql, values } = revokePat(id, ownerId, by, nowMs);
      return (await run(sql, ...values)) > 0;
    },
    async revokeAll(ownerId, by, nowMs) {
      await run(
        "UPDATE personal_access_token SET revoked_ms = ?3, revoked_by = ?2 WHERE owner_id = ?1 AND revoked_ms IS NULL",
        ownerId,
        by,
        nowMs,
      );
    },
    async touch(id, nowMs) {
      await run("UPDATE personal_access_token SET used_ms = ?2 WHERE id = ?1", id, nowMs);
    },
    async markRefusalRecorded(id, reason) {
      await run(
        `UPDATE personal_access_token SET recorded_refusals = json_insert(recorded_refusals, '$[#]', ?2)
          WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM json_each(recorded_refusals) WHERE value = ?2)`,
        id,
        reason,
      );
    },
    async listPendingEnds(nowMs, limit) {
      const { results } = await database
        .prepare(
          `SELECT id, owner_id FROM personal_access_token
            WHERE is_end_propagated = 0 AND (revoked_ms IS NOT NULL OR expires_ms <= ?) LIMIT ?`,
        )
        .bind(nowMs, limit)
        .all<{ id: string; owner_id: string }>();
      return results.map(({ id, owner_id: ownerId }) => ({ id, ownerId }));
    },
    async markEndPropagated(id) {
      await run("UPDATE personal_access_token SET is_end_propagated = 1 WHERE id = ?", id);
    },
    async purge(beforeMs) {
      await run(
        "DELETE FROM personal_access_token WHERE is_end_propagated = 1 AND coalesce(revoked_ms, expires_ms) < ?",
        beforeMs,
      );
    },
  };
}

function toListedPat(row: PatRow): ListedPat {
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
