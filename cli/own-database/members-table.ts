// Reads the members table for commands, on this machine or in the deployment.
import { findMemberProblems } from "../../src/policy/attributes.ts";
import type { Policy } from "../../src/policy/model.ts";
import { describeAddress } from "../../src/lib/email-address.ts";
import { escapeInvisible } from "../../src/lib/visible-text.ts";
import type { ListedMember } from "../../src/members/member-row.ts";
import { hasLocalState } from "../project/state-folder.ts";
import { withOwnDatabase } from "./own-database.ts";
import type { DatabaseChoice } from "./own-database.ts";

/** The members table, or why it was not read. */
export type ReadTable =
  | { readonly kind: "read"; readonly members: readonly ListedMember[] }
  | { readonly kind: "unread"; readonly reason: string };

/**
 * Reads the members table for commands that also work without it: policies are reviewed in places without a database, such as CI. Throws
 * when an option asks for a database that cannot be read.
 */
export async function readMembersIfThere(choice: DatabaseChoice): Promise<ReadTable> {
  const isAskedFor = choice.local === true || choice.remote === true;
  if (!isAskedFor && !hasLocalState())
    return { kind: "unread", reason: "there is no local database yet; --remote reads the deployment's" };
  try {
    return { kind: "read", members: await withOwnDatabase(choice, async ({ members }) => members.list()) };
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
