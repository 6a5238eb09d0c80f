// Finds saved queries that no user can run, or that a role may run and is refused: compiles each behind the guard views of what is open,
// over an empty copy of the declared tables, with the Worker's own modules. Needs no database.
import type { AllowedDecision, Disclosure, Policy, SavedQuery, TableDataset } from "../../src/policy/model.ts";
import type { PolicyProblem } from "../../src/policy/policy-problem.ts";
import { foldName } from "../../src/sql/identifier.ts";
import { parseTrustedStatement } from "../../src/sql/statement.ts";
import { quoteArgument } from "../kit/shell.ts";
import { loadCompiler } from "./saved-query-compiler.ts";
import type { Compile } from "./saved-query-compiler.ts";
import { readsAnything, roleView } from "./words.ts";

/** Lists the problems with their paths in the policy file, in the order of its queries. */
export async function findSavedQueryProblems(policy: Policy): Promise<readonly PolicyProblem[]> {
  if (policy.queries.length === 0) return [];
  const compile = await loadCompiler(policy);
  return policy.queries.flatMap((query) => findProblems(policy, query, compile));
}

function findProblems(policy: Policy, query: SavedQuery, compile: Compile): readonly PolicyProblem[] {
  const path = ["queries", query.name, "sql"];
  const tables = policy.datasets.filter(
    (dataset): dataset is TableDataset => dataset.kind === "table" && dataset.source === query.source,
  );
  const general = compile(query, tables.filter(({ hidden }) => !hidden).map(decideOpen));
  if (general !== undefined)
    return [{ path, message: `no user can run it: ${general} ${adviseOnHidden(query, tables)}` }];
  const refused = policy.roles.flatMap(({ name, queries }) => {
    const readable = tables.flatMap((table) => decideForRole(policy, name, table));
    if (!queries.includes(query.name) || !readsAnything(policy, name)) return [];
    const error = compile(query, readable);
    return error === undefined ? [] : [{ role: name, error }];
  });
  return [...Map.groupBy(refused, ({ error }) => error)].map(([error, group]) => {
    const roles = group.map(({ role }) => role);
    const subject = roles.length === 1 ? "the role" : "the roles";
    const verb = roles.length === 1 ? "may run it, but alone gets" : "may run it, but alone get";
    const advice = "Let a rule read what it needs, or take it from the role's queries.";
    return { path, message: `${subject} ${roles.join(", ")} ${verb} this error: ${error} ${advice}` };
  });
}

/** Says what to do: to open what the query names and the policy hides, or to correct the query. */
function adviseOnHidden({ text }: SavedQuery, tables: readonly TableDataset[]): string {
  const { names } = parseTrustedStatement(text);
  const isNamed = (name: string): boolean => names.has(foldName(name));
  const hidden = tables
    .filter(({ table }) => isNamed(table))
    .flatMap(({ id, hidden: isHidden, columns }) => {
      const hiddenColumns = columns.filter((column) => column.hidden && isNamed(column.name));
      return isHidden || hiddenColumns.length > 0
        ? [...(isHidden ? [id] : []), ...hiddenColumns.map(({ name }) => `${id}.${name}`)]
        : [];
    });
  if (hidden.length === 0) return "Correct the SQL.";
  const verb = hidden.length === 1 ? "is" : "are";
  const command = `npm run gatehouse -- open ${hidden.map(quoteArgument).join(" ")}`;
  return `${hidden.join(", ")} ${verb} hidden. Take ${hidden.length === 1 ? "it" : "them"} out of the SQL, or open: ${command}`;
}

/** What a user sees who sees everything that is not hidden. */
function decideOpen(dataset: TableDataset): AllowedDecision {
  return decide(dataset, (name) => dataset.columns.some((column) => column.name === name && !column.hidden));
}

function decideForRole(policy: Policy, role: string, dataset: TableDataset): readonly AllowedDecision[] {
  const view = roleView(policy, role, dataset.id);
  return view.kind === "rows" ? [decide(dataset, (name) => view.columns.get(name)?.kind !== "hidden")] : [];
}

/** A decision for the names alone: a masked column exists like one in clear. */
function decide(dataset: TableDataset, isShown: (column: string) => boolean): AllowedDecision {
  const columns = Object.fromEntries(
    dataset.columns.map(({ name }): [string, Disclosure] => [name, { kind: isShown(name) ? "clear" : "hidden" }]),
  );
  return { allowed: true, dataset, grants: [{ rule: "check", rows: null, columns, reveal: [] }], rules: [] };
}
