// The members table as commands read it: through wrangler, on this machine or in the deployment.
import { memberProblems } from "../src/policy/attributes.ts";
import type { Policy } from "../src/policy/model.ts";
import { describeAddress } from "../src/lib/email-address.ts";
import { escapeInvisible } from "../src/lib/visible-text.ts";
import { MEMBER_COLUMNS, readMemberRow } from "../src/storage/member-row.ts";
import type { ListedMember } from "../src/storage/member-row.ts";
import { hasLocalState, openOwnDatabase } from "./own-database.ts";
import type { DatabaseChoice, OwnDatabase } from "./own-database.ts";

/** Members that have anything, in order of their addresses; with `email` only the row of exactly this spelling. */
export async function readMembers({ run }: Pick<OwnDatabase, "run">, email?: string): Promise<readonly ListedMember[]> {
  const rows = await run({
    sql: `SELECT ${MEMBER_COLUMNS} FROM member WHERE (roles <> '{}' OR attributes <> '{}')${email === undefined ? "" : " AND email = ?1"} ORDER BY email`,
    values: email === undefined ? [] : [email],
  });
  return rows.map(readMemberRow);
}

/** The members table, or why it was not read. */
export type ReadTable =
  | { readonly kind: "read"; readonly members: readonly ListedMember[] }
  | { readonly kind: "unread"; readonly reason: string };

/**
 * For commands that can do without the table: a policy is also reviewed where there is no database, such as in CI. Throws when a
 * database was asked for and cannot be read.
 */
export async function readMembersIfThere(choice: DatabaseChoice): Promise<ReadTable> {
  const isAskedFor = choice.local || choice.remote;
  if (!isAskedFor && !hasLocalState())
    return { kind: "unread", reason: "there is no database on this machine yet; --remote reads the deployment's" };
  try {
    return { kind: "read", members: await readMembers(await openOwnDatabase(choice)) };
  } catch (error) {
    if (isAskedFor) throw error;
    // The state of this machine may be of an older version, or of another policy.
    return { kind: "unread", reason: "the database on this machine cannot be read; --local says why" };
  }
}

/** What is wrong with stored members, one line for each problem. */
export function problemLines(policy: Policy, members: readonly ListedMember[]): readonly string[] {
  return members.flatMap((member) =>
    memberProblems(policy, member).map((problem) =>
      escapeInvisible(`${describeAddress(member.email)} in the members table: ${problem}`),
    ),
  );
}
