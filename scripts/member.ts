// `npm run member -- add|remove <email> <role>`, `remove <email>`, `set <email> <name>=<value> …`, `list`: roles and attributes of
// people, besides those of the policy file. `--remote` does it in the deployment.
import { parseArgs } from "node:util";
import * as z from "zod";
import { AppError } from "../src/errors.ts";
import { describeAddress, parseEmailAddress } from "../src/lib/email-address.ts";
import { attributeProblems } from "../src/policy/attributes.ts";
import type { Policy } from "../src/policy/model.ts";
import { administeringRoles, requireAttributes, requireEmailAddress, requireRole } from "../src/policy/names.ts";
import type { ListedMember } from "../src/storage/member-row.ts";
import { addRole, removeMember, removeRole, setAttributes } from "../src/storage/member-statements.ts";
import type { Change } from "../src/storage/member-statements.ts";
import { closeSetup } from "../src/storage/setup-statements.ts";
import { problemLines, readMembers } from "./members-table.ts";
import { DATABASE_OPTIONS, OPERATOR, openOwnDatabase } from "./own-database.ts";
import type { OwnDatabase } from "./own-database.ts";
import { PolicyProblem } from "./policy-file.ts";

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
  const who = command === "remove" ? await storedSpelling(database, email) : requireEmailAddress(email);
  const { change, warnings } = changeOf(database, command, who, rest);
  await database.run(change);
  // From now on an administering role is or was held, so the set-up code must not make another owner.
  if (command === "add" && administeringRoles(database.config.policy).includes(rest[0] ?? ""))
    await database.run(closeSetup({ by: OPERATOR, nowMs: Date.now(), reason: "held" }));
  const [now] = await readMembers(database, who);
  return [
    now === undefined ? `${describeAddress(who)} is not in the members table.` : lineOf(now),
    ...warnings.map((warning) => `warning: ${warning}`),
    await database.tell(),
  ];
}

/** A row in a spelling that matches no user is removed under that spelling; everything else goes by the one spelling. */
async function storedSpelling(database: OwnDatabase, text: string): Promise<string> {
  const address = parseEmailAddress(text);
  if (address === text) return address;
  const [stored] = await readMembers(database, text);
  return stored === undefined ? requireEmailAddress(text) : text;
}

interface Wanted {
  readonly change: Change;
  /** What is written, but grants nothing. */
  readonly warnings: readonly string[];
}

function changeOf({ config }: OwnDatabase, command: string, email: string, rest: readonly string[]): Wanted {
  const at = { by: OPERATOR, nowMs: Date.now() };
  const [role] = rest;
  if (command === "set") {
    const attributes = Object.fromEntries(rest.map((text) => parseAttribute(config.policy, text)));
    const warnings = requireAttributes(config.policy, attributes);
    return { change: setAttributes(email, attributes, at), warnings };
  }
  if (role === undefined) return { change: removeMember(email, at), warnings: [] };
  // A role that the policy does not have any more can still be taken away.
  if (command === "remove") return { change: removeRole(email, role, at), warnings: [] };
  requireRole(config.policy, role);
  return { change: addRole(email, role, at), warnings: [] };
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
  console.log((await main()).join("\n"));
} catch (error) {
  console.error(error instanceof AppError ? error.publicMessage : error instanceof Error ? error.message : error);
  process.exit(1);
}
