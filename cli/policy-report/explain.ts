// The output of `npm run policy -- explain <email> <dataset> [column]`: what one user sees of a dataset, and by which rules.
import { escapeInvisible } from "../../src/lib/visible-text.ts";
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import { formatMask, listVisibleColumns } from "../../src/policy/guard-view.ts";
import { findAttributeProblems, describeAttributeProblem } from "../../src/policy/attributes.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import type {
  AllowedDecision,
  DenyReason,
  Disclosure,
  MemberRecord,
  Policy,
  Subject,
  TableDataset,
} from "../../src/policy/model.ts";
import type { ListedMember } from "../../src/members/member-row.ts";
import { CliError } from "../kit/cli-error.ts";
import { disclosureText, listRecordedKey, rowsText } from "./words.ts";

/** Why a decision denies, as the end of a sentence. */
export const REASONS: Readonly<Record<DenyReason, string>> = {
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

/** How a column is shown to the user. */
interface ExplainedColumn {
  readonly name: string;
  /** The mask, `clear` or `hidden`. */
  readonly shownAs: string;
  readonly grants: readonly { readonly rule: string; readonly shownAs: string }[];
  /** Whether the policy file declares it with `"hidden": true`. */
  readonly isDeclaredHidden: boolean;
}

/** What one user sees of a dataset, and by which rules. */
export interface Explanation {
  readonly email: string;
  readonly roles: readonly string[];
  /** Whether the policy file, a group or the members table names the user. */
  readonly isKnown: boolean;
  readonly dataset: string;
  /** Why the dataset is not allowed; null when it is allowed. */
  readonly denied: DenyReason | null;
  readonly grants: readonly { readonly rule: string; readonly rows: string }[];
  /** Rules that took part in the decision and grant nothing. */
  readonly denyingRules: readonly string[];
  /** The named column, or all columns; empty when the dataset is not allowed and for documents. */
  readonly columns: readonly ExplainedColumn[];
  /** Attributes, from any place, that make a rule of the user's roles grant nothing. */
  readonly attributeProblems: readonly string[];
  /** The columns by which audit records name its rows; empty if they do not. */
  readonly recordedKey: readonly string[];
}

/** Explains a decision. Throws `CliError` for a dataset or column that is not declared. */
export function explainDecision(
  policy: Policy,
  email: string,
  datasetId: string,
  column?: string,
  { groups, record }: Supposed = NOTHING_SUPPOSED,
): Explanation {
  const subject = resolveSubject(policy, { subjectId: "explained", email, groups }, record);
  const dataset = policy.datasets.find(({ id }) => id === datasetId);
  if (dataset === undefined)
    throw new CliError(
      `There is no dataset ${datasetId}. There are: ${policy.datasets.map(({ id }) => id).join(", ")}.`,
    );
  const decision = evaluate(policy, subject, dataset, "read");
  const grants = decision.allowed ? decision.grants : [];
  return {
    email,
    roles: subject.roles,
    isKnown: policy.members.some((member) => member.email === email) || subject.roles.length > 0,
    dataset: datasetId,
    denied: decision.allowed ? null : decision.reason,
    grants: grants.map(({ rule, rows }) => ({ rule, rows: rowsText(rows) })),
    denyingRules: decision.rules.filter((rule) => !grants.some((grant) => grant.rule === rule)),
    columns: decision.allowed && dataset.kind !== "documents" ? explainColumns(decision, dataset, column) : [],
    attributeProblems: misfits(policy, subject, datasetId),
    recordedKey: listRecordedKey(dataset),
  };
}

function explainColumns(
  decision: AllowedDecision,
  dataset: TableDataset,
  column: string | undefined,
): readonly ExplainedColumn[] {
  const names = dataset.columns.map(({ name }) => name);
  if (column !== undefined && !names.includes(column))
    throw new CliError(`${dataset.id} has no column ${column}. It has: ${names.join(", ")}.`);
  const masks = new Map(
    listVisibleColumns(decision, dataset).map((shown) => [shown.name, formatMask(shown) ?? "clear"]),
  );
  return (column === undefined ? names : [column]).map((name) => ({
    name,
    shownAs: masks.get(name) ?? "hidden",
    grants: decision.grants.map((grant) => ({ rule: grant.rule, shownAs: describeDisclosure(grant.columns[name]) })),
    isDeclaredHidden: dataset.columns.some((declared) => declared.name === name && declared.hidden),
  }));
}

function describeDisclosure(disclosure: Disclosure | undefined): string {
  return disclosure === undefined || disclosure.kind === "hidden" ? "hidden" : disclosureText(disclosure);
}

/** Builds the lines to print. A named column is shown with the rules behind it. */
export function explain(
  ...[policy, email, dataset, column, supposed]: Parameters<typeof explainDecision>
): readonly string[] {
  return explanationLines(explainDecision(policy, email, dataset, column, supposed), column !== undefined);
}

/** Writes an explanation as lines. `withGrants` adds under each column the rules behind it. */
export function explanationLines(explanation: Explanation, withGrants: boolean): readonly string[] {
  const { email, roles, isKnown, dataset, denied, grants, denyingRules, columns } = explanation;
  const { attributeProblems, recordedKey } = explanation;
  const columnLines = columns.flatMap(({ name, shownAs, grants: behind, isDeclaredHidden }) => [
    `  ${name}: ${shownAs}`,
    ...(withGrants
      ? behind.map((grant) => `    by ${grant.rule}: ${grant.shownAs === "hidden" ? "–" : grant.shownAs}`)
      : []),
    ...(withGrants && isDeclaredHidden ? ['    it is declared with "hidden": true'] : []),
  ]);
  return [
    isKnown
      ? `${email}: roles ${roles.join(", ") || "none"}`
      : `${email}: not in the policy file, so it gives them no role`,
    denied === null ? `${dataset}: allowed.` : `${dataset}: not allowed, because ${REASONS[denied]}.`,
    ...grants.map(({ rule, rows }) => `  ${rule}: rows ${rows}`),
    ...denyingRules.map((rule) => `  ${rule}`),
    ...columnLines,
    ...(recordedKey.length === 0 ? [] : [`  Audit records name the returned rows by ${recordedKey.join(", ")}.`]),
    ...attributeProblems.map((problem) => `  ${problem}`),
  ];
}

function misfits(policy: Policy, { roles, attributes }: Subject, dataset: string): readonly string[] {
  const rules = policy.rules.filter((rule) => rule.dataset === dataset && roles.includes(rule.role));
  return findAttributeProblems({ ...policy, rules }, attributes).map(
    (problem) => `The attribute ${problem.attribute} ${describeAttributeProblem(problem)}`,
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
