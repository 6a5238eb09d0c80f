// Checks member attributes against the columns that row rules compare them with. SQLite compares a number with text by type, so an
// attribute of the wrong type would match no row, or with `!=` every row. `evaluate` then denies; this module tells the operator why.
import { shortenText } from "../lib/text-cut.ts";
import { parseEmailAddress } from "../lib/email-address.ts";
import { listRowRules, listSubjectComparisons } from "./conditions.ts";
import type { SubjectComparison } from "./conditions.ts";
import { isComparableAttribute, isTextual } from "./masks.ts";
import type { Attributes, ColumnType, Policy, Scalar } from "./model.ts";

/** One comparison of a subject value with a column, and the rule that makes it. */
interface AttributeUse extends SubjectComparison {
  readonly rule: string;
  /** `source.table.column` */
  readonly path: string;
  readonly type: ColumnType;
}

/** `type`: the value does not fit the column's type. `list`: the rule compares a single value, so a list grants nothing. */
export interface AttributeProblem {
  readonly kind: "type" | "list";
  readonly attribute: string;
  readonly value: Scalar | readonly Scalar[];
  readonly use: AttributeUse;
}

/** Subject values that every user has besides attributes. Both are text. */
export const BUILT_IN_VALUES = ["id", "email"];

/** The rules of a policy that may compare attributes with columns. */
export type ComparingRules = Pick<Policy, "rules" | "changeRules" | "datasets">;

/** Lists every comparison of a subject value in the rules. */
function listAttributeUses({ datasets, ...rules }: ComparingRules): readonly AttributeUse[] {
  return listRowRules(rules).flatMap(({ id: rule, dataset: datasetId, rows }) => {
    const dataset = datasets.find(({ id }) => id === datasetId);
    if (dataset?.kind !== "table") return [];
    return listSubjectComparisons(rows).flatMap((comparison): AttributeUse[] => {
      const column = dataset.columns.find(({ name }) => name === comparison.column);
      if (column === undefined) return [];
      return [{ ...comparison, rule, path: `${dataset.id}.${column.name}`, type: column.type }];
    });
  });
}

/** Lists the attributes that rules of a role compare with columns. Without one of them, such a rule grants nothing. */
export function listNeededAttributes(rules: Omit<ComparingRules, "datasets">, role: string): readonly string[] {
  const subjects = listRowRules(rules).flatMap((rule) =>
    rule.role === role ? listSubjectComparisons(rule.rows).map(({ subject }) => subject) : [],
  );
  return [...new Set(subjects)].filter((subject) => !BUILT_IN_VALUES.includes(subject));
}

/** Finds at most one problem per attribute. An attribute that no rule uses may have any value. */
export function findAttributeProblems(policy: ComparingRules, attributes: Attributes): readonly AttributeProblem[] {
  const uses = listAttributeUses(policy);
  return Object.entries(attributes).flatMap(([attribute, value]): readonly AttributeProblem[] => {
    const attributeUses = uses.filter(({ subject }) => subject === attribute && !BUILT_IN_VALUES.includes(subject));
    const values = isList(value) ? value : [value];
    const misfit = attributeUses.find(({ type }) => !values.every((item) => isComparableAttribute(type, item)));
    if (misfit !== undefined) return [{ kind: "type", attribute, value, use: misfit }];
    const singleValueUse = isList(value) ? attributeUses.find((use) => !use.isList) : undefined;
    return singleValueUse === undefined ? [] : [{ kind: "list", attribute, value, use: singleValueUse }];
  });
}

/** Explains a problem as the end of a sentence: `is "2". It must be a whole number, because the rule … compares it with …`. */
export function describeAttributeProblem(problem: AttributeProblem): string {
  return `is ${formatValue(problem.value)}. ${describeExpectedValue(problem)}`;
}

const MAX_SHOWN_VALUE_CHARACTERS = 100;

function formatValue(value: Scalar | readonly Scalar[]): string {
  const text = JSON.stringify(value);
  return shortenText(text, MAX_SHOWN_VALUE_CHARACTERS);
}

function describeExpectedValue({ kind, use: { rule, path, type, isList: acceptsList } }: AttributeProblem): string {
  if (kind === "list")
    return `It is a list, but the rule ${rule} compares a single value with ${path}, so the rule grants nothing.`;
  const expected = `${EXPECTED_VALUES[type]}${acceptsList ? ", or a list of such values" : ""}`;
  return `It must be ${expected}, because the rule ${rule} compares it with ${path}, which is ${type}.`;
}

const EXPECTED_VALUES: Readonly<Record<ColumnType, string>> = {
  integer: "a whole number of at most 15 digits",
  real: "a number",
  text: "text",
  date: "a date such as 2026-05-31",
  datetime: "a date and time such as 2026-05-31T10:00:00Z",
  boolean: "true or false",
  json: "text",
};

/** Finds comparisons that no value can satisfy: an attribute compared with both text and numbers, or a built-in value with a number. */
export function findComparisonProblems(policy: ComparingRules): readonly string[] {
  const bySubject = Map.groupBy(listAttributeUses(policy), ({ subject }) => subject);
  return [...bySubject].flatMap(([subject, uses]) => {
    const textUse = uses.find(({ type }) => isTextual(type));
    const numberUse = uses.find(({ type }) => !isTextual(type));
    if (numberUse === undefined) return [];
    if (BUILT_IN_VALUES.includes(subject))
      return [`the value ${subject} is text, but the rule ${describeUse(numberUse)}.`];
    if (textUse === undefined) return [];
    return [
      [
        `the attribute ${subject} cannot fit all rules: ${describeUse(numberUse)}, and ${describeUse(textUse)}.`,
        "Use two attributes.",
      ].join(" "),
    ];
  });
}

function describeUse({ rule, path, type }: AttributeUse): string {
  return `${rule} compares it with ${path}, which is ${type}`;
}

/** A row of the members table, with the names of its unreadable parts. */
interface StoredMember {
  readonly email: string;
  readonly attributes: Attributes;
  readonly unreadable: readonly string[];
}

/** Explains why a row of the members table grants less than it says. The texts go to logs, so they do not include the row's values. */
export function findMemberProblems(policy: Policy, { email, attributes, unreadable }: StoredMember): readonly string[] {
  const declaredAttributes = policy.members.find((member) => member.email === email)?.attributes ?? {};
  const effectiveAttributes = Object.entries(attributes).filter(([name]) => !Object.hasOwn(declaredAttributes, name));
  return [
    ...(parseEmailAddress(email) === email
      ? []
      : ["its address is not in normalized form, so it matches no user. Remove it."]),
    ...unreadable.map((name) => `${name} cannot be read, so it is ignored.`),
    ...findAttributeProblems(policy, Object.fromEntries(effectiveAttributes)).map(
      (problem) => `the attribute ${problem.attribute} does not fit. ${describeExpectedValue(problem)}`,
    ),
  ];
}

function isList(value: Scalar | readonly Scalar[]): value is readonly Scalar[] {
  return typeof value === "object";
}
