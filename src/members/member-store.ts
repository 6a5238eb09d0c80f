// The tables `member` and `subject` in GATEHOUSE_DB: roles and attributes by email, besides those of the policy file, and the users who
// have signed in. Ledgers hold copies of members; `listPending` finds the changes that they have not received.
import * as z from "zod";
import type { MemberRecord } from "../policy/model.ts";
import { MEMBER_COLUMNS, readMemberRow } from "./member-row.ts";
import type { ListedMember } from "./member-row.ts";
import type { SqlStatement } from "./member-statements.ts";
import { parsePauseSnapshot, selectPauses } from "./pause-statements.ts";
import type { PauseSnapshot } from "../audit/pause-model.ts";

/** A member with its version, which increases with every change. */
export interface MemberVersion extends MemberRecord {
  /** 0 for an email that is not in the table. */
  readonly version: number;
}

/** A member with the pauses that concern their ledger, read in one transaction. */
export interface DirectoryEntry extends MemberVersion {
  readonly pauses: PauseSnapshot;
}

/** A user who has signed in, so that their ledger may hold a copy of their member. */
export interface RegisteredSubject {
  readonly subjectId: string;
  /** Normalized. */
  readonly email: string;
  readonly groups: readonly string[];
  /** When the user last used a sign-in, at most some hours old. */
  readonly seenMs: number;
}

/** A member whose last change has not reached every ledger. */
export interface PendingMember extends MemberVersion {
  readonly email: string;
  readonly changedBy: string;
}

/** Reads and changes members. */
export interface MemberStore {
  /** Registers the subject and returns the current member of their email and the pauses of their ledger, in one transaction. */
  registerSubject(subject: RegisteredSubject): Promise<DirectoryEntry>;
  /** Reads what `registerSubject` returns. */
  readForLedger(email: string, ownerId: string): Promise<DirectoryEntry>;
  /** Registers the subject of a sign-in, unless it is registered with this address: its ledger then keeps the row current. */
  registerSignIn(subject: RegisteredSubject): Promise<void>;
  /** Reads the current member of an email. Version 0 when there is none. */
  read(email: string): Promise<MemberVersion>;
  /** Lists the members who have roles or attributes, ordered by email. */
  list(): Promise<readonly ListedMember[]>;
  find(email: string): Promise<ListedMember | undefined>;
  applyChange(change: SqlStatement): Promise<void>;
  /** Lists at most `limit` members whose last change has not reached every ledger. */
  listPending(limit: number): Promise<readonly PendingMember[]>;
  /** Lists the users with this email. Personal access tokens are not among them: they have no ledgers. */
  listSubjects(email: string): Promise<readonly RegisteredSubject[]>;
  /** Finds a user who has signed in, unless their address was erased. */
  findSubject(subjectId: string): Promise<Pick<RegisteredSubject, "email" | "groups"> | undefined>;
  /** Lists the email address of every user who has signed in, by subject id. */
  listAddresses(): Promise<ReadonlyMap<string, string>>;
  /** Marks a version as propagated to every ledger. */
  markPropagated(email: string, version: number): Promise<void>;
}

interface SubjectRow {
  readonly subject_id: string;
  readonly email: string;
  readonly groups: string;
  readonly seen_ms: number;
}

const SELECT_MEMBER = `SELECT ${MEMBER_COLUMNS} FROM member`;

/** Creates the store over GATEHOUSE_DB. */
export function openMemberStore(database: D1Database): MemberStore {
  const prepare = ({ sql, values }: SqlStatement): D1PreparedStatement => database.prepare(sql).bind(...values);
  const selectMember = (email: string): D1PreparedStatement =>
    prepare({ sql: `${SELECT_MEMBER} WHERE email = ?`, values: [email] });
  return {
    async registerSubject({ subjectId, email, groups, seenMs }) {
      // One transaction: a later change finds the subject to propagate to, and an earlier change is in the returned member.
      const [, memberRows, pauseRows] = await database.batch([
        database
          .prepare(
            `INSERT INTO subject (subject_id, email, groups, seen_ms) VALUES (?, ?, ?, ?)
              ON CONFLICT (subject_id) DO UPDATE SET email = excluded.email, groups = excluded.groups, seen_ms = excluded.seen_ms`,
          )
          .bind(subjectId, email, JSON.stringify(groups), seenMs),
        selectMember(email),
        prepare(selectPauses(email, subjectId)),
      ]);
      return toEntry(memberRows, pauseRows);
    },
    async readForLedger(email, ownerId) {
      const [memberRows, pauseRows] = await database.batch([
        selectMember(email),
        prepare(selectPauses(email, ownerId)),
      ]);
      return toEntry(memberRows, pauseRows);
    },
    async registerSignIn({ subjectId, email, groups, seenMs }) {
      await database
        .prepare(
          `INSERT INTO subject (subject_id, email, groups, seen_ms) VALUES (?, ?, ?, ?)
            ON CONFLICT (subject_id) DO UPDATE SET email = excluded.email, groups = excluded.groups, seen_ms = excluded.seen_ms
              WHERE email <> excluded.email`,
        )
        .bind(subjectId, email, JSON.stringify(groups), seenMs)
        .run();
    },
    async read(email) {
      return toMemberVersion(await selectMember(email).first());
    },
    async list() {
      const { results } = await database
        .prepare(`${SELECT_MEMBER} WHERE roles <> '{}' OR attributes <> '{}' ORDER BY email`)
        .all();
      return results.map(readMemberRow);
    },
    async find(email) {
      const row = await selectMember(email).first();
      return row === null ? undefined : readMemberRow(row);
    },
    async applyChange(change) {
      await prepare(change).run();
    },
    async listPending(limit) {
      const { results } = await database
        .prepare(`${SELECT_MEMBER} WHERE propagated_version < version LIMIT ?`)
        .bind(limit)
        .all();
      return results.map((row) => {
        const { email, changedBy } = readMemberRow(row);
        return { email, changedBy, ...toMemberVersion(row) };
      });
    },
    async listSubjects(email) {
      const { results } = await database
        .prepare("SELECT subject_id, email, groups, seen_ms FROM subject WHERE email = ? AND owner_id IS NULL")
        .bind(email)
        .all<SubjectRow>();
      return results.map((row) => ({
        subjectId: row.subject_id,
        email: row.email,
        groups: parseGroups(row.groups),
        seenMs: row.seen_ms,
      }));
    },
    async findSubject(subjectId) {
      const row = await database
        .prepare("SELECT email, groups FROM subject WHERE subject_id = ? AND owner_id IS NULL AND email <> ''")
        .bind(subjectId)
        .first<Pick<SubjectRow, "email" | "groups">>();
      return row === null ? undefined : { email: row.email, groups: parseGroups(row.groups) };
    },
    async listAddresses() {
      const { results } = await database
        .prepare("SELECT subject_id, email FROM subject WHERE email <> ''")
        .all<{ subject_id: string; email: string }>();
      return new Map(results.map((row) => [row.subject_id, row.email]));
    },
    async markPropagated(email, version) {
      await database
        .prepare("UPDATE member SET propagated_version = ?2 WHERE email = ?1 AND propagated_version < ?2")
        .bind(email, version)
        .run();
    },
  };
}

/** Selects a row when any member holds one of the roles of a JSON array. */
export const ROLE_HOLDER_SQL =
  "SELECT 1 FROM member, json_each(member.roles) AS held WHERE held.key IN (SELECT value FROM json_each(?)) LIMIT 1";

/** Parses the groups of a subject. */
export function parseGroups(text: string): readonly string[] {
  return z.array(z.string()).parse(JSON.parse(text));
}

function toEntry(memberRows: D1Result | undefined, pauseRows: D1Result | undefined): DirectoryEntry {
  return { ...toMemberVersion(memberRows?.results[0]), pauses: parsePauseSnapshot(pauseRows?.results[0]) };
}

function toMemberVersion(row: unknown): MemberVersion {
  if (row === undefined || row === null) return { roles: [], attributes: {}, version: 0 };
  const { roles, attributes, version } = readMemberRow(row);
  return { roles: roles.map(({ role }) => role), attributes, version };
}
