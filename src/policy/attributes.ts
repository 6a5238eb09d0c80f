// Attributes of people against the columns that row rules compare them with. SQLite compares a number with text by type, so an
// attribute of another type matches no row, or by `!=` every row: evaluate denies then, and this says why, to the operator alone.
import { parseEmailAddress } from "../lib/email-address.ts";
import { subjectComparisonsOf } from "./conditions.ts";
import type { SubjectComparison } from "./conditions.ts";
import { attributeFits, isTextual } from "./masks.ts";
import type { Attributes, ColumnType, Policy, Scalar } from "./model.ts";

/** A rule that compares a subject value with a column. */
export interface AttributeUse extends SubjectComparison {
  readonly rule: string;
  /** `source.table.column` */
  readonly path: string;
  readonly type: ColumnType;
}

/** `type`: no value of this type can match. `list`: the rule compares with one value, so that a list grants nothing. */
export interface AttributeProblem {
  readonly kind: "type" | "list";
  readonly attribute: string;
  readonly value: Scalar | readonly Scalar[];
  readonly use: AttributeUse;
}

/** Subject values that every person has, besides their attributes; they are text. */
export const BUILT_IN_VALUES = ["id", "email"];

/** Every comparison of a subject value in the rules. */
export function attributeUsesOf({ rules, datasets }: Pick<Policy, "rules" | "datasets">): readonly AttributeUse[] {
  return rules.flatMap((rule) => {
    const dataset = datasets.find(({ id }) => id === rule.dataset);
    if (rule.rows === null || dataset?.kind !== "table") return [];
    return subjectComparisonsOf(rule.rows).flatMap((comparison): AttributeUse[] => {
      const column = dataset.columns.find(({ name }) => name === comparison.column);
      if (column === undefined) return [];
      return [{ ...comparison, rule: rule.id, path: `${dataset.id}.${column.name}`, type: column.type }];
    });
  });
}

/** What is wrong with these attributes, at most one problem for each. What no rule compares with may be anything. */
export function attributeProblems(
  policy: Pick<Policy, "rules" | "datasets">,
  attributes: Attributes,
): readonly AttributeProblem[] {
  const uses = attributeUsesOf(policy);
  return Object.entries(attributes).flatMap(([attribute, value]): readonly AttributeProblem[] => {
    const own = uses.filter(({ subject }) => subject === attribute && !BUILT_IN_VALUES.includes(subject));
    const values = isList(value) ? value : [value];
    const misfit = own.find(({ type }) => !values.every((one) => attributeFits(type, one)));
    if (misfit !== undefined) return [{ kind: "type", attribute, value, use: misfit }];
    const single = isList(value) ? own.find((use) => !use.isList) : undefined;
    return single === undefined ? [] : [{ kind: "list", attribute, value, use: single }];
  });
}

/** Why an attribute does not fit: `is "2". It must be a whole number, because the rule … compares it with …`. */
export function describeProblem(problem: AttributeProblem): string {
  return `is ${shownValue(problem.value)}. ${describeWanted(problem)}`;
}

/** Characters of a value in a message. */
const MAX_SHOWN_CHARACTERS = 100;

function shownValue(value: Scalar | readonly Scalar[]): string {
  const text = JSON.stringify(value);
  return text.length <= MAX_SHOWN_CHARACTERS ? text : `${text.slice(0, MAX_SHOWN_CHARACTERS)}…`;
}

function describeWanted({ kind, use: { rule, path, type, isList: takesList } }: AttributeProblem): string {
  if (kind === "list")
    return `It is a list where the rule ${rule} compares one value with ${path}, so that rule grants nothing.`;
  const wanted = `${WANTED[type]}${takesList ? ", or a list of such values" : ""}`;
  return `It must be ${wanted}, because the rule ${rule} compares it with ${path}, which is ${type}.`;
}

const WANTED: Readonly<Record<ColumnType, string>> = {
  integer: "a whole number of at most 15 digits",
  real: "a number",
  text: "text",
  date: "a date such as 2026-05-31",
  datetime: "a date and time such as 2026-05-31T10:00:00Z",
  boolean: "true or false",
  json: "text",
};

/** What in the rules no value can satisfy: an attribute compared with text and with a number, or a built-in value with a number. */
export function comparisonProblems(policy: Pick<Policy, "rules" | "datasets">): readonly string[] {
  const bySubject = Map.groupBy(attributeUsesOf(policy), ({ subject }) => subject);
  return [...bySubject].flatMap(([subject, uses]) => {
    const textual = uses.find(({ type }) => isTextual(type));
    const numeric = uses.find(({ type }) => !isTextual(type));
    if (numeric === undefined) return [];
    if (BUILT_IN_VALUES.includes(subject))
      return [
        `roles: the value ${subject} is text, but the rule ${numeric.rule} compares it with ${numeric.path}, which is ${numeric.type}.`,
      ];
    if (textual === undefined) return [];
    return [
      `roles: the attribute ${subject} cannot fit all rules: ${describeUse(numeric)}, and ${describeUse(textual)}. Use two attributes.`,
    ];
  });
}

function describeUse({ rule, path, type }: AttributeUse): string {
  return `${rule} compares it with ${path}, which is ${type}`;
}

/** A row of the members table, with names of what in it cannot be read. */
export interface StoredMember {
  readonly email: string;
  readonly attributes: Attributes;
  readonly unreadable: readonly string[];
}

/** Why a row of the members table gives less than it says. Without its values: a log may show it. */
export function memberProblems(policy: Policy, { email, attributes, unreadable }: StoredMember): readonly string[] {
  const declared = policy.members.find((member) => member.email === email)?.attributes ?? {};
  const effective = Object.entries(attributes).filter(([name]) => !Object.hasOwn(declared, name));
  return [
    ...(parseEmailAddress(email) === email
      ? []
      : ["its address is in no spelling that is compared with, so it matches no user. Remove it."]),
    ...unreadable.map((name) => `${name} cannot be read, so it counts for nothing.`),
    ...attributeProblems(policy, Object.fromEntries(effective)).map(
      (problem) => `the attribute ${problem.attribute} does not fit. ${describeWanted(problem)}`,
    ),
  ];
}

function isList(value: Scalar | readonly Scalar[]): value is readonly Scalar[] {
  return typeof value === "object";
}
