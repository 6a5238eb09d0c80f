// `gatehouse member remove <email>`: takes a user's roles and attributes in the members table, and ends all their access. What GATEHOUSE_DB
// knows ends at once; the rest is in Durable Objects, which no command can reach, so the deployment ends it and stores what it was.
import { describeAddress } from "../../src/lib/email-address.ts";
import { newId } from "../../src/lib/ids.ts";
import { describeHeld } from "../../src/members/held-access.ts";
import type { ListedMember } from "../../src/members/member-row.ts";
import type { StoredRemoval } from "../../src/members/removal-store.ts";
import { CliError } from "../kit/cli-error.ts";
import { findMember, listRemainingAccess, stateLine, storedSpelling } from "./members.ts";
import { OPERATOR, requireReady } from "./own-database.ts";
import type { OwnDatabase } from "./own-database.ts";

/** How to remove a member. */
interface RemovalOptions {
  /** Lists the access that would end, and changes nothing. */
  readonly dryRun: boolean;
  /** Removes without a look at it first. */
  readonly yes: boolean;
}

const OUT_OF_REACH = "connections, sessions, results and pending work";

/** Removes a member. Throws `CliError` with what would end when that is not confirmed, and for a database without removals. */
export async function removeMember(
  database: OwnDatabase,
  text: string,
  { dryRun, yes }: RemovalOptions,
): Promise<readonly string[]> {
  const email = await storedSpelling(database, text);
  const { members, removals } = database;
  const member = await findMember(database, email);
  const remaining = await listRemainingAccess(database, email);
  await requireReady(removals, "end a member's access");
  if (dryRun || !yes) {
    const look = await lookUp(database, email);
    const lines = describeLook(look, member);
    if (dryRun) return [...lines, ...remaining];
    if (member !== undefined || look.subjectIds.length > 0)
      throw new CliError(lines.join("\n"), { hint: "To remove all of it, run the command again with --yes." });
  }
  if (member === undefined && (await members.listSubjects(email)).length === 0)
    return [`${describeAddress(email)} is not in the members table, so nothing was changed.`, ...remaining];
  const id = newId();
  await removals.remove({ id, email, by: OPERATOR, nowMs: Date.now() });
  const effect = await database.tell();
  const tableLines = member === undefined ? [] : ["All roles and attributes in the members table were removed."];
  return [
    await stateLine(database, email),
    ...tableLines,
    ...describeRemoval(await findRequest(database, id)),
    ...remaining,
    effect,
  ];
}

/** Has the deployment look at what a user has. Without a running server, the look has only what GATEHOUSE_DB knows. */
async function lookUp(database: OwnDatabase, email: string): Promise<StoredRemoval> {
  const id = newId();
  await database.removals.look({ id, email, by: OPERATOR, nowMs: Date.now() });
  await database.tell();
  return findRequest(database, id);
}

async function findRequest({ removals }: OwnDatabase, id: string): Promise<StoredRemoval> {
  const removal = await removals.find(id);
  if (removal === undefined) throw new TypeError(`the request ${id} is not in GATEHOUSE_DB`);
  return removal;
}

function describeLook(look: StoredRemoval, member: ListedMember | undefined): readonly string[] {
  const email = describeAddress(look.email);
  const held = describeHeld(look).join(", ") || "no connection, personal access token, session or result";
  return [
    member === undefined
      ? `${email} is not in the members table.`
      : `The members table gives ${email} ${listGiven(member).join(", ")}.`,
    `${email} has ${held}.`,
    ...(look.isDone ? [] : [`The server does not answer, so this lacks ${OUT_OF_REACH}.`]),
  ];
}

function listGiven({ roles, attributes, unreadable }: ListedMember): readonly string[] {
  const attributeTexts = Object.keys(attributes).map((name) => `the attribute ${name}`);
  return [...roles.map(({ role }) => `the role ${role}`), ...attributeTexts, ...unreadable];
}

function describeRemoval(removal: StoredRemoval): readonly string[] {
  const held = describeHeld(removal);
  if (removal.isDone)
    return [`Ended ${held.join(", ") || "nothing else: there was no connection, session or result"}.`];
  return [...(held.length === 0 ? [] : [`Ended ${held.join(", ")}.`]), `Still to end: ${OUT_OF_REACH}.`];
}
