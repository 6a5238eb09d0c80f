// `npm run member -- add|remove <email> <role>`, `remove <email>`, `set <email> <name>=<value> …`, `list`: roles and attributes of
// people, besides those of the policy file. `--remote` does it in the deployment.
import { parseArgs } from "node:util";
import * as z from "zod";
import { describeAddress, parseEmailAddress } from "../src/lib/email-address.ts";
import type { EmailAddress } from "../src/lib/email-address.ts";
import { attributeProblems } from "../src/policy/attributes.ts";
import type { Policy } from "../src/policy/model.ts";
import {
  administeringRoles,
  overriddenWarnings,
  requireAttributes,
  requireEmailAddress,
  requireRole,
} from "../src/policy/names.ts";
import type { ListedMember } from "../src/storage/member-row.ts";
import { addRole, removeMember, removeRole, setAttributes } from "../src/storage/member-statements.ts";
import type { ChangedBy } from "../src/storage/member-statements.ts";
import { closeSetup } from "../src/storage/setup-statements.ts";
import { problemLines, readMembers } from "./members-table.ts";
import { DATABASE_OPTIONS, OPERATOR, openOwnDatabase } from "./own-database.ts";
import type { OwnDatabase } from "./own-database.ts";
import { PolicyProblem } from "./policy-file.ts";
import { printFailure, printLines } from "./terminal.ts";

const USAGE =
  "Say what to do: add <email> <role>, remove <email> [role], set <email> <name>=<value> …, or list. --remote does it in the deployment.";

async function main(): Promise<readonly string[]> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: DATABASE_OPTIONS });
  const [command, email, ...rest] = positionals;
  if (command === "list" && positionals.length === 1) return list(await openOwnDatabase(values));
  const isRight =
    email !== undefined &&
    ((command === "add" && rest.length === 1) ||
      (command === "remove" && rest.length <= 1) ||
      (command === "set" && rest.length > 0));
  if (!isRight) throw new PolicyProblem(USAGE);
  const database = await openOwnDatabase(values);
  if (command === "remove") return remove(database, email, rest[0]);
  const who = requireEmailAddress(email);
  if (command === "set") return set(database, who, rest);
  return add(database, who, rest[0] ?? "");
}

async function add(database: OwnDatabase, email: EmailAddress, role: string): Promise<readonly string[]> {
  const { policy } = database.config;
  requireRole(policy, role);
  await database.run(addRole(email, role, now()));
  // From now on an administering role is or was held, so the set-up code must not make another owner.
  if (administeringRoles(policy).includes(role)) await database.run(closeSetup({ ...now(), reason: "held" }));
  return [await stateLine(database, email), await database.tell()];
}

async function set(database: OwnDatabase, email: EmailAddress, texts: readonly string[]): Promise<readonly string[]> {
  const { policy } = database.config;
  const attributes = Object.fromEntries(texts.map((text) => parseAttribute(policy, text)));
  const names = Object.keys(attributes);
  const overridden = overriddenWarnings(policy, email, names);
  const warnings = [...requireAttributes(policy, attributes), ...overridden].map((warning) => `warning: ${warning}`);
  await database.run(setAttributes(email, attributes, now()));
  // What the policy file overrides is propagated too, but nothing of it acts.
  const told = await database.tell();
  return [await stateLine(database, email), ...warnings, ...(overridden.length === names.length ? [] : [told])];
}

/** Without a role everything goes. A role that the policy does not have any more can still be taken away. */
async function remove(database: OwnDatabase, text: string, role?: string): Promise<readonly string[]> {
  const email = await storedSpelling(database, text);
  const [before] = await readMembers(database, email);
  const stays = declaredLines(database.config.policy, email, role);
  if (before === undefined || !holds(before, role)) {
    const what = role === undefined ? "is not in the members table" : `does not have ${role} by the members table`;
    return [`${describeAddress(email)} ${what}, so nothing was changed.`, ...stays];
  }
  await database.run(role === undefined ? removeMember(email, now()) : removeRole(email, role, now()));
  const removed = role === undefined ? "All that the members table gave was" : `The role ${role} was`;
  return [await stateLine(database, email), `${removed} taken away.`, ...stays, await database.tell()];
}

const now = (): ChangedBy => ({ by: OPERATOR, nowMs: Date.now() });

/** A role that cannot be read counts for nothing, but it stands there. */
function holds({ roles, unreadable }: ListedMember, role: string | undefined): boolean {
  return role === undefined || roles.some((held) => held.role === role) || unreadable.includes(`the role ${role}`);
}

/** What the policy file goes on giving, whatever is taken away here. */
function declaredLines({ members }: Policy, email: string, role: string | undefined): readonly string[] {
  const declared = members.find((member) => member.email === email);
  const roles = (declared?.roles ?? []).filter((held) => role === undefined || held === role);
  const attributes = role === undefined ? Object.keys(declared?.attributes ?? {}) : [];
  const given = [...roles.map((name) => `the role ${name}`), ...attributes.map((name) => `the attribute ${name}`)];
  if (given.length === 0) return [];
  return [`warning: The policy file still gives ${email} ${given.join(", ")}. What it gives is taken away there.`];
}

async function stateLine(database: OwnDatabase, email: string): Promise<string> {
  const [member] = await readMembers(database, email);
  return member === undefined ? `${describeAddress(email)} is not in the members table.` : lineOf(member);
}

/** A row in a spelling that matches no user is removed under that spelling; everything else goes by the one spelling. */
async function storedSpelling(database: OwnDatabase, text: string): Promise<string> {
  const address = parseEmailAddress(text);
  if (address === text) return address;
  const [stored] = await readMembers(database, text);
  return stored === undefined ? requireEmailAddress(text) : text;
}

const attributeValue = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.array(z.union([z.string(), z.number(), z.boolean()])),
]);

/**
 * `region=north`, `level=3`, `regions=["north","east"]`; with nothing behind the sign the attribute is taken away. What reads as a
 * number is text where the rules compare it with text, as in `code=007`.
 */
function parseAttribute(policy: Policy, text: string): [string, z.output<typeof attributeValue> | null] {
  const at = text.indexOf("=");
  if (at < 1) throw new PolicyProblem(`${text} is no attribute. Write name=value, or name= to take it away.`);
  const [name, value] = [text.slice(0, at), text.slice(at + 1)];
  if (value === "") return [name, null];
  const parsed = attributeValue.safeParse(parseJson(value));
  if (!parsed.success) return [name, value];
  // A list stays one: as text it would fit a rule that it was not written for.
  const isText = typeof parsed.data !== "object" && !fits(policy, name, parsed.data) && fits(policy, name, value);
  return [name, isText ? value : parsed.data];
}

function fits(policy: Policy, name: string, value: z.output<typeof attributeValue>): boolean {
  return attributeProblems(policy, { [name]: value }).every(({ kind }) => kind !== "type");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Plain text is written without quotes.
    return text;
  }
}

async function list(database: OwnDatabase): Promise<readonly string[]> {
  const { members, groups } = database.config.policy;
  const rows = await readMembers(database);
  return [
    "In the policy file:",
    ...members.map(({ email, roles }) => `  ${email}  ${roles.join(", ") || "no role"}`),
    ...groups.map(({ group, roles }) => `  the group ${JSON.stringify(group)}  ${roles.join(", ")}`),
    "In the members table:",
    ...rows.map((one) => `  ${lineOf(one)}`),
    ...(rows.length === 0 ? ["  nobody"] : []),
    ...problemLines(database.config.policy, rows).map((problem) => `warning: ${problem}`),
  ];
}

function lineOf({ email, roles, attributes }: ListedMember): string {
  const given = roles.map(({ role, by, atMs }) => `${role} (by ${by}, ${new Date(atMs).toISOString().slice(0, 10)})`);
  const values = Object.keys(attributes).length === 0 ? "" : `  ${JSON.stringify(attributes)}`;
  return `${describeAddress(email)}  ${given.join(", ") || "no role"}${values}`;
}

try {
  printLines(await main());
} catch (error) {
  printFailure(error);
  process.exit(1);
}
