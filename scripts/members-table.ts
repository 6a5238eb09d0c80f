// Reads the members table for commands, through wrangler, on this machine or in the deployment.
import { findMemberProblems } from "../src/policy/attributes.ts";
import type { Policy } from "../src/policy/model.ts";
import { describeAddress } from "../src/lib/email-address.ts";
import { escapeInvisible } from "../src/lib/visible-text.ts";
import { MEMBER_COLUMNS, readMemberRow } from "../src/members/member-row.ts";
import type { ListedMember } from "../src/members/member-row.ts";
import { hasLocalState, openOwnDatabase } from "./own-database.ts";
import type { DatabaseChoice, OwnDatabase } from "./own-database.ts";

/** Lists members with any role or attribute, by address. With `email`, only the row in exactly this spelling. */
export async function readMembers({ run }: Pick<OwnDatabase, "run">, email?: string): Promise<readonly ListedMember[]> {
  const isWanted = email === undefined ? "" : " AND email = ?1";
  const rows = await run({
    sql: `SELECT ${MEMBER_COLUMNS} FROM member WHERE (roles <> '{}' OR attributes <> '{}')${isWanted} ORDER BY email`,
    values: email === undefined ? [] : [email],
  });
  return rows.map(readMemberRow);
}

/** The members table, or why it was not read. */
export type ReadTable =
  | { readonly kind: "read"; readonly members: readonly ListedMember[] }
  | { readonly kind: "unread"; readonly reason: string };

/**
 * Reads the members table for commands that also work without it: policies are reviewed in places without a database, such as CI. Throws
 * when an option asks for a database that cannot be read.
 */
export async function readMembersIfThere(choice: DatabaseChoice): Promise<ReadTable> {
  const isAskedFor = choice.local || choice.remote;
  if (!isAskedFor && !hasLocalState())
    return { kind: "unread", reason: "there is no local database yet; --remote reads the deployment's" };
  try {
    return { kind: "read", members: await readMembers(await openOwnDatabase(choice)) };
  } catch (error) {
    if (isAskedFor) throw error;
    // The local state may be from an older version or another policy.
    return { kind: "unread", reason: "the local database cannot be read; --local says why" };
  }
}

/** Describes what is wrong with stored members, one line for each problem. */
export function problemLines(policy: Policy, members: readonly ListedMember[]): readonly string[] {
  return members.flatMap((member) =>
    findMemberProblems(policy, member).map((problem) =>
      escapeInvisible(`${describeAddress(member.email)} in the members table: ${problem}`),
    ),
  );
}
