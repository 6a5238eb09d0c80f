// The set-up code's use: once, while nobody administers, and with few tries.
import { HOLDER } from "./members.ts";

export interface Setup {
  /** Whether it was used. */
  isUsed(): Promise<boolean>;
  /** Counts a try before it is looked at. False when there were too many: by this subject, or by all. */
  countTry(subjectId: string, nowMs: number): Promise<boolean>;
  /** Uses it up and gives the roles, in one transaction. False when it was used, or somebody holds one of them. */
  claim(claim: Claim): Promise<boolean>;
}

export interface Claim {
  readonly subjectId: string;
  /** In its one spelling. */
  readonly email: string;
  readonly roles: readonly string[];
  readonly nowMs: number;
}

/** Tries of one person, and of all, in an hour. */
const MAX_TRIES = 5;
const MAX_TRIES_OF_ALL = 50;
const HOUR_MS = 3_600_000;

export function openSetup(database: D1Database): Setup {
  return {
    isUsed: async () => (await database.prepare("SELECT 1 FROM setup").first()) !== null,
    async countTry(subjectId, nowMs) {
      const sinceMs = nowMs - HOUR_MS;
      const [, counted] = await database.batch([
        database.prepare("DELETE FROM setup_try WHERE at_ms <= ?").bind(sinceMs),
        database
          .prepare(
            `INSERT INTO setup_try (subject_id, at_ms) SELECT ?1, ?2
 WHERE (SELECT count(*) FROM setup_try WHERE subject_id = ?1) < ?3 AND (SELECT count(*) FROM setup_try) < ?4`,
          )
          .bind(subjectId, nowMs, MAX_TRIES, MAX_TRIES_OF_ALL),
      ]);
      return (counted?.meta.changes ?? 0) > 0;
    },
    async claim({ subjectId, email, roles, nowMs }) {
      const names = JSON.stringify(roles);
      const given = Object.fromEntries(roles.map((role) => [role, { by: "set-up code", atMs: nowMs }]));
      // The second statement writes only what the first one has claimed: at most one row of setup is ever there.
      const [claimed] = await database.batch([
        database
          .prepare(
            `INSERT INTO setup (id, used_by, used_ms) SELECT 1, ?1, ?2
 WHERE NOT EXISTS (SELECT 1 FROM setup) AND NOT EXISTS (${HOLDER.replace("?", "?3")})`,
          )
          .bind(subjectId, nowMs, names),
        database
          .prepare(
            `INSERT INTO member (email, roles, changed_by, changed_ms) SELECT ?1, ?2, 'set-up code', ?3 WHERE EXISTS (SELECT 1 FROM setup WHERE used_by = ?4 AND used_ms = ?3)
 ON CONFLICT (email) DO UPDATE SET roles = json_patch(roles, excluded.roles), changed_by = excluded.changed_by, changed_ms = excluded.changed_ms, version = version + 1`,
          )
          .bind(email, JSON.stringify(given), nowMs, subjectId),
      ]);
      return (claimed?.meta.changes ?? 0) > 0;
    },
  };
}
