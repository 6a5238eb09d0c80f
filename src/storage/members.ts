// The members table: roles and attributes by email, besides those of the policy file, and which subjects have been here. Ledgers
// hold copies; what they have not been told of yet is found by `untold`.
import * as z from "zod";
import type { MemberRecord } from "../policy/model.ts";
import { MEMBER_COLUMNS, readMemberRow } from "./member-row.ts";
import type { ListedMember } from "./member-row.ts";
import type { Change } from "./member-statements.ts";

/** A member with the version that tells newer from older. */
export interface MemberVersion extends MemberRecord {
  /** 0 for who is not in the table. */
  readonly version: number;
}

/** A person whose ledger holds a copy. */
export interface KnownSubject {
  readonly subjectId: string;
  /** In its one spelling. */
  readonly email: string;
  readonly groups: readonly string[];
  readonly seenMs: number;
}

export interface UntoldMember extends MemberVersion {
  readonly email: string;
  readonly changedBy: string;
}

export interface Members {
  /** Notes that the subject has been here and returns the member of their email as it is now, in one transaction. */
  know(subject: KnownSubject): Promise<MemberVersion>;
  /** The member of this email as it is now. */
  read(email: string): Promise<MemberVersion>;
  /** In order of their emails. */
  list(): Promise<readonly ListedMember[]>;
  find(email: string): Promise<ListedMember | undefined>;
  apply(change: Change): Promise<void>;
  /** Members whose last change has not reached every ledger, at most `limit`. */
  untold(limit: number): Promise<readonly UntoldMember[]>;
  /** The people with this email. Their access tokens have no ledgers of their own. */
  subjectsOf(email: string): Promise<readonly KnownSubject[]>;
  markTold(email: string, version: number): Promise<void>;
}

interface SubjectRow {
  readonly subject_id: string;
  readonly email: string;
  readonly groups: string;
  readonly seen_ms: number;
}

const LISTED = `SELECT ${MEMBER_COLUMNS} FROM member`;

export function openMembers(database: D1Database): Members {
  return {
    async know({ subjectId, email, groups, seenMs }) {
      // One transaction: a change after it finds the subject, a change before it is read.
      const [, read] = await database.batch([
        database
          .prepare(
            `INSERT INTO subject (subject_id, email, groups, seen_ms) VALUES (?, ?, ?, ?)
 ON CONFLICT (subject_id) DO UPDATE SET email = excluded.email, groups = excluded.groups, seen_ms = excluded.seen_ms`,
          )
          .bind(subjectId, email, JSON.stringify(groups), seenMs),
        database.prepare(`${LISTED} WHERE email = ?`).bind(email),
      ]);
      return versionOf(read?.results[0]);
    },
    async read(email) {
      const row = await database.prepare(`${LISTED} WHERE email = ?`).bind(email).first();
      return versionOf(row);
    },
    async list() {
      const { results } = await database
        .prepare(`${LISTED} WHERE roles <> '{}' OR attributes <> '{}' ORDER BY email`)
        .all();
      return results.map(readMemberRow);
    },
    async find(email) {
      const row = await database.prepare(`${LISTED} WHERE email = ?`).bind(email).first();
      return row === null ? undefined : readMemberRow(row);
    },
    async apply({ sql, values }) {
      await database
        .prepare(sql)
        .bind(...values)
        .run();
    },
    async untold(limit) {
      const { results } = await database.prepare(`${LISTED} WHERE told_version < version LIMIT ?`).bind(limit).all();
      return results.map((row) => {
        const { email, changedBy } = readMemberRow(row);
        return { email, changedBy, ...versionOf(row) };
      });
    },
    async subjectsOf(email) {
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
    async markTold(email, version) {
      await database
        .prepare("UPDATE member SET told_version = ?2 WHERE email = ?1 AND told_version < ?2")
        .bind(email, version)
        .run();
    },
  };
}

/** Whether anybody in the table holds one of the roles of a JSON array. */
export const HOLDER =
  "SELECT 1 FROM member, json_each(member.roles) AS held WHERE held.key IN (SELECT value FROM json_each(?)) LIMIT 1";

/** Parses the groups of a subject. */
export function parseGroups(text: string): readonly string[] {
  return z.array(z.string()).parse(JSON.parse(text));
}

function versionOf(row: unknown): MemberVersion {
  if (row === undefined || row === null) return { roles: [], attributes: {}, version: 0 };
  const { roles, attributes, version } = readMemberRow(row);
  return { roles: roles.map(({ role }) => role), attributes, version };
}
