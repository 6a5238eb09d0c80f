// Builds and checks the rules of one role: every name exists, every mask fits its column, every row rule compares values of the right
// type. Collects all problems, each with its path and the correction.
import { formatChoices } from "./policy-problem.ts";
import type { PolicyProblem, ProblemPath } from "./policy-problem.ts";
import { parseExpression } from "./row-rule-parser.ts";
import { formatDisclosure, isComparableLiteral, listMaskableTypes } from "./masks.ts";
import type { Condition, Dataset, Rule, SourceDeclaration, TableDataset } from "./model.ts";
import type { ParsedRule, ConditionInput } from "./policy-schema.ts";

/** Builds the rules of one entry of a role, one for each dataset that the entry names. Adds problems to `problems`. */
export function buildRules(
  role: string,
  parsed: ParsedRule,
  path: ProblemPath,
  sources: readonly SourceDeclaration[],
  datasets: readonly Dataset[],
  problems: PolicyProblem[],
): Rule[] {
  return findDatasets(parsed.datasets, path, sources, datasets, problems).map((dataset) =>
    buildRule(role, parsed, path, dataset, problems),
  );
}

/** Finds the datasets that an entry of a role names, one by one or as `source.*`. */
export function findDatasets(
  names: readonly string[],
  path: ProblemPath,
  sources: readonly SourceDeclaration[],
  datasets: readonly Dataset[],
  problems: PolicyProblem[],
): readonly Dataset[] {
  return names.flatMap((name, index) => {
    const source = sources.find((candidate) => name === `${candidate.name}.*` && candidate.kind === "d1");
    const namedDatasets = datasets.filter((dataset) =>
      source === undefined ? dataset.id === name : dataset.source === source.name,
    );
    if (namedDatasets.length === 0 && source === undefined) {
      const knownNames = [
        ...datasets.map((dataset) => dataset.id),
        ...sources.flatMap((d1Source) => (d1Source.kind === "d1" ? [`${d1Source.name}.*`] : [])),
      ];
      problems.push({
        path: [...path, "datasets", index],
        message: `there is no dataset ${name}. ${formatChoices(name, knownNames)}`,
      });
    }
    return namedDatasets;
  });
}

function buildRule(
  role: string,
  parsed: ParsedRule,
  path: ProblemPath,
  dataset: Dataset,
  problems: PolicyProblem[],
): Rule {
  const effect = parsed.effect ?? "allow";
  const common = {
    id: `${role}/${effect}/${parsed.action}/${dataset.id}`,
    role,
    effect,
    action: parsed.action,
    dataset: dataset.id,
  };
  if (parsed.effect === "deny") {
    for (const [index, name] of (parsed.columns ?? []).entries())
      requireColumn(dataset, name, [...path, "columns", index], problems);
    return { ...common, rows: null, masks: {}, hidden: parsed.columns ?? [], reveal: [] };
  }
  const { rows, masks = {}, hidden = [], reveal = [] } = parsed;
  const condition = rows === undefined ? null : parseCondition(rows, dataset, [...path, "rows"], problems);
  for (const [index, name] of hidden.entries()) requireColumn(dataset, name, [...path, "hidden", index], problems);
  for (const [name, mask] of Object.entries(masks)) {
    const column = requireColumn(dataset, name, [...path, "masks", name], problems);
    const types = listMaskableTypes(mask);
    if (column !== undefined && !types.includes(column.type)) {
      problems.push({
        path: [...path, "masks", name],
        message: [
          `the mask ${formatDisclosure(mask)} takes columns of type ${types.join(" or ")},`,
          `but ${dataset.id}.${name} is ${column.type}.`,
        ].join(" "),
      });
    }
    if (hidden.includes(name))
      problems.push({
        path: [...path, "masks", name],
        message: "the same rule hides the column. Keep one of the two.",
      });
  }
  for (const [index, name] of reveal.entries()) {
    if (!Object.hasOwn(masks, name) || masks[name]?.kind !== "token")
      problems.push({
        path: [...path, "reveal", index],
        message: `the rule does not mask ${name} with mask.token. Only such columns can be revealed.`,
      });
  }
  return { ...common, rows: condition, masks, hidden, reveal };
}

/** Parses a row rule, including its SQL. A part with a problem becomes a condition that matches no row; such a policy is never used. */
export function parseCondition(
  input: ConditionInput,
  dataset: Dataset,
  path: ProblemPath,
  problems: PolicyProblem[],
): Condition {
  const parseAll = (parts: readonly ConditionInput[], name: "all" | "any"): readonly Condition[] =>
    parts.map((part, index) => parseCondition(part, dataset, [...path, name, index], problems));
  if ("all" in input) return { all: parseAll(input.all, "all") };
  if ("any" in input) return { any: parseAll(input.any, "any") };
  if ("sql" in input) return parseSqlCondition(input.sql, dataset, path, problems);
  const column = requireColumn(dataset, input.column, [...path, "column"], problems);
  if (column === undefined || !("value" in input)) return input;
  const values = Array.isArray(input.value) ? input.value : [input.value];
  for (const value of values) {
    if (typeof value === "object" || isComparableLiteral(column.type, value)) continue;
    const isRounded = typeof value === "number" && column.type === "integer";
    const problem = `${JSON.stringify(value)} cannot be compared with ${dataset.id}.${column.name}, which is ${column.type}.`;
    const correction = isRounded ? " JSON rounds whole numbers beyond 2^53: write this rule in SQL." : "";
    problems.push({ path: [...path, "value"], message: `${problem}${correction}` });
  }
  return input;
}

function parseSqlCondition(sql: string, dataset: Dataset, path: ProblemPath, problems: PolicyProblem[]): Condition {
  const noRow: Condition = { any: [] };
  if (dataset.kind !== "table") {
    problems.push({ path, message: `${dataset.id} has no columns. Row rules are for tables.` });
    return noRow;
  }
  const parsed = parseExpression(sql, dataset);
  if (parsed.ok) return { parts: parsed.parts };
  problems.push({ path, message: `The expression ${parsed.problem}` });
  return noRow;
}

export function requireColumn(
  dataset: Dataset,
  name: string,
  path: ProblemPath,
  problems: PolicyProblem[],
): TableDataset["columns"][number] | undefined {
  const columns = dataset.kind === "table" ? dataset.columns : [];
  const column = columns.find((candidate) => candidate.name === name);
  if (column === undefined)
    problems.push({
      path,
      message: `${dataset.id} has no column ${name}. ${formatChoices(
        name,
        columns.map((candidate) => candidate.name),
      )}`,
    });
  return column;
}
