// Builds the hint that another role may be needed: the roles that exist and whom to ask. The text never depends on the request,
// so it does not distinguish a denied name from one that does not exist.
import type { Organisation } from "../config/define-gatehouse.ts";
import { AppError } from "../errors.ts";
import { evaluate } from "../policy/evaluate.ts";
import type { Dataset, Grant, Policy, Subject } from "../policy/model.ts";
import { DeniedError } from "../audit/audit.ts";

/** The most roles that a hint lists, of those held and of the others: every message about a missing name has the hint. */
const MAX_LISTED_ROLES = 5;

/** Builds the hint: one to three sentences, or an empty text for a user to whom no other role would show more. */
export function buildRoleHint(policy: Policy, subject: Subject, { contact }: Organisation): string {
  const otherRoles = policy.roles.map(({ name }) => name).filter((name) => !subject.roles.includes(name));
  if (otherRoles.length === 0 || seesEverything(policy, subject)) return "";
  const list = listRoles(otherRoles);
  if (subject.token === undefined && subject.roles.length === 0)
    return `This user has no role. Available roles: ${list}. ${contact} can assign roles.`;
  const heldText = subject.roles.length === 0 ? "no role" : `the role ${listRoles(subject.roles)}`;
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

function listRoles(roles: readonly string[]): string {
  const more = roles.length > MAX_LISTED_ROLES ? ` and ${roles.length - MAX_LISTED_ROLES} more` : "";
  return `${roles.slice(0, MAX_LISTED_ROLES).join(", ")}${more}`;
}

/** Whether a user sees all rows of every dataset, and every column as stored, apart from what no role shows. */
function seesEverything(policy: Policy, subject: Subject): boolean {
  return policy.datasets.every((dataset) => {
    if (dataset.kind === "table" && dataset.hidden) return true;
    const decision = evaluate(policy, subject, dataset, "read");
    return decision.allowed && decision.grants.some((grant) => showsWhole(grant, dataset));
  });
}

function showsWhole({ rows, columns }: Grant, dataset: Dataset): boolean {
  const shownColumns = dataset.kind === "table" ? dataset.columns.filter(({ hidden }) => !hidden) : [];
  return rows === null && shownColumns.every(({ name }) => columns[name]?.kind === "clear");
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
