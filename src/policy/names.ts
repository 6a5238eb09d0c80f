// Names that people give, held against those that the policy has.
import { AppError } from "../errors.ts";
import { EMAIL_ADDRESS_FORM, describeAddress, parseEmailAddress } from "../lib/email-address.ts";
import type { EmailAddress } from "../lib/email-address.ts";
import { attributeProblems, describeProblem } from "./attributes.ts";
import type { AttributeProblem } from "./attributes.ts";
import type { Attributes, Policy } from "./model.ts";

/** Of a text that is no address. */
const MAX_SHOWN_CHARACTERS = 100;

/** The name by which groups are compared: exactly as it is, but an address in its one spelling. */
export function groupName(group: string): string {
  return parseEmailAddress(group) ?? group;
}

/** The names of the roles whose holders may administer. */
export function administeringRoles({ roles }: Policy): readonly string[] {
  return roles.filter(({ administers }) => administers).map(({ name }) => name);
}

/** The groups of the identity provider that give one of those roles. */
export function administeringGroups(policy: Policy): readonly string[] {
  const administering = administeringRoles(policy);
  return policy.groups
    .filter(({ roles }) => roles.some((role) => administering.includes(role)))
    .map(({ group }) => group);
}

/** An address as it was typed, in its one spelling. Errors: `invalid_input`. */
export function requireEmailAddress(text: string): EmailAddress {
  const address = parseEmailAddress(text);
  if (address !== undefined) return address;
  throw new AppError("invalid_input", notAnAddress(text));
}

/** Why a text is no address, and what would be. */
export function notAnAddress(text: string): string {
  return `${describeAddress(text.slice(0, MAX_SHOWN_CHARACTERS))} is no email address. ${EMAIL_ADDRESS_FORM}`;
}

/** Errors: `invalid_input`, with the roles that there are. */
export function requireRole({ roles }: Policy, role: string): void {
  const names = roles.map(({ name }) => name);
  if (!names.includes(role))
    throw new AppError("invalid_input", `There is no role ${role}. There are: ${names.join(", ") || "none"}.`);
}

/**
 * Checks attributes that are to be set against the policy; null takes one away. Returns warnings: what is set, but grants
 * nothing. Errors: `invalid_input`, for an attribute that there is not, with those that there are, and for a value that cannot be
 * compared as the rules do, with the rule.
 */
export function requireAttributes(policy: Policy, wanted: AttributeChanges): readonly string[] {
  const known = policy.attributes;
  const unknown = Object.keys(wanted).filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new AppError(
      "invalid_input",
      `The policy file knows no attribute ${unknown.join(", ")}. It knows: ${known.join(", ") || "none"}. attributes names more.`,
    );
  const set = Object.entries(wanted).flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]));
  const problems = attributeProblems(policy, Object.fromEntries(set));
  const texts = (kind: AttributeProblem["kind"]): readonly string[] =>
    problems
      .filter((problem) => problem.kind === kind)
      .map((problem) => `The attribute ${problem.attribute} ${describeProblem(problem)}`);
  const misfits = texts("type");
  if (misfits.length > 0) throw new AppError("invalid_input", misfits.join(" "));
  return texts("list");
}

/**
 * Warnings for attributes of the members table that do not count, because the policy file gives the member the same ones and beats the
 * table.
 */
export function overriddenWarnings({ members }: Policy, email: string, names: readonly string[]): readonly string[] {
  const declared = members.find((member) => member.email === email)?.attributes ?? {};
  return names
    .filter((name) => Object.hasOwn(declared, name))
    .map(
      (name) =>
        `The policy file gives ${email} the attribute ${name}, which beats the members table: what is set here does not act. Change it there.`,
    );
}

/** Values by name; null takes one away. */
export type AttributeChanges = Readonly<Record<string, Attributes[string] | null>>;
