// Names that people give, held against those that the policy has.
import { AppError } from "../errors.ts";
import type { Policy } from "./model.ts";

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
