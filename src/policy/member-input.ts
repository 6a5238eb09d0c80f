// Validates roles, attributes and addresses that admins and commands enter against the policy. Does not write the members table.
import { cutText } from "../lib/text-cut.ts";
import { AppError } from "../errors.ts";
import { EMAIL_ADDRESS_FORM, describeAddress, parseEmailAddress } from "../lib/email-address.ts";
import type { EmailAddress } from "../lib/email-address.ts";
import { findAttributeProblems, describeAttributeProblem } from "./attributes.ts";
import type { AttributeProblem } from "./attributes.ts";
import type { Attributes, Policy } from "./model.ts";

/** Longer input is cut before a message quotes it. */
const MAX_SHOWN_CHARACTERS = 100;

/** Normalizes a group name for comparison: an email address is put in normalized form, any other name stays unchanged. */
export function normalizeGroupName(group: string): string {
  return parseEmailAddress(group) ?? group;
}

/** Lists the names of the roles that may add and remove members. */
export function listAdministeringRoles({ roles }: Policy): readonly string[] {
  return roles.filter(({ administers }) => administers).map(({ name }) => name);
}

/** Lists the names of the roles that may read the audit log. */
export function listAuditingRoles({ roles }: Policy): readonly string[] {
  return roles.filter(({ audits }) => audits !== false).map(({ name }) => name);
}

/** Lists the identity provider's groups that give a role from `listAdministeringRoles`. */
export function listAdministeringGroups(policy: Policy): readonly string[] {
  const administeringRoles = listAdministeringRoles(policy);
  return policy.groups
    .filter(({ roles }) => roles.some((role) => administeringRoles.includes(role)))
    .map(({ group }) => group);
}

/** Parses a typed email address to its normalized form. Errors: `invalid_input`. */
export function requireEmailAddress(text: string): EmailAddress {
  const address = parseEmailAddress(text);
  if (address !== undefined) return address;
  throw new AppError("invalid_input", describeInvalidAddress(text));
}

/** Says that a text is not an email address, and what an address looks like. */
export function describeInvalidAddress(text: string): string {
  return `${describeAddress(cutText(text, MAX_SHOWN_CHARACTERS))} is not an email address. ${EMAIL_ADDRESS_FORM}`;
}

/** Requires that the policy has the role. Errors: `invalid_input`, with the names of the roles. */
export function requireRole({ roles }: Policy, role: string): void {
  const names = roles.map(({ name }) => name);
  if (!names.includes(role))
    throw new AppError("invalid_input", `There is no role ${role}. There are: ${names.join(", ") || "none"}.`);
}

/**
 * Checks attribute changes against the policy. Returns warnings about values that may be set but grant nothing. Errors: `invalid_input`
 * for an undeclared attribute, with the declared ones, and for a value that a rule cannot compare, with the rule.
 */
export function requireAttributes(policy: Policy, changes: AttributeChanges): readonly string[] {
  const declaredAttributes = policy.attributes;
  const unknownAttributes = Object.keys(changes).filter((name) => !declaredAttributes.includes(name));
  if (unknownAttributes.length > 0)
    throw new AppError(
      "invalid_input",
      [
        `The policy file declares no attribute ${unknownAttributes.join(", ")}.`,
        `It declares: ${declaredAttributes.join(", ") || "none"}. Declare more under \`attributes\`.`,
      ].join(" "),
    );
  const newAttributes = Object.entries(changes).flatMap(([name, value]) =>
    value === null ? [] : [[name, value] as const],
  );
  const problems = findAttributeProblems(policy, Object.fromEntries(newAttributes));
  const describeProblems = (kind: AttributeProblem["kind"]): readonly string[] =>
    problems
      .filter((problem) => problem.kind === kind)
      .map((problem) => `The attribute ${problem.attribute} ${describeAttributeProblem(problem)}`);
  const misfits = describeProblems("type");
  if (misfits.length > 0) throw new AppError("invalid_input", misfits.join(" "));
  return describeProblems("list");
}

/** Warns about attributes of the members table that have no effect because the policy file declares the same ones for the member. */
export function overriddenWarnings({ members }: Policy, email: string, names: readonly string[]): readonly string[] {
  const declaredAttributes = members.find((member) => member.email === email)?.attributes ?? {};
  return names
    .filter((name) => Object.hasOwn(declaredAttributes, name))
    .map((name) =>
      [
        `The policy file gives ${email} the attribute ${name}, which overrides the members table, so the value here has no effect.`,
        "Change it in the policy file.",
      ].join(" "),
    );
}

/** New attribute values by name. Null removes the attribute. */
export type AttributeChanges = Readonly<Record<string, Attributes[string] | null>>;
