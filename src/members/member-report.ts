// Warns the operator of rows in the members table that give fewer permissions than they say, for example because the policy has changed.
// The member only sees less data, without a message.
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

/**
 * Logs one line per kind of problem and how many members have it, each starting with the code `member_ineffective`. No line contains an
 * address or the value of an attribute: `policy check` lists the rows.
 */
export async function reportMemberProblems({ policy, members, log }: MemberReportOptions): Promise<void> {
  const problems = (await members.list()).flatMap((member) => findMemberProblems(policy, member));
  const lines = [...Map.groupBy(problems, (problem) => problem)].map(
    ([problem, { length }]) => `member_ineffective: members=${length}: ${problem}`,
  );
  for (const line of lines.slice(0, MAX_LINES)) log(line);
  if (lines.length > MAX_LINES)
    log(`member_ineffective: ${lines.length - MAX_LINES} more kinds; npm run policy -- check lists all.`);
}
