// The output of `npm run policy -- explain <email> <dataset> [column]`: what one user sees of a dataset and may change in it, and by
// which rules.
import { escapeInvisible } from "../../src/lib/visible-text.ts";
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import { evaluateChange } from "../../src/policy/evaluate-change.ts";
import { listSettableColumns } from "../../src/policy/change-plan.ts";
import { formatMask, listVisibleColumns } from "../../src/policy/guard-view.ts";
import { findAttributeProblems, describeAttributeProblem } from "../../src/policy/attributes.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import type {
  AllowedDecision,
  Dataset,
  DenyReason,
  Disclosure,
  MemberRecord,
  Policy,
  Rule,
  Subject,
  TableDataset,
} from "../../src/policy/model.ts";
import type { ListedMember } from "../../src/members/member-row.ts";
import { CliError } from "../kit/cli-error.ts";
import { describeValues } from "../../src/policy/change-values.ts";
import { termsText } from "./change-words.ts";
import { disclosureText, listRecordedKey, rowsText } from "./words.ts";

/** Why a decision denies, as the end of a sentence. */
export const REASONS: Readonly<Record<DenyReason, string>> = {
  not_opened: 'it is hidden: it is declared with "hidden": true',
  no_role: "the user has no role",
  no_rule: "no rule of the user's roles names it",
  denied_by_rule: "a rule denies it",
  missing_attribute: "the user lacks an attribute that the rules need, or has one of the wrong type",
  unclear_row_rule: "the rows of the rules depend on a column that the user does not see in clear on every row",
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

/** What one rule lets the user change. */
interface ExplainedChange {
  readonly rule: string;
  /** The operations, rows and approval. */
  readonly terms: string;
  /** The columns that it sets, each with the values; null for a column that the user does not see in clear and may not reveal. */
  readonly columns: readonly { readonly name: string; readonly values: string | null }[];
}

/** What the user may change. */
interface ExplainedChanges {
  /** Why the user may change nothing; null when something is allowed. */
  readonly denied: DenyReason | null;
  readonly grants: readonly ExplainedChange[];
  /** Rules that took part in the decision and grant nothing. */
  readonly denyingRules: readonly string[];
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
  /** Null where no rule is about changes of the dataset. */
  readonly changes: ExplainedChanges | null;
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
    changes: explainChanges(policy, subject, dataset),
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

function explainChanges(policy: Policy, subject: Subject, dataset: Dataset): ExplainedChanges | null {
  if (dataset.kind !== "table" || !policy.changeRules.some((rule) => rule.dataset === dataset.id)) return null;
  const decision = evaluateChange(policy, subject, dataset);
  if (!decision.allowed) return { denied: decision.reason, grants: [], denyingRules: decision.rules };
  const grants = decision.grants.map((grant): ExplainedChange => {
    const settable = listSettableColumns(decision, [grant]);
    const columns = dataset.columns.flatMap((column) => {
      const schema = Object.hasOwn(grant.columns, column.name) ? grant.columns[column.name] : undefined;
      if (schema === undefined) return [];
      return [{ name: column.name, values: settable.includes(column) ? describeValues(column.type, schema) : null }];
    });
    return { rule: grant.rule, terms: termsText(grant), columns };
  });
  const grantIds = grants.map(({ rule }) => rule);
  return { denied: null, grants, denyingRules: decision.rules.filter((rule) => !grantIds.includes(rule)) };
}

function changeLines(dataset: string, changes: ExplainedChanges | null): readonly string[] {
  if (changes === null) return [];
  const { denied, grants, denyingRules } = changes;
  return [
    denied === null ? `${dataset}: changes allowed.` : `${dataset}: changes not allowed, because ${REASONS[denied]}.`,
    ...grants.flatMap(({ rule, terms, columns }) => [
      `  ${rule}: ${terms}`,
      ...columns.map(
        ({ name, values }) => `    ${name}: ${values ?? "not for this user, who does not see it in clear"}`,
      ),
    ]),
    ...denyingRules.map((rule) => `  ${rule}`),
  ];
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
  const { attributeProblems, recordedKey, changes } = explanation;
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
    ...changeLines(dataset, changes),
    ...attributeProblems.map((problem) => `  ${problem}`),
  ];
}

function misfits(policy: Policy, { roles, attributes }: Subject, dataset: string): readonly string[] {
  const isUsed = (rule: Pick<Rule, "role" | "dataset">): boolean =>
    rule.dataset === dataset && roles.includes(rule.role);
  const { rules, changeRules, datasets } = policy;
  const used = { rules: rules.filter(isUsed), changeRules: changeRules.filter(isUsed), datasets };
  return findAttributeProblems(used, attributes).map(
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
