// `npm run token -- create <name> --owner <email> --role <role> [--days <n>]`, `list`, `revoke <id>`: access tokens for programs.
// `--remote` does it in the deployment. A token is printed once; only its hash is kept.
import { parseArgs } from "node:util";
import * as z from "zod";
import { requireEmailAddress, requireRole } from "../src/policy/names.ts";
import { hashAccessToken, newAccessToken } from "../src/lib/access-token.ts";
import { describeAddress } from "../src/lib/email-address.ts";
import { newId } from "../src/lib/ids.ts";
import { describeInvisible, firstInvisible } from "../src/lib/visible-text.ts";
import {
  addAccessToken,
  countMadeToday,
  describeCap,
  revokeAccessToken,
} from "../src/storage/access-token-statements.ts";
import { DATABASE_OPTIONS, OPERATOR, openOwnDatabase } from "./own-database.ts";
import type { OwnDatabase } from "./own-database.ts";
import { PolicyProblem } from "./policy-file.ts";
import { printFailure, printLines } from "./terminal.ts";

const USAGE =
  "Say what to do: create <name> --owner <email> --role <role> (also several) [--days <n>], list, or revoke <id>. --remote does it in the deployment.";
const DEFAULT_DAYS = 30;

const OPTIONS = {
  ...DATABASE_OPTIONS,
  owner: { type: "string" },
  role: { type: "string", multiple: true },
  days: { type: "string", default: String(DEFAULT_DAYS) },
} as const;

interface Wanted {
  readonly name: string;
  readonly owner: string;
  readonly roles: readonly string[];
  readonly days: string;
}

async function main(): Promise<readonly string[]> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: OPTIONS });
  const [command, what] = positionals;
  const { owner, role: roles = [], days } = values;
  if (command === "list" && positionals.length === 1) return list(await openOwnDatabase(values));
  if (command === "revoke" && what !== undefined && positionals.length === 2)
    return revoke(await openOwnDatabase(values), what);
  if (command === "create" && what !== undefined && positionals.length === 2 && owner !== undefined && roles.length > 0)
    return create(await openOwnDatabase(values), { name: what, owner, roles, days });
  throw new PolicyProblem(USAGE);
}

async function create(database: OwnDatabase, { name, owner, roles, days: text }: Wanted): Promise<readonly string[]> {
  const { policy, limits } = database.config;
  for (const role of roles) requireRole(policy, role);
  const maxDays = Math.floor(limits.programTokenSeconds / 86_400);
  const days = Number(text);
  if (!Number.isInteger(days) || days < 1 || days > maxDays)
    throw new PolicyProblem(`--days is ${text}. It takes a whole number from 1 to ${maxDays}.`);
  if (name.trim() === "") throw new PolicyProblem("The name is empty.");
  if (name.length > 100) throw new PolicyProblem("The name is longer than 100 characters.");
  const codePoint = firstInvisible(name);
  if (codePoint !== undefined) throw new PolicyProblem(`The name ${describeInvisible(codePoint)}.`);
  const ownerId = await ownerIdOf(database, requireEmailAddress(owner));
  const [id, token, nowMs] = [newId(), newAccessToken(), Date.now()];
  const times = { nowMs, expiresMs: nowMs + days * 86_400_000 };
  const kept = { id, hash: await hashAccessToken(token), ownerId, name, roles, by: OPERATOR, ...times };
  const caps = { maxHeld: limits.maxProgramTokens, maxPerDay: limits.maxNewPatsPerDay };
  await database.run(addAccessToken(kept, caps));
  const added = await database.run({ sql: "SELECT id FROM access_token WHERE id = ?1", values: [id] });
  if (added.length === 0) {
    const [counted] = await database.run(countMadeToday(ownerId, nowMs));
    throw new PolicyProblem(`${owner}: ${describeCap(Number(counted?.["made"]), caps, nowMs)}`);
  }
  return [
    `${id}  ${name}: ${roles.join(", ")}, until ${dayOf(times.expiresMs)}`,
    "It has of these roles those that its owner has at each use. Its text, shown this once:",
    token,
  ];
}

/** Roles belong to people: a token is of somebody who has been here. */
async function ownerIdOf(database: OwnDatabase, email: string): Promise<string> {
  const [found] = await database.run({
    sql: "SELECT subject_id FROM subject WHERE email = ?1 AND owner_id IS NULL ORDER BY seen_ms DESC LIMIT 1",
    values: [email],
  });
  if (found !== undefined) return z.string().parse(found["subject_id"]);
  throw new PolicyProblem(
    `${email} has never been here. Have them sign in and ask something once, then make the token.`,
  );
}

async function revoke(database: OwnDatabase, id: string): Promise<readonly string[]> {
  const sql = "SELECT id FROM access_token WHERE id = ?1 AND revoked_ms IS NULL";
  if ((await database.run({ sql, values: [id] })).length === 0)
    throw new PolicyProblem(`There is no token ${id} that could be revoked. npm run token -- list names them.`);
  await database.run(revokeAccessToken(id, null, OPERATOR, Date.now()));
  return [`${id} is revoked. Its next request is refused.`, `Its sessions and streams: ${await database.tell()}`];
}

const row = z.object({
  id: z.string(),
  name: z.string(),
  email: z.string().nullable(),
  roles: z.string(),
  expires_ms: z.number(),
  used_ms: z.number().nullable(),
  revoked_ms: z.number().nullable(),
});

async function list(database: OwnDatabase): Promise<readonly string[]> {
  const found = await database.run({
    sql: "SELECT t.id, t.name, s.email, t.roles, t.expires_ms, t.used_ms, t.revoked_ms FROM access_token AS t LEFT JOIN subject AS s ON s.subject_id = t.owner_id ORDER BY t.made_ms DESC, t.id",
    values: [],
  });
  const lines = z
    .array(row)
    .parse(found)
    .map((one) => {
      const roles = z.array(z.string()).parse(JSON.parse(one.roles)).join(", ");
      const end = one.revoked_ms === null ? `until ${dayOf(one.expires_ms)}` : `revoked ${dayOf(one.revoked_ms)}`;
      const used = one.used_ms === null ? "never used" : `last used ${new Date(one.used_ms).toISOString()}`;
      return `${one.id}  ${one.name}  ${describeAddress(one.email ?? "unknown")}  ${roles}  ${end}  ${used}`;
    });
  return lines.length === 0 ? ["There are no access tokens."] : lines;
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

try {
  printLines(await main());
} catch (error) {
  printFailure(error);
  process.exit(1);
}
