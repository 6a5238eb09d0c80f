// Whether the set-up code can still be used: at most once, never after an administering role was held, and never after it was
// voided. One row closes set-up for good; nothing opens it again.
import { HOLDER } from "./members.ts";
import { closeSetup } from "./setup-statements.ts";
import type { SetupClosing } from "./setup-statements.ts";

/** What in the policy makes an administrator. */
export interface AdministeringNames {
  readonly roles: readonly string[];
  /** Groups of the identity provider that give one of the roles. */
  readonly groups: readonly string[];
}

/** What is known of the wrong codes of the last hour, with the try that is counted now. */
export interface CountedTry {
  /** This person has entered too many; the try was not counted. */
  readonly isOverOwn: boolean;
  /** All people together have entered too many. */
  readonly isOverTotal: boolean;
}

export interface Setup {
  isClosed(): Promise<boolean>;
  /** Closes set-up for good. Repeating it changes nothing. */
  close(closing: SetupClosing): Promise<void>;
  /** Whether the members table, or a group of a person who has signed in, gives one of the roles now. */
  isHeld(names: AdministeringNames): Promise<boolean>;
  /** Counts a try of this person, unless there were too many in the last hour. */
  countTry(subjectId: string, nowMs: number): Promise<CountedTry>;
  /** Closes set-up and gives the roles, in one transaction. False when it is closed, or an administering role is held. */
  claim(claim: Claim): Promise<boolean>;
}

export interface Claim {
  readonly subjectId: string;
  /** In its one spelling. */
  readonly email: string;
  readonly names: AdministeringNames;
  readonly nowMs: number;
}

/** Tries of one person, and of all, in an hour. */
const MAX_TRIES = 5;
const MAX_TRIES_OF_ALL = 50;
const HOUR_MS = 3_600_000;

/**
 * Whether a user who has signed in is in one of the groups of a JSON array. Compared exactly, as the policy does, but a group that is an
 * address may be stored in another spelling.
 */
const GROUP_MEMBER =
  "SELECT 1 FROM subject, json_each(subject.groups) AS told, json_each(?) AS wanted WHERE subject.owner_id IS NULL AND (told.value = wanted.value OR (instr(told.value, '@') > 0 AND lower(told.value) = lower(wanted.value))) LIMIT 1";

export function openSetup(database: D1Database): Setup {
  return {
    isClosed: async () => (await database.prepare("SELECT 1 FROM setup").first()) !== null,
    async close(closing) {
      const { sql, values } = closeSetup(closing);
      await database
        .prepare(sql)
        .bind(...values)
        .run();
    },
    async isHeld({ roles, groups }) {
      const found = await database.batch([
        database.prepare(HOLDER).bind(JSON.stringify(roles)),
        database.prepare(GROUP_MEMBER).bind(JSON.stringify(groups)),
      ]);
      return found.some(({ results }) => results.length > 0);
    },
    async countTry(subjectId, nowMs) {
      const [, counted, all] = await database.batch<{ tries: number }>([
        database.prepare("DELETE FROM setup_try WHERE at_ms <= ?").bind(nowMs - HOUR_MS),
        database
          .prepare(
            `INSERT INTO setup_try (subject_id, at_ms) SELECT ?1, ?2
 WHERE (SELECT count(*) FROM setup_try WHERE subject_id = ?1) < ?3`,
          )
          .bind(subjectId, nowMs, MAX_TRIES),
        database.prepare("SELECT count(*) AS tries FROM setup_try"),
      ]);
      return {
        isOverOwn: (counted?.meta.changes ?? 0) === 0,
        isOverTotal: (all?.results[0]?.tries ?? 0) > MAX_TRIES_OF_ALL,
      };
    },
    async claim({ subjectId, email, names: { roles, groups }, nowMs }) {
      const given = Object.fromEntries(roles.map((role) => [role, { by: "set-up code", atMs: nowMs }]));
      // The second statement writes only what the first one has claimed: at most one row of setup is ever there.
      const [claimed] = await database.batch([
        database
          .prepare(
            `INSERT INTO setup (id, used_by, used_ms, reason) SELECT 1, ?1, ?2, 'used'
 WHERE NOT EXISTS (SELECT 1 FROM setup) AND NOT EXISTS (${HOLDER.replace("?", "?3")}) AND NOT EXISTS (${GROUP_MEMBER.replace("?", "?4")})`,
          )
          .bind(subjectId, nowMs, JSON.stringify(roles), JSON.stringify(groups)),
        database
          .prepare(
            `INSERT INTO member (email, roles, changed_by, changed_ms) SELECT ?1, ?2, 'set-up code', ?3 WHERE EXISTS (SELECT 1 FROM setup WHERE used_by = ?4 AND used_ms = ?3 AND reason = 'used')
 ON CONFLICT (email) DO UPDATE SET roles = json_patch(roles, excluded.roles), changed_by = excluded.changed_by, changed_ms = excluded.changed_ms, version = version + 1`,
          )
          .bind(email, JSON.stringify(given), nowMs, subjectId),
      ]);
      return (claimed?.meta.changes ?? 0) > 0;
    },
  };
}
