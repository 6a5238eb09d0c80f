// The tables `setup` and `setup_attempt` in GATEHOUSE_DB. The setup code can be used once, and never after an administering role was held
// or an operator voided it. One row closes setup permanently; nothing opens it again.
import * as z from "zod";
import { ROLE_HOLDER_SQL } from "./member-store.ts";
import { closeSetup } from "./setup-statements.ts";
import type { SetupClosing } from "./setup-statements.ts";

/** The roles of the policy that have `administers: true`, and how groups give them. */
interface AdministeringNames {
  readonly roles: readonly string[];
  /** The groups of the identity provider that give one of the roles. */
  readonly groups: readonly string[];
}

/** The attempts of the last hour, compared with the limits. */
interface CountedAttempt {
  /** This user has made too many attempts. The new one was not counted. */
  readonly isOverUserLimit: boolean;
  /** All users together have made too many attempts. */
  readonly isOverTotalLimit: boolean;
}

const closingSchema = z.object({ used_ms: z.number(), reason: z.enum(["used", "held", "voided"]) });

/** When and why setup was closed. */
export interface StoredClosing {
  readonly closedMs: number;
  /** `used`: a user entered the code. For the others see `SetupClosing`. */
  readonly reason: z.output<typeof closingSchema>["reason"];
}

/** Stores the state of setup. */
export interface SetupStore {
  isClosed(): Promise<boolean>;
  /** Finds when and why setup was closed; undefined while it is open. */
  findClosing(): Promise<StoredClosing | undefined>;
  /** Closes setup permanently. Repeating it changes nothing. */
  close(closing: SetupClosing): Promise<void>;
  /** Whether the members table, or a group of a user who has signed in, gives one of the roles now. */
  isRoleHeld(names: AdministeringNames): Promise<boolean>;
  /** Counts an attempt of this user, unless the user made too many in the last hour. */
  countAttempt(subjectId: string, nowMs: number): Promise<CountedAttempt>;
  /** Closes setup and gives the roles in one transaction. False when setup is closed or an administering role is held. */
  claim(claim: SetupClaim): Promise<boolean>;
}

/** The claim of a user who entered the code. */
interface SetupClaim {
  readonly subjectId: string;
  /** Normalized. */
  readonly email: string;
  readonly names: AdministeringNames;
  readonly nowMs: number;
}

/** The most attempts of one user, and of all users together, in an hour. */
const MAX_ATTEMPTS_PER_USER = 5;
const MAX_ATTEMPTS_TOTAL = 50;
const HOUR_MS = 3_600_000;

/**
 * Selects a row when a user who has signed in is in one of the groups of a JSON array. Groups are compared exactly, as in the policy, but
 * a group that is an email address without regard to case.
 */
const GROUP_MEMBER_SQL = `SELECT 1 FROM subject, json_each(subject.groups) AS stored, json_each(?) AS administering
  WHERE subject.owner_id IS NULL AND (
    stored.value = administering.value
    OR (instr(stored.value, '@') > 0 AND lower(stored.value) = lower(administering.value))
  )
  LIMIT 1`;

/** Creates the store over GATEHOUSE_DB. */
export function openSetupStore(database: D1Database): SetupStore {
  return {
    isClosed: async () => (await database.prepare("SELECT 1 FROM setup").first()) !== null,
    async findClosing() {
      const row = await database.prepare("SELECT used_ms, reason FROM setup").first();
      if (row === null) return undefined;
      const { used_ms: closedMs, reason } = closingSchema.parse(row);
      return { closedMs, reason };
    },
    async close(closing) {
      const { sql, values } = closeSetup(closing);
      await database
        .prepare(sql)
        .bind(...values)
        .run();
    },
    async isRoleHeld({ roles, groups }) {
      const lookups = await database.batch([
        database.prepare(ROLE_HOLDER_SQL).bind(JSON.stringify(roles)),
        database.prepare(GROUP_MEMBER_SQL).bind(JSON.stringify(groups)),
      ]);
      return lookups.some(({ results }) => results.length > 0);
    },
    async countAttempt(subjectId, nowMs) {
      const [, userAttempts, allAttempts] = await database.batch<{ tries: number }>([
        database.prepare("DELETE FROM setup_attempt WHERE at_ms <= ?").bind(nowMs - HOUR_MS),
        database
          .prepare(
            `INSERT INTO setup_attempt (subject_id, at_ms) SELECT ?1, ?2
              WHERE (SELECT count(*) FROM setup_attempt WHERE subject_id = ?1) < ?3`,
          )
          .bind(subjectId, nowMs, MAX_ATTEMPTS_PER_USER),
        database.prepare("SELECT count(*) AS tries FROM setup_attempt"),
      ]);
      return {
        isOverUserLimit: (userAttempts?.meta.changes ?? 0) === 0,
        isOverTotalLimit: (allAttempts?.results[0]?.tries ?? 0) > MAX_ATTEMPTS_TOTAL,
      };
    },
    async claim({ subjectId, email, names: { roles, groups }, nowMs }) {
      const roleGrants = Object.fromEntries(roles.map((role) => [role, { by: "set-up code", atMs: nowMs }]));
      // The second statement gives the roles only if the first one claimed setup in this transaction.
      const [claimed] = await database.batch([
        database
          .prepare(
            `INSERT INTO setup (id, used_by, used_ms, reason) SELECT 1, ?1, ?2, 'used'
              WHERE NOT EXISTS (SELECT 1 FROM setup)
                AND NOT EXISTS (${ROLE_HOLDER_SQL.replace("?", "?3")})
                AND NOT EXISTS (${GROUP_MEMBER_SQL.replace("?", "?4")})`,
          )
          .bind(subjectId, nowMs, JSON.stringify(roles), JSON.stringify(groups)),
        database
          .prepare(
            `INSERT INTO member (email, roles, changed_by, changed_ms)
              SELECT ?1, ?2, 'set-up code', ?3
              WHERE EXISTS (SELECT 1 FROM setup WHERE used_by = ?4 AND used_ms = ?3 AND reason = 'used')
              ON CONFLICT (email) DO UPDATE SET
                roles = json_patch(roles, excluded.roles), changed_by = excluded.changed_by,
                changed_ms = excluded.changed_ms, version = version + 1`,
          )
          .bind(email, JSON.stringify(roleGrants), nowMs, subjectId),
      ]);
      return (claimed?.meta.changes ?? 0) > 0;
    },
  };
}
