// Checks the rules of one role: every name exists, every mask fits its column, every row rule can be compared. Problems are
// collected, each with its path and what would be right.
import { parseExpression } from "./expression.ts";
import { disclosureName, fitsType, typesFor } from "./masks.ts";
import type { Condition, Dataset, Rule, SourceDeclaration, TableDataset } from "./model.ts";
import type { ParsedRule, WrittenCondition } from "./schema.ts";

/** The rules that one entry of a role stands for: one for each dataset that it names. */
export function rulesOf(
  role: string,
  parsed: ParsedRule,
  path: string,
  sources: readonly SourceDeclaration[],
  datasets: readonly Dataset[],
  problems: string[],
): Rule[] {
  return parsed.datasets.flatMap((name) => {
    const source = sources.find((candidate) => name === `${candidate.name}.*` && candidate.kind === "d1");
    const named = datasets.filter((dataset) =>
      source === undefined ? dataset.id === name : dataset.source === source.name,
    );
    if (named.length === 0 && source === undefined) {
      const known = [
        ...datasets.map((dataset) => dataset.id),
        ...sources.flatMap((one) => (one.kind === "d1" ? [`${one.name}.*`] : [])),
      ];
      problems.push(`${path}.datasets: there is no dataset ${name}. ${choice(known)}`);
    }
    return named.map((dataset) => ruleOn(role, parsed, path, dataset, problems));
  });
}

function ruleOn(role: string, parsed: ParsedRule, path: string, dataset: Dataset, problems: string[]): Rule {
  const effect = parsed.effect ?? "allow";
  const common = {
    id: `${role}/${effect}/${parsed.action}/${dataset.id}`,
    role,
    effect,
    action: parsed.action,
    dataset: dataset.id,
  };
  if (parsed.effect === "deny") {
    for (const name of parsed.columns ?? []) requireColumn(dataset, name, `${path}.columns`, problems);
    return { ...common, rows: null, masks: {}, hidden: parsed.columns ?? [], reveal: [] };
  }
  const { rows, masks = {}, hidden = [], reveal = [] } = parsed;
  const condition = rows === undefined ? null : parseCondition(rows, dataset, `${path}.rows`, problems);
  for (const name of hidden) requireColumn(dataset, name, `${path}.hidden`, problems);
  for (const [name, mask] of Object.entries(masks)) {
    const column = requireColumn(dataset, name, `${path}.masks.${name}`, problems);
    const types = typesFor(mask);
    if (column !== undefined && !types.includes(column.type)) {
      problems.push(
        `${path}.masks.${name}: the mask ${disclosureName(mask)} fits ${types.join(", ")}; ${dataset.id}.${name} is ${column.type}.`,
      );
    }
    if (hidden.includes(name))
      problems.push(`${path}.masks.${name}: the column is hidden by the same rule. Keep one of the two.`);
  }
  for (const name of reveal) {
    if (!Object.hasOwn(masks, name) || masks[name]?.kind !== "token")
      problems.push(`${path}.reveal: the rule has no token mask on ${name}. Reveal columns with mask.token only.`);
  }
  return { ...common, rows: condition, masks, hidden, reveal };
}

/** Reads a row rule, with its SQL. What has a problem stands for no row; the policy is not used then. */
function parseCondition(written: WrittenCondition, dataset: Dataset, path: string, problems: string[]): Condition {
  const parseAll = (parts: readonly WrittenCondition[], name: string): readonly Condition[] =>
    parts.map((part, index) => parseCondition(part, dataset, `${path}.${name}[${index}]`, problems));
  if ("all" in written) return { all: parseAll(written.all, "all") };
  if ("any" in written) return { any: parseAll(written.any, "any") };
  if ("sql" in written) return parseSql(written.sql, dataset, path, problems);
  const column = requireColumn(dataset, written.column, `${path}.column`, problems);
  if (column === undefined || !("value" in written)) return written;
  const values = Array.isArray(written.value) ? written.value : [written.value];
  for (const value of values) {
    if (typeof value === "object" || fitsType(column.type, value)) continue;
    problems.push(
      `${path}.value: ${JSON.stringify(value)} cannot be compared with ${dataset.id}.${column.name}, which is ${column.type}.`,
    );
  }
  return written;
}

function parseSql(sql: string, dataset: Dataset, path: string, problems: string[]): Condition {
  const nothing: Condition = { any: [] };
  if (dataset.kind !== "table") {
    problems.push(`${path}: ${dataset.id} has no columns. Row rules are for tables.`);
    return nothing;
  }
  const parsed = parseExpression(sql, dataset);
  if (parsed.ok) return { parts: parsed.parts };
  problems.push(`${path}: The expression ${parsed.problem}`);
  return nothing;
}

function requireColumn(
  dataset: Dataset,
  name: string,
  path: string,
  problems: string[],
): TableDataset["columns"][number] | undefined {
  const columns = dataset.kind === "table" ? dataset.columns : [];
  const column = columns.find((candidate) => candidate.name === name);
  if (column === undefined)
    problems.push(`${path}: ${dataset.id} has no column ${name}. ${choice(columns.map((one) => one.name))}`);
  return column;
}

/** The end of a message about a name. */
export function choice(names: readonly string[]): string {
  return names.length === 0 ? "There is none." : `There are: ${names.join(", ")}.`;
}
