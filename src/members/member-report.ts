// Warns the operator of rows in the members table that give fewer permissions than they say, for example because the policy has changed.
// The member only sees less data, without a message.
import { describeAddress } from "../lib/email-address.ts";
import { findMemberProblems } from "../policy/attributes.ts";
import type { Policy } from "../policy/model.ts";
import type { MemberStore } from "./member-store.ts";

/** What the report needs. */
interface MemberReportOptions {
  readonly policy: Policy;
  readonly members: Pick<MemberStore, "list">;
  readonly log: (line: string) => void;
}

/** The maximum of lines in one report, because a changed policy can make every row wrong and must not flood the log. */
const MAX_LINES = 50;

/** Logs one line per problem, each starting with the code `member_ineffective`. No line contains the value of an attribute. */
export async function reportMemberProblems({ policy, members, log }: MemberReportOptions): Promise<void> {
  const lines = (await members.list()).flatMap((member) =>
    findMemberProblems(policy, member).map(
      (problem) => `member_ineffective: ${describeAddress(member.email)}: ${problem}`,
    ),
  );
  for (const line of lines.slice(0, MAX_LINES)) log(line);
  if (lines.length > MAX_LINES)
    log(`member_ineffective: ${lines.length - MAX_LINES} more; npm run policy -- check lists all.`);
}
