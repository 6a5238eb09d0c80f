// Builds the hint that another role may be needed: the roles that exist and whom to ask. The text never depends on the request,
// so it does not distinguish a denied name from one that does not exist.
import type { Organisation } from "../config/define-gatehouse.ts";
import { AppError } from "../errors.ts";
import type { Policy, Subject } from "../policy/model.ts";
import { DeniedError } from "../audit/audit.ts";

/** The most roles that a hint lists. */
const MAX_LISTED_ROLES = 12;

/** Builds the hint: one to three sentences, or an empty text for a user who has every role. */
export function buildRoleHint({ roles }: Policy, subject: Subject, { contact }: Organisation): string {
  const otherRoles = roles.map(({ name }) => name).filter((name) => !subject.roles.includes(name));
  if (otherRoles.length === 0) return "";
  const more = otherRoles.length > MAX_LISTED_ROLES ? ` and ${otherRoles.length - MAX_LISTED_ROLES} more` : "";
  const list = `${otherRoles.slice(0, MAX_LISTED_ROLES).join(", ")}${more}`;
  if (subject.token === undefined && subject.roles.length === 0)
    return `This user has no role. Available roles: ${list}. ${contact} can assign roles.`;
  const heldText = subject.roles.length === 0 ? "no role" : `the role ${subject.roles.join(", ")}`;
  if (subject.token !== undefined)
    return [
      `This personal access token has ${heldText}.`,
      `Its owner can create another one with any role that they have. ${contact} can assign roles.`,
    ].join(" ");
  return [
    `If something is missing, another role may be needed. This user has ${heldText}; other roles: ${list}.`,
    `${contact} can assign roles.`,
  ].join(" ");
}

/** Appends the hint to an error that says that something does not exist; returns any other error unchanged. */
export function addRoleHint(thrown: unknown, buildHint: () => string): unknown {
  if (!(thrown instanceof AppError) || !thrown.isMissing) return thrown;
  const hint = buildHint();
  if (hint === "") return thrown;
  const explained = new AppError(thrown.code, `${thrown.publicMessage} ${hint}`, {
    cause: thrown.cause,
    isMissing: true,
  });
  return thrown instanceof DeniedError ? new DeniedError(explained, thrown.denials, thrown.rules) : explained;
}
