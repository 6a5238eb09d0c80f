// `npm run token -- create <name> --owner <email> --role <role> [--days <n>]`, `list`, `revoke <id>`: manages personal access tokens.
// `--remote` uses the deployment. A personal access token is printed once; only its hash is stored.
import { parseArgs } from "node:util";
import * as z from "zod";
import { requireEmailAddress, requireRole } from "../src/policy/member-input.ts";
import { hashPat, generatePat } from "../src/personal-access-tokens/pat-text.ts";
import { describeAddress } from "../src/lib/email-address.ts";
import { newId } from "../src/lib/ids.ts";
import { describeInvisible, firstInvisible } from "../src/lib/visible-text.ts";
import {
  insertPat,
  countPatsMadeToday,
  describePatCap,
  revokePat,
} from "../src/personal-access-tokens/pat-statements.ts";
import { DATABASE_OPTIONS, OPERATOR, openOwnDatabase } from "./own-database.ts";
import type { OwnDatabase } from "./own-database.ts";
import { PolicyProblem } from "./policy-file.ts";
import { printFailure, printLines } from "./terminal.ts";

const USAGE =
  "Give a command: create <name> --owner <email> --role <role> [--role <role> …] [--days <n>], list, or revoke <id>. " +
  "--remote uses the deployment.";
const DEFAULT_DAYS = 30;

const OPTIONS = {
  ...DATABASE_OPTIONS,
  owner: { type: "string" },
  role: { type: "string", multiple: true },
  days: { type: "string", default: String(DEFAULT_DAYS) },
} as const;

interface NewPat {
  readonly name: string;
  readonly owner: string;
  readonly roles: readonly string[];
  readonly days: string;
}

async function main(): Promise<readonly string[]> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: OPTIONS });
  const [command, argument] = positionals;
  const { owner, role: roles = [], days } = values;
  if (command === "list" && positionals.length === 1) return list(await openOwnDatabase(values));
  if (command === "revoke" && argument !== undefined && positionals.length === 2)
    return revoke(await openOwnDatabase(values), argument);
  if (
    command === "create" &&
    argument !== undefined &&
    positionals.length === 2 &&
    owner !== undefined &&
    roles.length > 0
  )
    return create(await openOwnDatabase(values), { name: argument, owner, roles, days });
  throw new PolicyProblem(USAGE);
}

async function create(database: OwnDatabase, { name, owner, roles, days: text }: NewPat): Promise<readonly string[]> {
  const { policy, limits } = database.config;
  for (const role of roles) requireRole(policy, role);
  const maxDays = Math.floor(limits.patMaxAgeSeconds / 86_400);
  const days = Number(text);
  if (!Number.isInteger(days) || days < 1 || days > maxDays)
    throw new PolicyProblem(`--days is ${text}. It takes a whole number from 1 to ${maxDays}.`);
  if (name.trim() === "") throw new PolicyProblem("The name is empty.");
  if (name.length > 100) throw new PolicyProblem("The name is longer than 100 characters.");
  const codePoint = firstInvisible(name);
  if (codePoint !== undefined) throw new PolicyProblem(`The name ${describeInvisible(codePoint)}.`);
  const ownerId = await findOwnerId(database, requireEmailAddress(owner));
  const [id, token, nowMs] = [newId(), generatePat(), Date.now()];
  const times = { nowMs, expiresMs: nowMs + days * 86_400_000 };
  const pat = { id, hash: await hashPat(token), ownerId, name, roles, by: OPERATOR, ...times };
  const caps = { maxActive: limits.maxActivePats, maxPerDay: limits.maxNewPatsPerDay };
  await database.run(insertPat(pat, caps));
  const added = await database.run({ sql: "SELECT id FROM personal_access_token WHERE id = ?1", values: [id] });
  if (added.length === 0) {
    const [counted] = await database.run(countPatsMadeToday(ownerId, nowMs));
    throw new PolicyProblem(`${owner}: ${describePatCap(Number(counted?.["made"]), caps, nowMs)}`);
  }
  return [
    `${id}  ${name}: ${roles.join(", ")}, until ${dayOf(times.expiresMs)}`,
    "Each time it is used, it has those of these roles that its owner still has. This is the personal access token, shown only once:",
    token,
  ];
}

/** Finds the owner's subject id. Throws `PolicyProblem` when the owner has never signed in. */
async function findOwnerId(database: OwnDatabase, email: string): Promise<string> {
  const [subject] = await database.run({
    sql: "SELECT subject_id FROM subject WHERE email = ?1 AND owner_id IS NULL ORDER BY seen_ms DESC LIMIT 1",
    values: [email],
  });
  if (subject !== undefined) return z.string().parse(subject["subject_id"]);
  throw new PolicyProblem(
    `${email} has never signed in. Ask them to sign in and run a query once, then create the personal access token.`,
  );
}

async function revoke(database: OwnDatabase, id: string): Promise<readonly string[]> {
  const sql = "SELECT id FROM personal_access_token WHERE id = ?1 AND revoked_ms IS NULL";
  if ((await database.run({ sql, values: [id] })).length === 0)
    throw new PolicyProblem(`There is no active personal access token ${id}. npm run token -- list lists them.`);
  await database.run(revokePat(id, null, OPERATOR, Date.now()));
  return [`${id} was revoked. Its next request is refused.`, `Open sessions and streams: ${await database.tell()}`];
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
  const rows = await database.run({
    sql: `SELECT t.id, t.name, s.email, t.roles, t.expires_ms, t.used_ms, t.revoked_ms
      FROM personal_access_token AS t LEFT JOIN subject AS s ON s.subject_id = t.owner_id ORDER BY t.made_ms DESC, t.id`,
    values: [],
  });
  const lines = z
    .array(row)
    .parse(rows)
    .map((pat) => {
      const roles = z.array(z.string()).parse(JSON.parse(pat.roles)).join(", ");
      const end = pat.revoked_ms === null ? `until ${dayOf(pat.expires_ms)}` : `revoked ${dayOf(pat.revoked_ms)}`;
      const used = pat.used_ms === null ? "never used" : `last used ${new Date(pat.used_ms).toISOString()}`;
      return `${pat.id}  ${pat.name}  ${describeAddress(pat.email ?? "unknown")}  ${roles}  ${end}  ${used}`;
    });
  return lines.length === 0 ? ["There are no personal access tokens."] : lines;
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
