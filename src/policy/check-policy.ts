// Builds the policy from its parsed form and runs the checks that span fields: every name that a rule uses exists, every mask fits
// its column, no rule is declared twice. Collects all problems, each with its path and the correction.
import { foldName } from "../sql/identifier.ts";
import {
  BUILT_IN_VALUES,
  findAttributeProblems,
  findComparisonProblems,
  describeAttributeProblem,
} from "./attributes.ts";
import type { ComparingRules } from "./attributes.ts";
import { listSubjectValues } from "./conditions.ts";
import { buildChangeRules, findUnreadableChanges } from "./check-change-rule.ts";
import type { ChangeRule } from "./change-model.ts";
import { buildRules } from "./check-rule.ts";
import { formatChoices } from "./policy-problem.ts";
import type { PolicyProblem, ProblemPath } from "./policy-problem.ts";
import type { Dataset, Member, Policy, Rule, SavedQuery, SourceDeclaration, TableDataset } from "./model.ts";
import { normalizeGroupName } from "./member-input.ts";
import { parseSavedQuery } from "./saved-query.ts";
import type { ParsedD1Source, ParsedPolicy } from "./policy-schema.ts";

/** A policy with the problems that were found in it. */
interface CheckedPolicy {
  readonly policy: Policy;
  /** Use the policy only when this is empty. */
  readonly problems: readonly PolicyProblem[];
}

/** The workspace and its results (`r1`, `r2`, …) have these names in SQL. */
const RESERVED_SOURCE = /^(?:workspace|r[0-9]+)$/;
/** Gatehouse's own database. It holds members, access tokens and sessions, so no user's SQL may reach it. */
export const INTERNAL_DATABASE_BINDING = "GATEHOUSE_DB";

/** A rule with its place in the policy file. */
interface PlacedRule {
  readonly rule: Rule;
  readonly path: ProblemPath;
}

/** Builds the policy that `evaluate` reads, and checks it. */
export function checkPolicy(input: ParsedPolicy): CheckedPolicy {
  const problems: PolicyProblem[] = [];
  const sources = Object.entries(input.sources).map(([name, source]): SourceDeclaration => {
    const { kind, binding, title, description = "" } = source;
    const recursion = source.kind === "d1" && source.recursion;
    return { name, kind, binding, recursion, title, description };
  });
  const datasets = Object.keys(input.sources).flatMap((name) => buildDatasets(name, input, problems));
  for (const { name, binding } of sources) {
    if (RESERVED_SOURCE.test(name))
      problems.push({ path: ["sources", name], message: "the name is reserved. Choose another." });
    if (binding === INTERNAL_DATABASE_BINDING)
      problems.push({
        path: ["sources", name, "binding"],
        message: `${INTERNAL_DATABASE_BINDING} is Gatehouse's own database and cannot be a source.`,
      });
  }
  const placedRules = Object.entries(input.roles).flatMap(([role, { rules: parsedRules }]) =>
    parsedRules.flatMap((parsedRule, index): readonly PlacedRule[] => {
      if (parsedRule.action !== "read") return [];
      const path = ["roles", role, "rules", index];
      return buildRules(role, parsedRule, path, sources, datasets, problems).map((rule) => ({ rule, path }));
    }),
  );
  const rules = placedRules.map(({ rule }) => rule);
  refuseDuplicates(
    placedRules.map(({ rule, path }) => [rule.id, path]),
    "has two rules with the same dataset, effect and action",
    problems,
  );
  refuseTwoDomains(placedRules, problems);
  const placedChangeRules = buildAllChangeRules(input, sources, datasets, problems);
  const changeRules = placedChangeRules.map(({ rule }) => rule);
  refuseDuplicates(
    placedChangeRules.map(({ rule, path }) => [rule.id, path]),
    "has two rules with the same dataset, effect and action",
    problems,
  );
  problems.push(...findUnreadableChanges(placedChangeRules, rules, datasets));
  const members = buildMembers(input, problems);
  const attributes = listAttributes(input, members, problems);
  refuseUnknownSubjectValues([...placedRules, ...placedChangeRules], attributes, problems);
  const comparing = { rules, changeRules, datasets };
  problems.push(...findComparisonProblems(comparing).map((message) => ({ path: ["roles"], message })));
  refuseMisfitAttributes(members, comparing, problems);
  const groups = buildGroups(input, problems);
  const queries = Object.entries(input.queries).flatMap(([name, query]) =>
    buildSavedQueries(name, query, sources, problems),
  );
  const roles = Object.entries(input.roles).map(
    ([name, { description, queries: queryNames, savedOnly, administers, audits }]) => {
      for (const [index, query] of queryNames.entries()) {
        if (!Object.hasOwn(input.queries, query))
          problems.push({
            path: ["roles", name, "queries", index],
            message: `there is no saved query ${query}. ${formatChoices(query, Object.keys(input.queries))}`,
          });
      }
      return { name, description, queries: queryNames, savedOnly, administers, audits };
    },
  );
  return { policy: { sources, datasets, roles, rules, changeRules, members, groups, attributes, queries }, problems };
}

/** A rule about changes with its place in the policy file. */
interface PlacedChangeRule {
  readonly rule: ChangeRule;
  readonly path: ProblemPath;
}

function buildAllChangeRules(
  input: ParsedPolicy,
  sources: readonly SourceDeclaration[],
  datasets: readonly Dataset[],
  problems: PolicyProblem[],
): readonly PlacedChangeRule[] {
  const roles = Object.keys(input.roles);
  const placedRules = Object.entries(input.roles).flatMap(([role, { rules: parsedRules, savedOnly }]) =>
    parsedRules.flatMap((parsedRule, index): readonly PlacedChangeRule[] => {
      if (parsedRule.action !== "change") return [];
      const path = ["roles", role, "rules", index];
      if (savedOnly)
        problems.push({
          path: [...path, "action"],
          message: "the role is savedOnly, and no saved query changes rows. Give the rule to another role.",
        });
      const context = { role, path, sources, datasets, roles };
      return buildChangeRules(parsedRule, context, problems).map((rule) => ({ rule, path }));
    }),
  );
  return numberRules(placedRules);
}

/** Numbers the rules by which a role may change one dataset, from `#2` on: each has terms of its own, and audit records name it. */
function numberRules(placedRules: readonly PlacedChangeRule[]): readonly PlacedChangeRule[] {
  const counts = new Map<string, number>();
  return placedRules.map(({ rule, path }) => {
    const count = (counts.get(rule.id) ?? 0) + 1;
    counts.set(rule.id, count);
    const isNumbered = rule.effect === "allow" && count > 1;
    return { rule: isNumbered ? { ...rule, id: `${rule.id}#${count}` } : rule, path };
  });
}

function buildDatasets(source: string, input: ParsedPolicy, problems: PolicyProblem[]): Dataset[] {
  const parsed = input.sources[source];
  if (parsed === undefined) return [];
  if (parsed.kind === "kv") {
    const { description, untrusted } = parsed;
    return [{ kind: "documents", id: source, source, description, untrusted }];
  }
  const foldedTables = Object.keys(parsed.tables).map((table): [string, ProblemPath] => [
    foldName(table),
    ["sources", source, "tables", table],
  ]);
  refuseDuplicates(foldedTables, "has two tables whose names differ only by case", problems);
  return Object.entries(parsed.tables).map(
    ([table, { description = "", view, key, recordKeys, hidden, triggers, columns }]): TableDataset => {
      const columnNames = Object.keys(columns);
      const tablePath: ProblemPath = ["sources", source, "tables", table];
      const foldedColumns = columnNames.map((name): [string, ProblemPath] => [
        foldName(name),
        [...tablePath, "columns", name],
      ]);
      refuseDuplicates(foldedColumns, "has two columns whose names differ only by case", problems);
      const keyColumns = key === undefined ? [] : [key].flat();
      refuseUnknownKey([...tablePath, "key"], keyColumns, columnNames, problems);
      if (recordKeys && keyColumns.length === 0)
        problems.push({
          path: [...tablePath, "recordKeys"],
          message: "the table has no `key`, so there is none to record.",
        });
      const tableColumns = Object.entries(columns).map(
        ([name, { references = null, description: text = "", guess: _guess, ...column }]) => {
          if (references !== null && !isColumn(parsed.tables, references))
            problems.push({
              path: [...tablePath, "columns", name, "references"],
              message: `there is no column ${references}. Write table.column, with a table of this source.`,
            });
          return { name, references, description: text, ...column };
        },
      );
      const id = `${source}.${table}`;
      const shared = { kind: "table", id, source, table, description, hidden } as const;
      const allowedTriggers = triggers === undefined ? {} : { triggers };
      return { ...shared, isView: view, key: keyColumns, recordKeys, columns: tableColumns, ...allowedTriggers };
    },
  );
}

function refuseUnknownKey(
  path: ProblemPath,
  key: readonly string[],
  columnNames: readonly string[],
  problems: PolicyProblem[],
): void {
  for (const column of key.filter((name) => !columnNames.includes(name)))
    problems.push({ path, message: `there is no column ${column}. ${formatChoices(column, columnNames)}` });
  refuseDuplicates(
    key.map((column): [string, ProblemPath] => [column, path]),
    "names a column twice",
    problems,
  );
}

function buildMembers(input: ParsedPolicy, problems: PolicyProblem[]): readonly Member[] {
  const roles = Object.keys(input.roles);
  const members = input.members.map(({ email, name, roles: memberRoles, attributes = {} }, index) => {
    for (const [position, role] of memberRoles.entries()) {
      if (!roles.includes(role))
        problems.push({
          path: ["members", index, "roles", position],
          message: `there is no role ${role}. ${formatChoices(role, roles)}`,
        });
    }
    for (const attribute of Object.keys(attributes)) {
      if (BUILT_IN_VALUES.includes(attribute))
        problems.push({
          path: ["members", index, "attributes", attribute],
          message: "the name is built in. Choose another.",
        });
    }
    return { email, name, roles: memberRoles, attributes };
  });
  refuseDuplicates(
    members.map(({ email }, index) => [email, ["members", index]]),
    "has two entries for the same email",
    problems,
  );
  return members;
}

function buildGroups(input: ParsedPolicy, problems: PolicyProblem[]): Policy["groups"] {
  const roleNames = Object.keys(input.roles);
  const groups = Object.entries(input.groups).map(([group, roles]) => {
    for (const [index, role] of roles.entries()) {
      if (!roleNames.includes(role))
        problems.push({
          path: ["groups", group, index],
          message: `there is no role ${role}. ${formatChoices(role, roleNames)}`,
        });
    }
    return { group: normalizeGroupName(group), roles };
  });
  refuseDuplicates(
    Object.keys(input.groups).map((group) => [normalizeGroupName(group), ["groups", group]]),
    "has two spellings of the same group",
    problems,
  );
  return groups;
}

/** Lists the attributes that `attributes` declares and those that declared members have. */
function listAttributes(input: ParsedPolicy, members: readonly Member[], problems: PolicyProblem[]): readonly string[] {
  for (const [index, name] of input.attributes.entries()) {
    if (BUILT_IN_VALUES.includes(name))
      problems.push({ path: ["attributes", index], message: `the name ${name} is built in. Choose another.` });
  }
  return [...new Set([...input.attributes, ...members.flatMap((member) => Object.keys(member.attributes))])];
}

function buildSavedQueries(
  name: string,
  { description, source, sql, params }: ParsedPolicy["queries"][string],
  sources: readonly SourceDeclaration[],
  problems: PolicyProblem[],
): readonly SavedQuery[] {
  const d1SourceNames = sources.filter(({ kind }) => kind === "d1").map((d1Source) => d1Source.name);
  if (!d1SourceNames.includes(source))
    problems.push({
      path: ["queries", name, "source"],
      message: `there is no D1 source ${source}. ${formatChoices(source, d1SourceNames)}`,
    });
  if (sources.some((d1Source) => d1Source.name === name))
    problems.push({ path: ["queries", name], message: "a source has the same name. Choose another." });
  const parsed = parseSavedQuery(sql, Object.keys(params));
  if (!parsed.ok) {
    problems.push({
      path: ["queries", name, "sql"],
      message: `${parsed.problem.startsWith("The SQL") ? "" : "The SQL "}${parsed.problem}`,
    });
    return [];
  }
  const parameters = Object.entries(params).map(([parameter, declared]) => ({ name: parameter, ...declared }));
  return [{ name, description, source, text: parsed.text, order: parsed.order, parameters }];
}

/** Compares whole references instead of splitting at the dot, because table and column names may contain dots. */
function isColumn(tables: ParsedD1Source["tables"], reference: string): boolean {
  return Object.entries(tables).some(([table, { columns }]) =>
    Object.keys(columns).some((column) => `${table}.${column}` === reference),
  );
}

/** Masking tokens of different domains have the same rank, so a row with two grants could not choose the less masked form. */
function refuseTwoDomains(placedRules: readonly PlacedRule[], problems: PolicyProblem[]): void {
  const domains = new Map<string, string>();
  for (const { rule, path } of placedRules) {
    for (const [column, mask] of Object.entries(rule.masks)) {
      if (mask.kind !== "token") continue;
      const name = `${rule.dataset}.${column}`;
      const firstDomain = domains.get(name) ?? mask.domain;
      domains.set(name, firstDomain);
      if (firstDomain !== mask.domain)
        problems.push({
          path: [...path, "masks", column],
          message: `${name} has masking tokens of two domains, ${mask.domain} and ${firstDomain}. Keep one.`,
        });
    }
  }
}

/** An attribute that no member can have, such as a misspelt one, would silently deny every user. */
function refuseUnknownSubjectValues(
  placedRules: readonly (PlacedRule | PlacedChangeRule)[],
  attributes: readonly string[],
  problems: PolicyProblem[],
): void {
  const knownValues = new Set([...BUILT_IN_VALUES, ...attributes]);
  for (const { rule, path } of placedRules) {
    const rows = "rows" in rule ? rule.rows : null;
    for (const name of rows === null ? [] : listSubjectValues(rows)) {
      if (!knownValues.has(name))
        problems.push({
          path: [...path, "rows"],
          message: [
            `no member has the attribute ${name}, and \`attributes\` does not declare it.`,
            formatChoices(name, [...knownValues]),
          ].join(" "),
        });
    }
  }
}

/** An attribute of the wrong type would make tables disappear for a member without any message. */
function refuseMisfitAttributes(members: readonly Member[], policy: ComparingRules, problems: PolicyProblem[]): void {
  members.forEach(({ attributes }, index) => {
    for (const problem of findAttributeProblems(policy, attributes))
      if (problem.kind === "type")
        problems.push({
          path: ["members", index, "attributes", problem.attribute],
          message: describeAttributeProblem(problem),
        });
  });
}

/** Refuses each name after the first one that equals it. */
function refuseDuplicates(
  entries: readonly (readonly [string, ProblemPath])[],
  problem: string,
  problems: PolicyProblem[],
): void {
  const names = new Set<string>();
  for (const [name, path] of entries) {
    if (names.has(name)) problems.push({ path, message: `${problem} (${name}). Keep one.` });
    names.add(name);
  }
}
