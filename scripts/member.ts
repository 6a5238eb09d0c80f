// `npm run member -- add|remove <email> <role>`, `remove <email>`, `set <email> <name>=<value> …`, `list`: roles and attributes of
// people, besides those of the policy file. `--remote` does it in the deployment.
import { parseArgs } from "node:util";
import * as z from "zod";
import { requireAttributes, requireEmailAddress, requireRole } from "../src/policy/names.ts";
import { AppError } from "../src/errors.ts";
import { addRole, removeMember, removeRole, setAttributes } from "../src/storage/member-statements.ts";
import type { Change } from "../src/storage/member-statements.ts";
import { DATABASE_OPTIONS, OPERATOR, openOwnDatabase } from "./own-database.ts";
import type { OwnDatabase } from "./own-database.ts";
import { PolicyProblem } from "./policy-file.ts";

const USAGE =
  "Say what to do: add <email> <role>, remove <email> [role], set <email> <name>=<value> …, or list. --remote does it in the deployment.";

const row = z.object({ email: z.string(), roles: z.string(), attributes: z.string(), changed_by: z.string() });

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
  const who = requireEmailAddress(email);
  await database.run(changeOf(database, command, who, rest));
  const [now] = await rowsOf(database, who);
  return [now === undefined ? `${who} is not in the members table.` : lineOf(now), await database.tell()];
}

function changeOf({ config }: OwnDatabase, command: string, email: string, rest: readonly string[]): Change {
  const at = { by: OPERATOR, nowMs: Date.now() };
  const [role] = rest;
  if (command === "set") {
    const attributes = Object.fromEntries(rest.map(parseAttribute));
    requireAttributes(config.policy, Object.keys(attributes));
    return setAttributes(email, attributes, at);
  }
  if (role === undefined) return removeMember(email, at);
  // A role that the policy does not have any more can still be taken away.
  if (command === "remove") return removeRole(email, role, at);
  requireRole(config.policy, role);
  return addRole(email, role, at);
}

const attributeValue = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.array(z.union([z.string(), z.number(), z.boolean()])),
]);

/** `region=north`, `level=3`, `regions=["north","east"]`; with nothing behind the sign the attribute is taken away. */
function parseAttribute(text: string): [string, z.output<typeof attributeValue> | null] {
  const at = text.indexOf("=");
  if (at < 1) throw new PolicyProblem(`${text} is no attribute. Write name=value, or name= to take it away.`);
  const [name, value] = [text.slice(0, at), text.slice(at + 1)];
  if (value === "") return [name, null];
  try {
    const parsed = attributeValue.safeParse(JSON.parse(value));
    return [name, parsed.success ? parsed.data : value];
  } catch {
    // Plain text is written without quotes.
    return [name, value];
  }
}

async function list(database: OwnDatabase): Promise<readonly string[]> {
  const { members, groups } = database.config.policy;
  const rows = await rowsOf(database);
  return [
    "In the policy file:",
    ...members.map(({ email, roles }) => `  ${email}  ${roles.join(", ") || "no role"}`),
    ...groups.map(({ group, roles }) => `  the group ${JSON.stringify(group)}  ${roles.join(", ")}`),
    "In the members table:",
    ...rows.map((one) => `  ${lineOf(one)}`),
    ...(rows.length === 0 ? ["  nobody"] : []),
  ];
}

async function rowsOf(database: OwnDatabase, email?: string): Promise<readonly z.output<typeof row>[]> {
  const found = await database.run({
    sql: `SELECT email, roles, attributes, changed_by FROM member WHERE (roles <> '{}' OR attributes <> '{}')${email === undefined ? "" : " AND email = ?1"} ORDER BY email`,
    values: email === undefined ? [] : [email],
  });
  return z.array(row).parse(found);
}

const givenRoles = z.record(z.string(), z.object({ by: z.string(), atMs: z.number() }));

function lineOf({ email, roles, attributes }: z.output<typeof row>): string {
  const given = Object.entries(givenRoles.parse(JSON.parse(roles)));
  const told = given.map(([role, { by, atMs }]) => `${role} (by ${by}, ${new Date(atMs).toISOString().slice(0, 10)})`);
  return `${email}  ${told.join(", ") || "no role"}${attributes === "{}" ? "" : `  ${attributes}`}`;
}

try {
  console.log((await main()).join("\n"));
} catch (error) {
  console.error(error instanceof AppError ? error.publicMessage : error instanceof Error ? error.message : error);
  process.exit(1);
}
