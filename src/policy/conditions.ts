// Row rules as data: the columns and subject values that they use, and the SQL of a bound one.
import { quoteIdentifier } from "../sql/identifier.ts";
import type { Parameters } from "../sql/parameters.ts";
import type { BoundCondition, Condition, Policy, Scalar, SubjectPart } from "./model.ts";

/** The SQL of a column of the table that the rule is about. */
export type NameOf = (column: string) => string;

/** The columns that a rule reads. */
export function columnsOf(condition: BoundCondition): readonly string[] {
  if ("all" in condition) return condition.all.flatMap(columnsOf);
  if ("any" in condition) return condition.any.flatMap(columnsOf);
  if ("parts" in condition) return condition.parts.flatMap((part) => (part.kind === "column" ? [part.column] : []));
  return [condition.column];
}

/** The columns that equal one value in every row which the rule passes, and that value. */
export function equalitiesOf(condition: BoundCondition): ReadonlyMap<string, Scalar> {
  if ("all" in condition) return new Map(condition.all.flatMap((part) => [...equalitiesOf(part)]));
  if ("parts" in condition) return equalitiesIn(condition.parts);
  if (!("op" in condition)) return new Map();
  if (condition.op === "=") return new Map([[condition.column, condition.value]]);
  const [value, ...others] = condition.op === "in" ? condition.value : [];
  return value === undefined || others.length > 0 ? new Map() : new Map([[condition.column, value]]);
}

type BoundParts = Extract<BoundCondition, { parts: unknown }>["parts"];

/** Of `column = :name`, alone or with others joined by AND; a rule that says anything else is not looked into. */
function equalitiesIn(parts: BoundParts): ReadonlyMap<string, Scalar> {
  const isText = (part: BoundParts[number] | undefined, text: string): boolean =>
    part?.kind === "text" && part.text.toLowerCase() === text;
  const found = new Map<string, Scalar>();
  for (let at = 0; at < parts.length; at += 4) {
    const [column, operator, given, joint] = parts.slice(at, at + 4);
    const isEquality = column?.kind === "column" && isText(operator, "=") && given?.kind === "value";
    if (!isEquality || typeof given.value === "object" || !(joint === undefined || isText(joint, "and")))
      return new Map();
    found.set(column.column, given.value);
  }
  return found;
}

/** A subject value compared with a column: with one value, or with each of a list. */
export type SubjectComparison = Omit<SubjectPart, "kind">;

/** The comparisons of a rule with subject values. */
export function subjectComparisonsOf(condition: Condition): readonly SubjectComparison[] {
  if ("all" in condition) return condition.all.flatMap(subjectComparisonsOf);
  if ("any" in condition) return condition.any.flatMap(subjectComparisonsOf);
  if ("parts" in condition)
    return condition.parts.flatMap((part) => {
      if (part.kind !== "subject") return [];
      const { subject, column, isList } = part;
      return [{ subject, column, isList }];
    });
  if (!("value" in condition) || typeof condition.value !== "object" || !("subject" in condition.value)) return [];
  return [{ subject: condition.value.subject, column: condition.column, isList: condition.op === "in" }];
}

/** The names of the subject values that a rule needs. */
export function subjectValuesOf(condition: Condition): readonly string[] {
  return subjectComparisonsOf(condition).map(({ subject }) => subject);
}

/** A row rule in SQL, for asking a database whether it takes it. */
export interface RowExpression {
  readonly table: string;
  /** Of the role that has it. */
  readonly role: string;
  /** Over the columns of the table, with NULL for each subject value. */
  readonly sql: string;
}

/** The expressions of all rules on a source. */
export function expressionsOf(
  { datasets, rules }: Pick<Policy, "datasets" | "rules">,
  source: string,
): readonly RowExpression[] {
  return rules.flatMap(({ role, dataset: id, rows }) => {
    const dataset = datasets.find((candidate) => candidate.id === id);
    if (rows === null || dataset?.kind !== "table" || dataset.source !== source) return [];
    const { table } = dataset;
    const nameOf = (column: string): string => `${quoteIdentifier(table)}.${quoteIdentifier(column)}`;
    return partsIn(rows).map((parts) => {
      const texts = parts.map((part) => {
        if (part.kind === "subject") return part.isList ? "(NULL)" : "NULL";
        return part.kind === "column" ? nameOf(part.column) : part.text;
      });
      return { table, role, sql: texts.join(" ") };
    });
  });
}

type Parts = Extract<Condition, { parts: unknown }>["parts"];

function partsIn(condition: Condition): readonly Parts[] {
  if ("all" in condition) return condition.all.flatMap(partsIn);
  if ("any" in condition) return condition.any.flatMap(partsIn);
  return "parts" in condition ? [condition.parts] : [];
}

/** The SQL of a bound rule, in parentheses where it needs them. */
export function conditionSql(condition: BoundCondition, parameters: Parameters, nameOf: NameOf): string {
  if ("all" in condition)
    return `(${condition.all.map((part) => conditionSql(part, parameters, nameOf)).join(" AND ")})`;
  if ("any" in condition)
    return `(${condition.any.map((part) => conditionSql(part, parameters, nameOf)).join(" OR ")})`;
  if ("parts" in condition) {
    const texts = condition.parts.map((part) => {
      if (part.kind === "value") return valueSql(part.value, parameters);
      return part.kind === "column" ? nameOf(part.column) : part.text;
    });
    return `(${texts.join(" ")})`;
  }
  const column = nameOf(condition.column);
  switch (condition.op) {
    case "is null":
    case "is not null":
      return `${column} ${condition.op.toUpperCase()}`;
    case "in":
      // An empty list matches nothing; `IN ()` would do too, but only in SQLite.
      return condition.value.length === 0
        ? "0"
        : `${column} IN (${condition.value.map((value) => parameters.bind(value)).join(", ")})`;
    case "=":
    case "!=":
    case "<":
    case "<=":
    case ">":
    case ">=":
      return `${column} ${condition.op} ${parameters.bind(condition.value)}`;
  }
}

function valueSql(value: Scalar | readonly Scalar[], parameters: Parameters): string {
  return typeof value === "object"
    ? `(${value.map((one) => parameters.bind(one)).join(", ")})`
    : parameters.bind(value);
}
