// The policy decision point: pure, no clock and no I/O. Given who asks, what and for which action, it says what they
// may see and why.
import { ownerIdOf } from "../lib/identity.ts";
import { parseEmailAddress } from "../lib/email-address.ts";
import type { Identity } from "../lib/identity.ts";
import { groupName } from "./names.ts";
import { attributeFits, fitsType } from "./masks.ts";
import type {
  Action,
  BoundCondition,
  Condition,
  Dataset,
  Decision,
  Disclosure,
  Grant,
  MemberRecord,
  Policy,
  Rule,
  Scalar,
  Subject,
  SubjectPart,
  SubjectValue,
  ValuePart,
} from "./model.ts";

/**
 * An identity with the roles and attributes that it has now.
 *
 * The law:
 * - Roles are united: of the policy file's member, of the groups that the identity provider tells, of the members table.
 *   A role that the policy does not have counts for nothing.
 * - The policy file's attributes beat those of the members table.
 * - Addresses, also as names of groups, are compared in their one spelling; a person without one has nothing.
 * - An access token has those of its own roles that its owner has now. All else it has from its owner.
 */
export function resolveSubject(policy: Policy, identity: Identity, record: MemberRecord): Subject {
  const email = parseEmailAddress(identity.email);
  if (email === undefined) return { ...identity, roles: [], attributes: {} };
  const declared = policy.members.find((candidate) => candidate.email === email);
  const inGroups = new Set(identity.groups.map(groupName));
  const ofGroups = policy.groups.filter(({ group }) => inGroups.has(group)).flatMap(({ roles }) => roles);
  const held = new Set([...(declared?.roles ?? []), ...ofGroups, ...record.roles]);
  const counts = (role: string): boolean => identity.token === undefined || identity.token.roles.includes(role);
  const known = new Set(policy.roles.map(({ name }) => name));
  return {
    ...identity,
    email,
    roles: [...held].filter((role) => known.has(role) && counts(role)),
    attributes: { ...record.attributes, ...declared?.attributes },
  };
}

/** Whether somebody with these roles may add and remove members. An access token never may. */
export function mayAdminister({ roles }: Policy, subject: Subject): boolean {
  return (
    subject.token === undefined && roles.some(({ name, administers }) => administers && subject.roles.includes(name))
  );
}

/**
 * Decides one action of one subject on one dataset.
 *
 * The law:
 * - Default deny: without a rule that allows, the answer is no.
 * - What nobody has opened yet, a table or a column, no rule shows.
 * - Deny beats allow: one matching deny rule without column names ends the matter; one that names columns hides them
 *   in every grant.
 * - Grants are united: each allowing rule of any of the subject's roles adds its rows, and for a row reached by several
 *   the least masked form counts (see views).
 * - A rule that needs an attribute which the subject lacks grants nothing.
 * - Every decision names the rules that led to it.
 */
export function evaluate(policy: Policy, subject: Subject, dataset: Dataset, action: Action): Decision {
  const deny = (reason: Extract<Decision, { allowed: false }>["reason"], rules: readonly Rule[]): Decision => ({
    allowed: false,
    dataset: dataset.id,
    reason,
    rules: rules.map((rule) => rule.id),
  });
  if (subject.roles.length === 0) return deny("no_role", []);
  if (dataset.kind === "table" && dataset.hidden) return deny("not_opened", []);
  const matching = policy.rules.filter(
    (rule) => subject.roles.includes(rule.role) && rule.dataset === dataset.id && rule.action === action,
  );
  const denying = matching.filter((rule) => rule.effect === "deny");
  const total = denying.filter((rule) => rule.hidden.length === 0);
  if (total.length > 0) return deny("denied_by_rule", total);
  const allowing = matching.filter((rule) => rule.effect === "allow");
  if (allowing.length === 0) return deny("no_rule", []);
  const denied = new Set(denying.flatMap((rule) => rule.hidden));
  const grants = allowing.flatMap((rule) => grantOf(rule, dataset, subject, denied));
  if (grants.length === 0) return deny("missing_attribute", allowing);
  return {
    allowed: true,
    dataset,
    grants,
    rules: [...denying.map((rule) => rule.id), ...grants.map((grant) => grant.rule)],
  };
}

function grantOf(rule: Rule, dataset: Dataset, subject: Subject, denied: ReadonlySet<string>): Grant[] {
  const rows = rule.rows === null ? null : bind(rule.rows, subject, dataset);
  if (rows === undefined) return [];
  const declared = dataset.kind === "table" ? dataset.columns : [];
  const columns = Object.fromEntries(
    declared.map(({ name, hidden }): [string, Disclosure] => [
      name,
      hidden ? { kind: "hidden" } : disclosureOf(rule, name, denied),
    ]),
  );
  return [{ rule: rule.id, rows, columns, reveal: rule.reveal.filter((name) => columns[name]?.kind !== "hidden") }];
}

function disclosureOf(rule: Rule, column: string, denied: ReadonlySet<string>): Disclosure {
  if (denied.has(column) || rule.hidden.includes(column)) return { kind: "hidden" };
  return (Object.hasOwn(rule.masks, column) ? rule.masks[column] : undefined) ?? { kind: "clear" };
}

/** Fills in subject values. Undefined when one is missing: the whole rule then grants nothing, also below `any`. */
function bind(condition: Condition, subject: Subject, dataset: Dataset): BoundCondition | undefined {
  if ("all" in condition) {
    const all = condition.all.map((part) => bind(part, subject, dataset));
    return all.some((part) => part === undefined) ? undefined : { all: all.filter((part) => part !== undefined) };
  }
  if ("any" in condition) {
    const any = condition.any.map((part) => bind(part, subject, dataset));
    return any.some((part) => part === undefined) ? undefined : { any: any.filter((part) => part !== undefined) };
  }
  if ("parts" in condition) {
    const parts = condition.parts.map((part) => (part.kind === "subject" ? valueOf(part, subject, dataset) : part));
    return parts.some((part) => part === undefined) ? undefined : { parts: parts.filter((part) => part !== undefined) };
  }
  if (!("value" in condition)) return condition;
  const check = isSubjectValue(condition.value) ? attributeFits : fitsType;
  if (condition.op === "in") {
    const value = isSubjectValue(condition.value) ? subjectValue(subject, condition.value.subject) : condition.value;
    const list = typeof value === "object" ? value : [value];
    if (!list.every((item) => item !== undefined && fits(dataset, condition.column, item, check))) return undefined;
    return { column: condition.column, op: "in", value: list.filter((item) => item !== undefined) };
  }
  const value = isSubjectValue(condition.value) ? subjectValue(subject, condition.value.subject) : condition.value;
  // A list where the rule compares with one value is as useless as none: deny rather than guess which one is meant.
  if (value === undefined || typeof value === "object" || !fits(dataset, condition.column, value, check))
    return undefined;
  return { column: condition.column, op: condition.op, value };
}

/** An empty list grants nothing, also behind NOT IN. */
function valueOf(
  { subject: name, column, isList }: SubjectPart,
  subject: Subject,
  dataset: Dataset,
): ValuePart | undefined {
  const value = subjectValue(subject, name);
  if (value === undefined || (typeof value === "object" && !isList)) return undefined;
  const list = typeof value === "object" ? value : [value];
  if (list.length === 0 || !list.every((one) => fits(dataset, column, one, attributeFits))) return undefined;
  return { kind: "value", value: isList ? list : value };
}

/** SQLite compares a number with text by type, not by value: `!=` would then hold for every row. */
function fits(dataset: Dataset, column: string, value: Scalar, check: typeof fitsType): boolean {
  const type = dataset.kind === "table" ? dataset.columns.find(({ name }) => name === column)?.type : undefined;
  return type !== undefined && check(type, value);
}

function isSubjectValue(value: Scalar | SubjectValue | readonly Scalar[]): value is SubjectValue {
  return typeof value === "object" && "subject" in value;
}

function subjectValue(subject: Subject, name: string): Scalar | readonly Scalar[] | undefined {
  // An access token sees its owner's rows: "not mine" must not come to mean "the owner's".
  if (name === "id") return ownerIdOf(subject);
  if (name === "email") return subject.email;
  return Object.hasOwn(subject.attributes, name) ? subject.attributes[name] : undefined;
}
