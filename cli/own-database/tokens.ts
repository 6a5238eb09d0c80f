// Creates, lists and revokes personal access tokens for an operator.
import type { RegisteredSubject } from "../../src/members/member-store.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import { requireRole } from "../../src/policy/member-input.ts";
import { hashPat, generatePat } from "../../src/personal-access-tokens/pat-text.ts";
import { describeAddress } from "../../src/lib/email-address.ts";
import { newId } from "../../src/lib/ids.ts";
import { describeInvisible, firstInvisible } from "../../src/lib/visible-text.ts";
import { describePatCap } from "../../src/personal-access-tokens/pat-statements.ts";
import { CliError, usageError } from "../kit/cli-error.ts";
import { parseEmailArgument } from "../kit/email-argument.ts";
import { OPERATOR } from "./own-database.ts";
import type { OwnedPat } from "../../src/personal-access-tokens/pat-store.ts";
import type { OwnDatabase } from "./own-database.ts";
import type { Output } from "../kit/output.ts";

interface NewPat {
  readonly name: string;
  readonly owner: string;
  readonly roles: readonly string[];
  readonly days: string;
}

/** Creates a personal access token. Its text is in the result only: the database has a hash of it. */
export async function createToken(database: OwnDatabase, { name, owner, roles, days: text }: NewPat): Promise<Output> {
  const { policy, limits } = database.config;
  for (const role of roles) requireRole(policy, role);
  const maxDays = Math.floor(limits.patMaxAgeSeconds / 86_400);
  const days = Number(text);
  if (!/^[0-9]+$/.test(text) || days < 1 || days > maxDays)
    throw usageError(`--days is ${text}. It takes a whole number from 1 to ${maxDays}.`);
  if (name.trim() === "") throw usageError("The name is empty.");
  if (name.length > 100) throw usageError("The name is longer than 100 characters.");
  const codePoint = firstInvisible(name);
  if (codePoint !== undefined) throw usageError(`The name ${describeInvisible(codePoint)}.`);
  const email = parseEmailArgument(owner);
  const subject = await findOwner(database, email);
  const [id, token, nowMs] = [newId(), generatePat(), Date.now()];
  const times = { nowMs, expiresMs: nowMs + days * 86_400_000 };
  const pat = { id, hash: await hashPat(token), ownerId: subject.subjectId, name, roles, by: OPERATOR, ...times };
  const caps = { maxActive: limits.maxActivePats, maxPerDay: limits.maxNewPatsPerDay };
  const added = await database.pats.add(pat, caps);
  if (!added.ok) throw new CliError(`${owner}: ${describePatCap(added.madeToday, caps, nowMs)}`);
  const warnings = await listLackedRoles(database, subject, roles);
  return {
    lines: [
      ...warnings.map((warning) => `warning: ${warning}`),
      `${id}  ${name}: ${roles.join(", ")}, until ${dayOf(times.expiresMs)}`,
      "Each time it is used, it has those of these roles that its owner still has. This is the personal access token, shown only once:",
      token,
    ],
    data: { id, name, owner: email, roles, expiresAt: new Date(times.expiresMs).toISOString(), token, warnings },
  };
}

/** Explains which of the roles the owner does not have now, so that the personal access token has none of them either. */
async function listLackedRoles(
  { config: { policy }, members }: OwnDatabase,
  owner: RegisteredSubject,
  roles: readonly string[],
): Promise<readonly string[]> {
  const held = resolveSubject(policy, owner, await members.read(owner.email)).roles;
  return roles
    .filter((role) => !held.includes(role))
    .map(
      (role) =>
        `${owner.email} does not have the role ${role} now, so the personal access token does nothing by it. ` +
        `To give it: npm run member -- add ${owner.email} ${role}`,
    );
}

/** Finds the owner as who they last signed in. Throws `CliError` when they have never signed in. */
async function findOwner({ members }: OwnDatabase, email: string): Promise<RegisteredSubject> {
  const subjects = await members.listSubjects(email);
  const [subject] = subjects.toSorted((one, other) => other.seenMs - one.seenMs);
  if (subject !== undefined) return subject;
  throw new CliError(
    `${email} has never signed in. Ask them to sign in and run a query once, then create the personal access token.`,
  );
}

/** Revokes a personal access token, and ends its sessions. Throws `CliError` when there is no active one with this id. */
export async function revokeToken(database: OwnDatabase, id: string): Promise<readonly string[]> {
  if (!(await database.pats.revoke(id, null, OPERATOR, Date.now())))
    throw new CliError(`There is no active personal access token ${id}. npm run token -- list lists them.`);
  return [`${id} was revoked. Its next request is refused.`, `Open sessions and streams: ${await database.tell()}`];
}

/** Lists all personal access tokens, newest first. */
export async function listTokens(database: OwnDatabase): Promise<Output> {
  const pats = await database.pats.listAll();
  return {
    lines: pats.length === 0 ? ["There are no personal access tokens."] : pats.map(describePat),
    data: {
      tokens: pats.map((pat) => ({
        id: pat.id,
        name: pat.name,
        owner: pat.ownerEmail,
        roles: pat.roles,
        expiresAt: timeOf(pat.expiresMs),
        lastUsedAt: timeOf(pat.usedMs),
        revokedAt: timeOf(pat.revokedMs),
      })),
    },
  };
}

function describePat({ id, name, ownerEmail, roles, expiresMs, usedMs, revokedMs }: OwnedPat): string {
  const end = revokedMs === null ? `until ${dayOf(expiresMs)}` : `revoked ${dayOf(revokedMs)}`;
  const used = usedMs === null ? "never used" : `last used ${timeOf(usedMs)}`;
  return `${id}  ${name}  ${describeAddress(ownerEmail ?? "unknown")}  ${roles.join(", ")}  ${end}  ${used}`;
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
