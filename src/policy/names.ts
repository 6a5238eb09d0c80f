// Names that people give, held against those that the policy has.
import { AppError } from "../errors.ts";
import { EMAIL_ADDRESS_FORM, describeAddress, parseEmailAddress } from "../lib/email-address.ts";
import type { EmailAddress } from "../lib/email-address.ts";
import type { Policy } from "./model.ts";

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

/** An address that somebody typed, in its one spelling. Errors: `invalid_input`. */
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

/** Errors: `invalid_input`, with the attributes that there are. */
export function requireAttributes({ attributes }: Policy, names: readonly string[]): void {
  const unknown = names.filter((name) => !attributes.includes(name));
  if (unknown.length > 0)
    throw new AppError(
      "invalid_input",
      `The policy file knows no attribute ${unknown.join(", ")}. It knows: ${attributes.join(", ") || "none"}. attributes names more.`,
    );
}
