// Builds and checks the rules of one role that are about changes: every name exists, and every value schema fits its column. Collects all
// problems, each with its path and the correction.
import { findDatasets, parseCondition, requireColumn } from "./check-rule.ts";
import { listConditionColumns } from "./conditions.ts";
import {
  compareWithBound,
  findValueProblem,
  isColumnBound,
  isColumnValue,
  parseChangeLiteral,
} from "./change-values.ts";
import { formatChoices } from "./policy-problem.ts";
import type { PolicyProblem, ProblemPath } from "./policy-problem.ts";
import type { AllowChangeRule, ChangeRule, ValueSchema } from "./change-model.ts";
import type { Column, ColumnType, Dataset, Rule, SourceDeclaration, TableDataset } from "./model.ts";
import type { ParsedChangeRule } from "./policy-schema.ts";

/** Where a rule stands in the policy file, and what it may name. */
interface RuleContext {
  readonly role: string;
  readonly path: ProblemPath;
  readonly sources: readonly SourceDeclaration[];
  readonly datasets: readonly Dataset[];
  /** The names of all roles. */
  readonly roles: readonly string[];
}

type ParsedAllow = Extract<ParsedChangeRule, { readonly operations: unknown }>;

/** Builds the rules of one entry of a role, one for each dataset that the entry names. Adds problems to `problems`. */
export function buildChangeRules(
  parsed: ParsedChangeRule,
  context: RuleContext,
  problems: PolicyProblem[],
): readonly ChangeRule[] {
  const { path, sources, datasets } = context;
  return findDatasets(parsed.datasets, path, sources, datasets, problems).flatMap((dataset): readonly ChangeRule[] => {
    const problem = findUnchangeable(dataset);
    if (problem !== undefined) {
      problems.push({ path: [...path, "datasets"], message: `${dataset.id} ${problem}` });
      return [];
    }
    return dataset.kind === "table" ? [buildChangeRule(parsed, context, dataset, problems)] : [];
  });
}

function findUnchangeable(dataset: Dataset): string | undefined {
  if (dataset.kind !== "table") return "holds documents. Only tables can be changed.";
  if (dataset.isView) return "is a view of the database. Name the table that it reads.";
  if (dataset.key.length === 0) return "has no `key`. Declare the column that identifies a row.";
  return undefined;
}

function buildChangeRule(
  parsed: ParsedChangeRule,
  { role, path, roles }: RuleContext,
  dataset: TableDataset,
  problems: PolicyProblem[],
): ChangeRule {
  const common = { role, dataset: dataset.id };
  if (parsed.effect === "deny") {
    const { columns = [] } = parsed;
    for (const [index, name] of columns.entries()) requireColumn(dataset, name, [...path, "columns", index], problems);
    return { ...common, id: `${role}/deny/change/${dataset.id}`, effect: "deny", columns };
  }
  for (const [name, schema] of Object.entries(parsed.columns))
    checkValueSchema(dataset, name, schema, [...path, "columns", name], problems);
  checkOperations(parsed, dataset, path, problems);
  const reviewers = typeof parsed.approval === "string" ? [] : parsed.approval.reviewers;
  for (const [index, name] of reviewers.entries())
    if (!roles.includes(name))
      problems.push({
        path: [...path, "approval", "reviewers", index],
        message: `there is no role ${name}. ${formatChoices(name, roles)}`,
      });
  const formClients = parsed.confirm === "page" ? [] : parsed.confirm.formIn;
  if (formClients.length > 0 && reviewers.length > 0)
    problems.push({
      path: [...path, "confirm"],
      message: "names clients, but a reviewer approves only on a page of this server. Remove it.",
    });
  const { rows, operations, columns, maxRows, approval, mayLeaveSight } = parsed;
  return {
    ...common,
    id: `${role}/allow/change/${dataset.id}`,
    effect: "allow",
    rows: rows === undefined ? null : parseCondition(rows, dataset, [...path, "rows"], problems),
    operations,
    columns,
    maxRows,
    approval: typeof approval === "string" ? approval : "reviewer",
    reviewers,
    formClients,
    mayLeaveSight,
  };
}

function checkOperations(
  { operations, columns, maxRows }: ParsedAllow,
  dataset: TableDataset,
  path: ProblemPath,
  problems: PolicyProblem[],
): void {
  const setsColumns = operations.some((operation) => operation !== "delete");
  if (setsColumns !== Object.keys(columns).length > 0)
    problems.push({
      path: [...path, "columns"],
      message: setsColumns
        ? "names no column, so nothing can be set. Name the columns that a change may set."
        : "is for insert and update. A delete sets no columns.",
    });
  const keys = operations.includes("update") ? dataset.key.filter((name) => Object.hasOwn(columns, name)) : [];
  for (const name of keys)
    problems.push({
      path: [...path, "columns", name],
      message: "is the key, which an update cannot change. Write a rule of its own for insert.",
    });
  if (maxRows > 1 && !operations.some((operation) => operation !== "insert"))
    problems.push({ path: [...path, "maxRows"], message: "is for update and delete. An insert adds one row." });
}

function checkValueSchema(
  dataset: TableDataset,
  name: string,
  schema: ValueSchema,
  path: ProblemPath,
  problems: PolicyProblem[],
): void {
  const column = requireColumn(dataset, name, path, problems);
  if (column === undefined) return;
  const boundProblems = findBoundProblems(column, schema, path);
  problems.push(...boundProblems);
  for (const [index, literal] of (schema.oneOf ?? []).entries()) {
    const place = [...path, "oneOf", index];
    if (!isColumnValue(column, literal)) problems.push(nameMisfit(place, column, literal));
    else if (boundProblems.length === 0) {
      const message = findValueProblem(column, parseChangeLiteral(column, literal, name), {
        ...schema,
        oneOf: undefined,
      });
      if (message !== undefined) problems.push({ path: place, message });
    }
  }
}

const BOUNDED_TYPES: readonly ColumnType[] = ["integer", "real", "date", "datetime"];

function findBoundProblems(column: Column, { min, max }: ValueSchema, path: ProblemPath): readonly PolicyProblem[] {
  const bounds = Object.entries({ min, max }).filter(([, literal]) => literal !== undefined);
  const problems = bounds.flatMap(([bound, literal]): readonly PolicyProblem[] => {
    const place = [...path, bound];
    if (!BOUNDED_TYPES.includes(column.type))
      return [{ path: place, message: `is for numbers and dates, but ${column.name} is ${column.type}.` }];
    return isColumnBound(column, literal) ? [] : [nameMisfit(place, column, literal)];
  });
  if (problems.length > 0 || min === undefined || max === undefined) return problems;
  const isOrdered =
    compareWithBound(column.type, typeof min === "string" ? min : { kind: "real", value: min }, max) <= 0;
  return isOrdered ? [] : [{ path: [...path, "min"], message: "is greater than max, so no value fits." }];
}

function nameMisfit(path: ProblemPath, { name, type }: Column, value: unknown): PolicyProblem {
  return { path, message: `${JSON.stringify(value)} is no value of ${name}, which is ${type}.` };
}

/** A change rule with its place in the policy file. */
interface PlacedChangeRule {
  readonly rule: ChangeRule;
  readonly path: ProblemPath;
}

/**
 * Finds change rules without what they rest on: the role's own read rule on the dataset, which shows every column of the row rule in clear.
 * A refusal would tell users about rows by columns that they do not see.
 */
export function findUnreadableChanges(
  placedRules: readonly PlacedChangeRule[],
  readRules: readonly Rule[],
  datasets: readonly Dataset[],
): readonly PolicyProblem[] {
  return placedRules.flatMap(({ rule, path }): readonly PolicyProblem[] => {
    if (rule.effect === "deny") return [];
    const { role, dataset: id } = rule;
    const ownRules = readRules.filter((read) => read.role === role && read.dataset === id);
    if (!ownRules.some(({ effect }) => effect === "allow"))
      return [{ path: [...path, "datasets"], message: `the role has no rule that lets it read ${id}. Add one.` }];
    const dataset = datasets.find((candidate) => candidate.id === id);
    return listUnreadRuleColumns(rule, ownRules, dataset).map((name) => ({
      path: [...path, "rows"],
      message: `the role does not read ${name} in clear, so a refusal would tell its users about it. Use other columns.`,
    }));
  });
}

function listUnreadRuleColumns(
  { rows }: AllowChangeRule,
  ownRules: readonly Rule[],
  dataset: Dataset | undefined,
): readonly string[] {
  const hidden = dataset?.kind === "table" ? dataset.columns.filter((column) => column.hidden) : [];
  const unread = new Set([
    ...hidden.map(({ name }) => name),
    ...ownRules.flatMap((rule) => [...Object.keys(rule.masks), ...rule.hidden]),
  ]);
  return [...new Set(rows === null ? [] : listConditionColumns(rows))].filter((name) => unread.has(name));
}
