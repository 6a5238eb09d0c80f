// The output of `npm run policy -- explain <email> <dataset> [column]`: what one user sees of a dataset, and by which rules.
import { escapeInvisible } from "../../src/lib/visible-text.ts";
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import { formatMask, listVisibleColumns } from "../../src/policy/guard-view.ts";
import { findAttributeProblems, describeAttributeProblem } from "../../src/policy/attributes.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import type { DenyReason, MemberRecord, Policy, Subject } from "../../src/policy/model.ts";
import type { ListedMember } from "../../src/members/member-row.ts";
import { disclosureText, rowsText } from "./words.ts";

const REASONS: Readonly<Record<DenyReason, string>> = {
  not_opened: 'it is hidden: it is declared with "hidden": true',
  no_role: "the user has no role",
  no_rule: "no rule of the user's roles names it",
  denied_by_rule: "a rule denies it",
  missing_attribute: "the user lacks an attribute that the rules need, or has one of the wrong type",
};

/** What is known or assumed about a user beyond the policy file. */
interface Supposed {
  /** Groups of the identity provider. */
  readonly groups: readonly string[];
  /** The user's roles and attributes in the members table. */
  readonly record: MemberRecord;
}

/** No groups and no entry in the members table. */
const NOTHING_SUPPOSED: Supposed = { groups: [], record: NO_MEMBER_RECORD };

/** Builds the lines to print. Throws `Error` for a dataset or column that is not declared. */
export function explain(
  policy: Policy,
  email: string,
  datasetId: string,
  column?: string,
  { groups, record }: Supposed = NOTHING_SUPPOSED,
): readonly string[] {
  const subject = resolveSubject(policy, { subjectId: "explained", email, groups }, record);
  return [...decisionLines(policy, subject, datasetId, column), ...misfitLines(policy, subject, datasetId)];
}

/** Describes attributes, from any place, that make a rule of the user's roles grant nothing. */
function misfitLines(policy: Policy, { roles, attributes }: Subject, dataset: string): readonly string[] {
  const rules = policy.rules.filter((rule) => rule.dataset === dataset && roles.includes(rule.role));
  return findAttributeProblems({ ...policy, rules }, attributes).map(
    (problem) => `  The attribute ${problem.attribute} ${describeAttributeProblem(problem)}`,
  );
}

/** Describes what a row of the members table gives, and what in it cannot be read. */
export function storedLines({ email, roles, attributes, unreadable }: ListedMember): readonly string[] {
  const given = roles.map(({ role }) => role).join(", ") || "none";
  return [
    `The members table gives ${email}: roles ${given}; attributes ${JSON.stringify(attributes)}.`,
    ...unreadable.map((name) => `In the members table, ${name} cannot be read, so it has no effect.`),
  ].map(escapeInvisible);
}

function decisionLines(policy: Policy, subject: Subject, datasetId: string, column?: string): readonly string[] {
  const { email } = subject;
  const dataset = policy.datasets.find(({ id }) => id === datasetId);
  if (dataset === undefined)
    throw new Error(`There is no dataset ${datasetId}. There are: ${policy.datasets.map(({ id }) => id).join(", ")}.`);
  const isMember = policy.members.some((member) => member.email === email);
  const isKnown = isMember || subject.roles.length > 0;
  const who = isKnown
    ? `${email}: roles ${subject.roles.join(", ") || "none"}`
    : `${email}: not in the policy file, so it gives them no role`;
  const decision = evaluate(policy, subject, dataset, "read");
  if (!decision.allowed)
    return [who, `${datasetId}: not allowed, because ${REASONS[decision.reason]}.`, ...ruleLines(decision.rules)];
  const lines = [
    who,
    `${datasetId}: allowed.`,
    ...decision.grants.map(({ rule, rows }) => `  ${rule}: rows ${rowsText(rows)}`),
  ];
  const denying = decision.rules.filter((rule) => !decision.grants.some((grant) => grant.rule === rule));
  if (dataset.kind === "documents") return [...lines, ...ruleLines(denying)];
  const names = dataset.columns.map(({ name }) => name);
  if (column !== undefined && !names.includes(column))
    throw new Error(`${datasetId} has no column ${column}. It has: ${names.join(", ")}.`);
  const masks = new Map(
    listVisibleColumns(decision, dataset).map((shown) => [shown.name, formatMask(shown) ?? "clear"]),
  );
  const columnLines = (column === undefined ? names : [column]).flatMap((name) => [
    `  ${name}: ${masks.get(name) ?? "hidden"}`,
    ...(column === undefined
      ? []
      : decision.grants.map((grant) => `    by ${grant.rule}: ${disclosureText(grant.columns[name])}`)),
    ...(column !== undefined && dataset.columns.some((declared) => declared.name === name && declared.hidden)
      ? ['    it is declared with "hidden": true']
      : []),
  ]);
  return [...lines, ...ruleLines(denying), ...columnLines];
}

function ruleLines(rules: readonly string[]): readonly string[] {
  return rules.map((rule) => `  ${rule}`);
}
