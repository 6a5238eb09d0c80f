// `npm run policy -- explain <email> <dataset> [column]`: what one person sees, and which rules say so.
import { escapeInvisible } from "../../src/lib/visible-text.ts";
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import { maskOf, visibleColumns } from "../../src/policy/views.ts";
import { attributeProblems, describeProblem } from "../../src/policy/attributes.ts";
import { NO_RECORD } from "../../src/policy/model.ts";
import type { Decision, MemberRecord, Policy, Subject } from "../../src/policy/model.ts";
import type { ListedMember } from "../../src/storage/member-row.ts";
import { disclosureText, rowsText } from "./words.ts";

const REASONS: Readonly<Record<Extract<Decision, { allowed: false }>["reason"], string>> = {
  not_opened: 'nobody has opened it: it is declared with "hidden": true',
  no_role: "the person has no role",
  no_rule: "no rule of the person's roles names it",
  denied_by_rule: "a rule denies it",
  missing_attribute: "the person lacks an attribute that the rules need, or has it of another type",
};

/** What counts of the person besides what the policy file says of them. */
export interface Supposed {
  /** Groups of the identity provider. */
  readonly groups: readonly string[];
  /** What the members table holds of them. */
  readonly record: MemberRecord;
}

export const NOTHING_SUPPOSED: Supposed = { groups: [], record: NO_RECORD };

/** Lines to print. Throws `Error` for a dataset or column that is not declared. */
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

/** Attributes that make a rule of this person's roles grant nothing, wherever they come from. */
function misfitLines(policy: Policy, { roles, attributes }: Subject, dataset: string): readonly string[] {
  const rules = policy.rules.filter((rule) => rule.dataset === dataset && roles.includes(rule.role));
  return attributeProblems({ ...policy, rules }, attributes).map(
    (problem) => `  The attribute ${problem.attribute} ${describeProblem(problem)}`,
  );
}

/** What a row of the members table gives. */
export function storedLines({ email, roles, attributes, unreadable }: ListedMember): readonly string[] {
  const given = roles.map(({ role }) => role).join(", ") || "none";
  return [
    `The members table gives ${email}: roles ${given}; attributes ${JSON.stringify(attributes)}.`,
    ...unreadable.map((name) => `In the members table, ${name} cannot be read, so it counts for nothing.`),
  ].map(escapeInvisible);
}

function decisionLines(policy: Policy, subject: Subject, datasetId: string, column?: string): readonly string[] {
  const { email } = subject;
  const dataset = policy.datasets.find(({ id }) => id === datasetId);
  if (dataset === undefined)
    throw new Error(`There is no dataset ${datasetId}. There are: ${policy.datasets.map(({ id }) => id).join(", ")}.`);
  const isMember = policy.members.some((member) => member.email === email);
  const isKnown = isMember || subject.roles.length > 0;
  const who = `${email}: ${isKnown ? `roles ${subject.roles.join(", ") || "none"}` : "is not in the policy file, so has no role from it"}`;
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
  const visible = new Map(visibleColumns(decision, dataset).map((one) => [one.name, maskOf(one) ?? "clear"]));
  const told = (column === undefined ? names : [column]).flatMap((name) => [
    `  ${name}: ${visible.get(name) ?? "hidden"}`,
    ...(column === undefined
      ? []
      : decision.grants.map((grant) => `    by ${grant.rule}: ${disclosureText(grant.columns[name])}`)),
    ...(column !== undefined && dataset.columns.some((one) => one.name === name && one.hidden)
      ? ['    nobody has opened it: it is declared with "hidden": true']
      : []),
  ]);
  return [...lines, ...ruleLines(denying), ...told];
}

function ruleLines(rules: readonly string[]): readonly string[] {
  return rules.map((rule) => `  ${rule}`);
}
