// Reads row rules as data: lists the columns and subject values that they use, and builds the SQL of a bound rule. Does not decide
// whether a rule applies; see evaluate.ts.
import { quoteIdentifier } from "../sql/identifier.ts";
import type { Parameters } from "../sql/parameters.ts";
import type { BoundCondition, BoundPart, Condition, Policy, RulePart, Scalar, SubjectPart } from "./model.ts";

/** Gives the SQL of a column of the rule's table. */
export type QuoteColumn = (column: string) => string;

/** Lists the columns that a rule reads. A column can occur twice. */
export function listConditionColumns(condition: Condition | BoundCondition): readonly string[] {
  if ("all" in condition) return condition.all.flatMap(listConditionColumns);
  if ("any" in condition) return condition.any.flatMap(listConditionColumns);
  if ("parts" in condition) return condition.parts.flatMap((part) => (part.kind === "column" ? [part.column] : []));
  return [condition.column];
}

/** Finds the columns that have one fixed value in every row that satisfies the rule, with that value. */
export function findEqualities(condition: BoundCondition): ReadonlyMap<string, Scalar> {
  if ("all" in condition) return new Map(condition.all.flatMap((part) => [...findEqualities(part)]));
  if ("parts" in condition) return findPartEqualities(condition.parts);
  if (!("op" in condition)) return new Map();
  if (condition.op === "=") return new Map([[condition.column, condition.value]]);
  const [value, ...others] = condition.op === "in" ? condition.value : [];
  return value === undefined || others.length > 0 ? new Map() : new Map([[condition.column, value]]);
}

/** Understands `column = :name`, alone or joined by AND. Any other rule gives no equalities. */
function findPartEqualities(parts: readonly BoundPart[]): ReadonlyMap<string, Scalar> {
  const equalities = new Map<string, Scalar>();
  for (let start = 0; start < parts.length; start += 4) {
    const [column, operator, operand, conjunction] = parts.slice(start, start + 4);
    const isEquality = column?.kind === "column" && isText(operator, "=") && operand?.kind === "value";
    if (!isEquality || typeof operand.value === "object" || !(conjunction === undefined || isText(conjunction, "and")))
      return new Map();
    equalities.set(column.column, operand.value);
  }
  return equalities;
}

/** The share of rows that a comparison is taken to find if nothing better is known. */
const UNKNOWN_SHARE = 0.25;

/** Estimates the share of rows that satisfy a rule, from 0 to 1. `countValues`: see `GuardView.estimateShownShare`. */
export function estimateShare(condition: BoundCondition, countValues: (column: string) => number | undefined): number {
  if ("all" in condition) return condition.all.reduce((share, part) => share * estimateShare(part, countValues), 1);
  if ("any" in condition)
    return Math.min(
      1,
      condition.any.reduce((share, part) => share + estimateShare(part, countValues), 0),
    );
  const estimateValues = (column: string, wanted: number): number => {
    const values = countValues(column);
    return values === undefined ? UNKNOWN_SHARE : Math.min(1, wanted / Math.max(1, values));
  };
  if ("parts" in condition) return estimatePartsShare(condition.parts, estimateValues);
  if (condition.op === "=") return estimateValues(condition.column, 1);
  return condition.op === "in" ? estimateValues(condition.column, condition.value.length) : UNKNOWN_SHARE;
}

/** Understands `column = :name` and `column in :names`, alone or joined by AND. */
function estimatePartsShare(
  parts: readonly BoundPart[],
  estimateValues: (column: string, wanted: number) => number,
): number {
  let share = 1;
  for (let start = 0; start < parts.length; start += 4) {
    const [column, operator, operand, conjunction] = parts.slice(start, start + 4);
    const isComparison =
      column?.kind === "column" && isText(operator, "=", "==", "is", "in") && operand?.kind === "value";
    if (!isComparison || !(conjunction === undefined || isText(conjunction, "and"))) return UNKNOWN_SHARE;
    share *= estimateValues(column.column, typeof operand.value === "object" ? operand.value.length : 1);
  }
  return share;
}

function isText(part: BoundPart | undefined, ...texts: readonly string[]): boolean {
  return part?.kind === "text" && texts.includes(part.text.toLowerCase());
}

/** A comparison of a subject value with a column, as a single value or as a list. */
export type SubjectComparison = Omit<SubjectPart, "kind">;

/** Lists the comparisons of a rule with subject values. */
export function listSubjectComparisons(condition: Condition): readonly SubjectComparison[] {
  if ("all" in condition) return condition.all.flatMap(listSubjectComparisons);
  if ("any" in condition) return condition.any.flatMap(listSubjectComparisons);
  if ("parts" in condition)
    return condition.parts.flatMap((part) => {
      if (part.kind !== "subject") return [];
      const { subject, column, isList } = part;
      return [{ subject, column, isList }];
    });
  if (!("value" in condition) || typeof condition.value !== "object" || !("subject" in condition.value)) return [];
  return [{ subject: condition.value.subject, column: condition.column, isList: condition.op === "in" }];
}

/** Lists the names of the subject values that a rule needs. */
export function listSubjectValues(condition: Condition): readonly string[] {
  return listSubjectComparisons(condition).map(({ subject }) => subject);
}

/** A rule with a row rule, about reading or about changes. */
export interface RuleWithRows {
  readonly id: string;
  readonly role: string;
  readonly dataset: string;
  readonly rows: Condition;
}

/** Lists the rules that have a row rule: those about reading, then those about changes. */
export function listRowRules({ rules, changeRules }: Pick<Policy, "rules" | "changeRules">): readonly RuleWithRows[] {
  return [...rules, ...changeRules].flatMap((rule): readonly RuleWithRows[] => {
    const rows = "rows" in rule ? rule.rows : null;
    return rows === null ? [] : [{ id: rule.id, role: rule.role, dataset: rule.dataset, rows }];
  });
}

/** A row rule in SQL, in a form that a database can compile to check it. */
export interface RowExpression {
  readonly table: string;
  /** The role that has the rule. */
  readonly role: string;
  /** An expression over the columns of the table, with NULL in place of each subject value. */
  readonly sql: string;
}

/** Lists the SQL expressions of all row rules on a source. */
export function listRowExpressions(
  { datasets, ...rules }: Pick<Policy, "datasets" | "rules" | "changeRules">,
  source: string,
): readonly RowExpression[] {
  return listRowRules(rules).flatMap(({ role, dataset: id, rows }) => {
    const dataset = datasets.find((candidate) => candidate.id === id);
    if (dataset?.kind !== "table" || dataset.source !== source) return [];
    const { table } = dataset;
    const quoteColumn = (column: string): string => `${quoteIdentifier(table)}.${quoteIdentifier(column)}`;
    return listParts(rows).map((parts) => {
      const texts = parts.map((part) => {
        if (part.kind === "subject") return part.isList ? "(NULL)" : "NULL";
        return part.kind === "column" ? quoteColumn(part.column) : part.text;
      });
      return { table, role, sql: texts.join(" ") };
    });
  });
}

function listParts(condition: Condition): readonly (readonly RulePart[])[] {
  if ("all" in condition) return condition.all.flatMap(listParts);
  if ("any" in condition) return condition.any.flatMap(listParts);
  return "parts" in condition ? [condition.parts] : [];
}

/** Builds the SQL of a bound rule, in parentheses where needed. Values become parameters. */
export function buildConditionSql(condition: BoundCondition, parameters: Parameters, quoteColumn: QuoteColumn): string {
  if ("all" in condition)
    return `(${condition.all.map((part) => buildConditionSql(part, parameters, quoteColumn)).join(" AND ")})`;
  if ("any" in condition)
    return `(${condition.any.map((part) => buildConditionSql(part, parameters, quoteColumn)).join(" OR ")})`;
  if ("parts" in condition) {
    const texts = condition.parts.map((part) => {
      if (part.kind === "value") return buildValueSql(part.value, parameters);
      return part.kind === "column" ? quoteColumn(part.column) : part.text;
    });
    return `(${texts.join(" ")})`;
  }
  const column = quoteColumn(condition.column);
  switch (condition.op) {
    case "is null":
    case "is not null":
      return `${column} ${condition.op.toUpperCase()}`;
    case "in":
      // An empty list matches no row. `IN ()` would do the same, but is not standard SQL.
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

function buildValueSql(value: Scalar | readonly Scalar[], parameters: Parameters): string {
  return typeof value === "object"
    ? `(${value.map((item) => parameters.bind(item)).join(", ")})`
    : parameters.bind(value);
}
