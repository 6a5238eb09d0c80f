// Manages members' roles and attributes in the members table, which adds to the policy file. A change takes effect with the user's next
// request.
import { describeAddress, parseEmailAddress } from "../../src/lib/email-address.ts";
import { listNeededAttributes } from "../../src/policy/attributes.ts";
import type { Policy } from "../../src/policy/model.ts";
import {
  listAdministeringRoles,
  overriddenWarnings,
  requireAttributes,
  requireRole,
} from "../../src/policy/member-input.ts";
import { describeRemainingAccess } from "../../src/policy/remaining-access.ts";
import type { ListedMember } from "../../src/members/member-row.ts";
import { addRole, removeRole, setAttributes } from "../../src/members/member-statements.ts";
import type { ChangeAuthor } from "../../src/members/member-statements.ts";
import { parseEmailArgument } from "../kit/email-argument.ts";
import { parseAttribute } from "./attribute-argument.ts";
import { problemLines } from "./members-table.ts";
import { OPERATOR } from "./own-database.ts";
import type { OwnDatabase } from "./own-database.ts";
import type { Output } from "../kit/output.ts";

/** Gives a role. Throws `AppError` for an invalid address or an unknown role. */
export async function addMemberRole(database: OwnDatabase, text: string, role: string): Promise<readonly string[]> {
  const { policy } = database.config;
  const email = parseEmailArgument(text);
  requireRole(policy, role);
  await database.members.applyChange(addRole(email, role, now()));
  // From now on an administering role is or was held, so the setup code must not create another owner.
  if (listAdministeringRoles(policy).includes(role)) await database.setup.close({ ...now(), reason: "held" });
  const member = await findMember(database, email);
  return [
    await stateLine(database, email),
    ...missingAttributeLines(policy, email, role, member),
    await database.tell(),
  ];
}

/** Warns about attributes that the rules of a role need and the user lacks. */
function missingAttributeLines(
  policy: Policy,
  email: string,
  role: string,
  member: ListedMember | undefined,
): readonly string[] {
  const declared = policy.members.find((declaredMember) => declaredMember.email === email);
  const held = { ...member?.attributes, ...declared?.attributes };
  return listNeededAttributes(policy, role)
    .filter((name) => !Object.hasOwn(held, name))
    .map(
      (name) =>
        `warning: Rules of the role ${role} grant nothing until ${email} has the attribute ${name}: npm run member -- set ${email} ${name}=<value>`,
    );
}

/** Sets attributes, each written as `name=value`. */
export async function setMemberAttributes(
  database: OwnDatabase,
  address: string,
  texts: readonly string[],
): Promise<readonly string[]> {
  const { policy } = database.config;
  const email = parseEmailArgument(address);
  const attributes = Object.fromEntries(texts.map((text) => parseAttribute(policy, text)));
  const names = Object.keys(attributes);
  const overridden = overriddenWarnings(policy, email, names);
  const warnings = [...requireAttributes(policy, attributes), ...overridden].map((warning) => `warning: ${warning}`);
  await database.members.applyChange(setAttributes(email, attributes, now()));
  // Attributes that the policy file overrides are propagated too, but have no effect.
  const effect = await database.tell();
  return [await stateLine(database, email), ...warnings, ...(overridden.length === names.length ? [] : [effect])];
}

/** Removes a role. A role that the policy no longer has can still be removed. */
export async function removeMemberRole(database: OwnDatabase, text: string, role: string): Promise<readonly string[]> {
  const email = await storedSpelling(database, text);
  const before = await findMember(database, email);
  const remaining = await listRemainingAccess(database, email, role);
  if (before === undefined || !holds(before, role))
    return [
      `${describeAddress(email)} does not have the role ${role} in the members table, so nothing was changed.`,
      ...remaining,
    ];
  await database.members.applyChange(removeRole(email, role, now()));
  return [await stateLine(database, email), `The role ${role} was removed.`, ...remaining, await database.tell()];
}

const now = (): ChangeAuthor => ({ by: OPERATOR, nowMs: Date.now() });

/** Whether the row has the role. An unreadable entry grants nothing, but can be removed. */
function holds({ roles, unreadable }: ListedMember, role: string): boolean {
  return roles.some((held) => held.role === role) || unreadable.includes(`the role ${role}`);
}

/** Warns about what the policy file and groups still give after a removal here. */
export async function listRemainingAccess(
  { config, members }: OwnDatabase,
  email: string,
  role?: string,
): Promise<readonly string[]> {
  const groups = (await members.listSubjects(email)).flatMap((subject) => subject.groups);
  return describeRemainingAccess(config.policy, { email, groups, role }).map((text) => `warning: ${text}`);
}

/** Finds the row in exactly this spelling. A row without roles and attributes is one that was removed. */
export async function findMember({ members }: OwnDatabase, email: string): Promise<ListedMember | undefined> {
  const member = await members.find(email);
  if (member === undefined) return undefined;
  const isEmpty = [member.roles, member.unreadable, Object.keys(member.attributes)].every(({ length }) => length === 0);
  return isEmpty ? undefined : member;
}

export async function stateLine(database: OwnDatabase, email: string): Promise<string> {
  const member = await findMember(database, email);
  return member === undefined ? `${describeAddress(email)} is not in the members table.` : describeMember(member);
}

/** The address to remove: a stored row's exact spelling even if it matches no user, otherwise the normalised address. */
export async function storedSpelling(database: OwnDatabase, text: string): Promise<string> {
  const address = parseEmailAddress(text);
  if (address === text) return address;
  const stored = await findMember(database, text);
  return stored === undefined ? parseEmailArgument(text) : text;
}

/** Lists the members of the policy file and of the members table, and what is wrong with the latter. */
export async function listMembers(database: OwnDatabase): Promise<Output> {
  const { policy } = database.config;
  const { members, groups } = policy;
  const rows = await database.members.list();
  const problems = problemLines(policy, rows);
  return {
    lines: [
      "In the policy file:",
      ...members.map(({ email, roles }) => `  ${email}  ${roles.join(", ") || "no role"}`),
      ...groups.map(({ group, roles }) => `  the group ${JSON.stringify(group)}  ${roles.join(", ")}`),
      "In the members table:",
      ...rows.map((member) => `  ${describeMember(member)}`),
      ...(rows.length === 0 ? ["  no members"] : []),
      ...problems.map((problem) => `warning: ${problem}`),
    ],
    data: {
      policyFile: {
        members: members.map(({ email, name, roles, attributes }) => ({ email, name, roles, attributes })),
        groups: groups.map(({ group, roles }) => ({ group, roles })),
      },
      membersTable: rows.map(({ email, roles, attributes, unreadable }) => ({
        email,
        roles: roles.map(({ role, by, atMs }) => ({ role, by, at: new Date(atMs).toISOString() })),
        attributes,
        unreadable,
      })),
      warnings: problems,
    },
  };
}

function describeMember({ email, roles, attributes }: ListedMember): string {
  const grants = roles.map(({ role, by, atMs }) => `${role} (by ${by}, ${new Date(atMs).toISOString().slice(0, 10)})`);
  const values = Object.keys(attributes).length === 0 ? "" : `  ${JSON.stringify(attributes)}`;
  return `${describeAddress(email)}  ${grants.join(", ") || "no role"}${values}`;
}
