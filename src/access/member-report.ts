// Tells the operator of rows in the members table that give less than they say, such as one that a change of the policy made wrong:
// who it is about only sees less, without any message.
import { describeAddress } from "../lib/email-address.ts";
import { memberProblems } from "../policy/attributes.ts";
import type { Policy } from "../policy/model.ts";
import type { Members } from "../storage/members.ts";

export interface MemberReport {
  readonly policy: Policy;
  readonly members: Pick<Members, "list">;
  readonly log: (line: string) => void;
}

/** Lines of one report at most: a policy that makes every row wrong must not flood the log. */
const MAX_LINES = 50;

/** Logs one line per problem, each beginning with the code `member_ineffective`. No line has a value of an attribute. */
export async function reportMemberProblems({ policy, members, log }: MemberReport): Promise<void> {
  const lines = (await members.list()).flatMap((member) =>
    memberProblems(policy, member).map((problem) => `member_ineffective: ${describeAddress(member.email)}: ${problem}`),
  );
  for (const line of lines.slice(0, MAX_LINES)) log(line);
  if (lines.length > MAX_LINES)
    log(`member_ineffective: ${lines.length - MAX_LINES} more; npm run policy -- check lists all.`);
}
