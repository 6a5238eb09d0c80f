// Says what a user still has after a removal from the members table: what the policy file and the groups of the identity provider give.
import { normalizeGroupName } from "./member-input.ts";
import type { Policy } from "./model.ts";

/** What was removed from a user. */
interface RemovedAccess {
  /** Normalized. */
  readonly email: string;
  /** The user's groups as the identity provider last gave them. */
  readonly groups: readonly string[];
  /** The role that was removed; absent when everything was. */
  readonly role?: string | undefined;
}

/** Lists what still gives the user the removed access, and how to end it. */
export function describeRemainingAccess(policy: Policy, { email, groups, role }: RemovedAccess): readonly string[] {
  const listRemaining = (roles: readonly string[]): readonly string[] =>
    roles.filter((held) => role === undefined || held === role).map((name) => `the role ${name}`);
  const declared = policy.members.find((member) => member.email === email);
  const attributes = role === undefined ? Object.keys(declared?.attributes ?? {}) : [];
  const given = [...listRemaining(declared?.roles ?? []), ...attributes.map((name) => `the attribute ${name}`)];
  const userGroups = new Set(groups.map(normalizeGroupName));
  const groupTexts = policy.groups
    .filter(({ group }) => userGroups.has(group))
    .map(({ group, roles }) => ({ group, given: listRemaining(roles) }))
    .filter((entry) => entry.given.length > 0)
    .map((entry) => {
      const remaining = `The group ${JSON.stringify(entry.group)} still gives ${email} ${entry.given.join(", ")}.`;
      return `${remaining} Remove ${email} from it at the identity provider.`;
    });
  const declaredText = `The policy file still gives ${email} ${given.join(", ")}. Remove that in the policy file.`;
  return given.length === 0 ? groupTexts : [declaredText, ...groupTexts];
}
