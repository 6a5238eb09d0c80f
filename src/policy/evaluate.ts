// The policy decision point. Given a subject, a dataset and an action, it decides what the subject may see, and names the rules that
// led to the decision. Pure: no clock and no I/O.
import { getOwnerId } from "../lib/identity.ts";
import { parseEmailAddress } from "../lib/email-address.ts";
import type { Identity } from "../lib/identity.ts";
import { normalizeGroupName } from "./member-input.ts";
import { isComparableAttribute, isComparableLiteral } from "./masks.ts";
import type {
  Action,
  BoundCondition,
  Condition,
  Dataset,
  Decision,
  DenyReason,
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
 * Resolves an identity to the roles and attributes that it has now.
 *
 * Rules:
 * - Roles are the union of three sources: the policy file's member, the identity provider's groups, and the members table.
 *   A role that the policy does not define is ignored.
 * - Attributes of the policy file override those of the members table.
 * - Addresses, including group names that are addresses, are compared in normalized form. An identity without a valid address has no
 *   roles and no attributes.
 * - A personal access token has those of its own roles that its owner has now. It has everything else from its owner.
 */
export function resolveSubject(policy: Policy, identity: Identity, memberRecord: MemberRecord): Subject {
  const email = parseEmailAddress(identity.email);
  if (email === undefined) return { ...identity, roles: [], attributes: {} };
  const declaredMember = policy.members.find((candidate) => candidate.email === email);
  const subjectGroups = new Set(identity.groups.map(normalizeGroupName));
  const groupRoles = policy.groups.filter(({ group }) => subjectGroups.has(group)).flatMap(({ roles }) => roles);
  const heldRoles = new Set([...(declaredMember?.roles ?? []), ...groupRoles, ...memberRecord.roles]);
  const isAllowedByPat = (role: string): boolean => identity.token === undefined || identity.token.roles.includes(role);
  const policyRoles = new Set(policy.roles.map(({ name }) => name));
  return {
    ...identity,
    email,
    roles: [...heldRoles].filter((role) => policyRoles.has(role) && isAllowedByPat(role)),
    attributes: { ...memberRecord.attributes, ...declaredMember?.attributes },
  };
}

/** Whether the subject may add and remove members. A personal access token never may. */
export function mayAdminister({ roles }: Policy, subject: Subject): boolean {
  return (
    subject.token === undefined && roles.some(({ name, administers }) => administers && subject.roles.includes(name))
  );
}

/** What a subject may read of the audit log. */
export type AuditAccess = "none" | "without arguments" | "with arguments";

/** Decides what the subject may read of the audit log. A personal access token may read nothing of it. */
export function decideAuditAccess({ roles }: Policy, subject: Subject): AuditAccess {
  if (subject.token !== undefined) return "none";
  const held = roles.filter(({ name }) => subject.roles.includes(name)).map(({ audits }) => audits);
  if (held.includes("with arguments")) return "with arguments";
  return held.includes(true) ? "without arguments" : "none";
}

/**
 * Decides one action of one subject on one dataset.
 *
 * Rules:
 * - Default deny: without a rule that allows, the decision is no.
 * - A table or column that is declared `hidden` is never shown, whatever the rules say.
 * - Deny overrides allow: a matching deny rule without column names denies the whole dataset; one with column names hides these
 *   columns in every grant.
 * - Grants are united: each allow rule of any of the subject's roles adds its rows. A row that several grants reach is shown in its
 *   least masked form (see guard-view.ts).
 * - A rule that needs an attribute which the subject does not have grants nothing.
 * - Every decision names the rules that led to it.
 */
export function evaluate(policy: Policy, subject: Subject, dataset: Dataset, action: Action): Decision {
  const deny = (reason: DenyReason, rules: readonly Rule[]): Decision => ({
    allowed: false,
    dataset: dataset.id,
    reason,
    rules: rules.map((rule) => rule.id),
  });
  if (subject.roles.length === 0) return deny("no_role", []);
  if (dataset.kind === "table" && dataset.hidden) return deny("not_opened", []);
  const matchingRules = policy.rules.filter(
    (rule) => subject.roles.includes(rule.role) && rule.dataset === dataset.id && rule.action === action,
  );
  const denyRules = matchingRules.filter((rule) => rule.effect === "deny");
  const datasetDenyRules = denyRules.filter((rule) => rule.hidden.length === 0);
  if (datasetDenyRules.length > 0) return deny("denied_by_rule", datasetDenyRules);
  const allowRules = matchingRules.filter((rule) => rule.effect === "allow");
  if (allowRules.length === 0) return deny("no_rule", []);
  const deniedColumns = new Set(denyRules.flatMap((rule) => rule.hidden));
  const grants = allowRules.flatMap((rule) => listGrants(rule, dataset, subject, deniedColumns));
  if (grants.length === 0) return deny("missing_attribute", allowRules);
  return {
    allowed: true,
    dataset,
    grants,
    rules: [...denyRules.map((rule) => rule.id), ...grants.map((grant) => grant.rule)],
  };
}

function listGrants(rule: Rule, dataset: Dataset, subject: Subject, deniedColumns: ReadonlySet<string>): Grant[] {
  const rows = rule.rows === null ? null : bindCondition(rule.rows, subject, dataset);
  if (rows === undefined) return [];
  const declaredColumns = dataset.kind === "table" ? dataset.columns : [];
  const columns = Object.fromEntries(
    declaredColumns.map(({ name, hidden }): [string, Disclosure] => [
      name,
      hidden ? { kind: "hidden" } : getRuleDisclosure(rule, name, deniedColumns),
    ]),
  );
  return [{ rule: rule.id, rows, columns, reveal: rule.reveal.filter((name) => columns[name]?.kind !== "hidden") }];
}

function getRuleDisclosure(rule: Rule, column: string, deniedColumns: ReadonlySet<string>): Disclosure {
  if (deniedColumns.has(column) || rule.hidden.includes(column)) return { kind: "hidden" };
  return (Object.hasOwn(rule.masks, column) ? rule.masks[column] : undefined) ?? { kind: "clear" };
}

/** Fills in subject values. Undefined when one is missing: the whole rule then grants nothing, even when the value is below `any`. */
export function bindCondition(condition: Condition, subject: Subject, dataset: Dataset): BoundCondition | undefined {
  if ("all" in condition) {
    const all = condition.all.map((part) => bindCondition(part, subject, dataset));
    return all.some((part) => part === undefined) ? undefined : { all: all.filter((part) => part !== undefined) };
  }
  if ("any" in condition) {
    const any = condition.any.map((part) => bindCondition(part, subject, dataset));
    return any.some((part) => part === undefined) ? undefined : { any: any.filter((part) => part !== undefined) };
  }
  if ("parts" in condition) {
    const parts = condition.parts.map((part) =>
      part.kind === "subject" ? bindSubjectPart(part, subject, dataset) : part,
    );
    return parts.some((part) => part === undefined) ? undefined : { parts: parts.filter((part) => part !== undefined) };
  }
  if (!("value" in condition)) return condition;
  const isComparable = isSubjectValue(condition.value) ? isComparableAttribute : isComparableLiteral;
  if (condition.op === "in") {
    const value = isSubjectValue(condition.value)
      ? readSubjectValue(subject, condition.value.subject)
      : condition.value;
    const list = typeof value === "object" ? value : [value];
    if (!list.every((item) => item !== undefined && fitsColumn(dataset, condition.column, item, isComparable)))
      return undefined;
    return { column: condition.column, op: "in", value: list.filter((item) => item !== undefined) };
  }
  const value = isSubjectValue(condition.value) ? readSubjectValue(subject, condition.value.subject) : condition.value;
  // The rule compares a single value: deny instead of guessing which item of a list is meant.
  if (value === undefined || typeof value === "object" || !fitsColumn(dataset, condition.column, value, isComparable))
    return undefined;
  return { column: condition.column, op: condition.op, value };
}

/** Fills in one subject value. An empty list grants nothing, because behind NOT IN it would match every row. */
function bindSubjectPart(
  { subject: name, column, isList }: SubjectPart,
  subject: Subject,
  dataset: Dataset,
): ValuePart | undefined {
  const value = readSubjectValue(subject, name);
  if (value === undefined || (typeof value === "object" && !isList)) return undefined;
  const list = typeof value === "object" ? value : [value];
  if (list.length === 0 || !list.every((item) => fitsColumn(dataset, column, item, isComparableAttribute)))
    return undefined;
  return { kind: "value", value: isList ? list : value };
}

/** SQLite compares a number with text by type, not by value: `!=` would then be true for every row. */
function fitsColumn(
  dataset: Dataset,
  column: string,
  value: Scalar,
  isComparable: typeof isComparableLiteral,
): boolean {
  const type = dataset.kind === "table" ? dataset.columns.find(({ name }) => name === column)?.type : undefined;
  return type !== undefined && isComparable(type, value);
}

function isSubjectValue(value: Scalar | SubjectValue | readonly Scalar[]): value is SubjectValue {
  return typeof value === "object" && "subject" in value;
}

function readSubjectValue(subject: Subject, name: string): Scalar | readonly Scalar[] | undefined {
  // A personal access token sees its owner's rows. With its own id, a rule "not my rows" would come to mean "the owner's rows".
  if (name === "id") return getOwnerId(subject);
  if (name === "email") return subject.email;
  return Object.hasOwn(subject.attributes, name) ? subject.attributes[name] : undefined;
}
