// Builds the policy from its parsed form and runs the checks that span fields: every name that a rule uses exists, every mask fits
// its column, no rule is declared twice. Collects all problems, each with its path and the correction.
import { foldName } from "../sql/identifier.ts";
import {
  BUILT_IN_VALUES,
  findAttributeProblems,
  findComparisonProblems,
  describeAttributeProblem,
} from "./attributes.ts";
import { listSubjectValues } from "./conditions.ts";
import { formatChoices, buildRules } from "./check-rule.ts";
import type { Dataset, Member, Policy, Rule, SavedQuery, SourceDeclaration, TableDataset } from "./model.ts";
import { normalizeGroupName } from "./member-input.ts";
import { parseSavedQuery } from "./saved-query.ts";
import type { ParsedD1Source, ParsedPolicy } from "./policy-schema.ts";

/** A policy with the problems that were found in it. */
interface CheckedPolicy {
  readonly policy: Policy;
  /** Each is `path: the problem and the correction`. Use the policy only when this is empty. */
  readonly problems: readonly string[];
}

/** The workspace and its results (`r1`, `r2`, …) have these names in SQL. */
const RESERVED_SOURCE = /^(?:workspace|r[0-9]+)$/;
/** Gatehouse's own database. It holds members, access tokens and sessions, so no user's SQL may reach it. */
export const INTERNAL_DATABASE_BINDING = "GATEHOUSE_DB";

/** Builds the policy that `evaluate` reads, and checks it. */
export function checkPolicy(input: ParsedPolicy): CheckedPolicy {
  const problems: string[] = [];
  const sources = Object.entries(input.sources).map(([name, source]): SourceDeclaration => {
    const { kind, binding, title, description } = source;
    const recursion = source.kind === "d1" && source.recursion;
    return { name, kind, binding, recursion, title, description };
  });
  const datasets = Object.keys(input.sources).flatMap((name) => buildDatasets(name, input, problems));
  for (const { name, binding } of sources) {
    if (RESERVED_SOURCE.test(name)) problems.push(`sources.${name}: the name is reserved. Choose another.`);
    if (binding === INTERNAL_DATABASE_BINDING)
      problems.push(
        `sources.${name}.binding: ${INTERNAL_DATABASE_BINDING} is Gatehouse's own database and cannot be a source.`,
      );
  }
  const rules = Object.entries(input.roles).flatMap(([role, { rules: parsedRules }]) =>
    parsedRules.flatMap((rule, index) =>
      buildRules(role, rule, `roles.${role}.rules[${index}]`, sources, datasets, problems),
    ),
  );
  refuseDuplicates(
    rules.map((rule) => [rule.id, `roles.${rule.role}.rules`]),
    "has two rules with the same dataset, effect and action",
    problems,
  );
  refuseTwoDomains(rules, problems);
  const members = buildMembers(input, problems);
  const attributes = listAttributes(input, members, problems);
  refuseUnknownSubjectValues(rules, attributes, problems);
  problems.push(...findComparisonProblems({ rules, datasets }));
  refuseMisfitAttributes(members, { rules, datasets }, problems);
  const groups = buildGroups(input, problems);
  const queries = Object.entries(input.queries).flatMap(([name, query]) =>
    buildSavedQueries(name, query, sources, problems),
  );
  const roles = Object.entries(input.roles).map(
    ([name, { description, queries: queryNames, savedOnly, administers }]) => {
      for (const query of queryNames) {
        if (!Object.hasOwn(input.queries, query))
          problems.push(
            `roles.${name}.queries: there is no saved query ${query}. ${formatChoices(Object.keys(input.queries))}`,
          );
      }
      return { name, description, queries: queryNames, savedOnly, administers };
    },
  );
  return { policy: { sources, datasets, roles, rules, members, groups, attributes, queries }, problems };
}

function buildDatasets(source: string, input: ParsedPolicy, problems: string[]): Dataset[] {
  const parsed = input.sources[source];
  if (parsed === undefined) return [];
  if (parsed.kind === "kv") {
    const { description, untrusted } = parsed;
    return [{ kind: "documents", id: source, source, description, untrusted }];
  }
  const foldedTables = Object.keys(parsed.tables).map((table): [string, string] => [
    foldName(table),
    `sources.${source}.tables`,
  ]);
  refuseDuplicates(foldedTables, "has two tables whose names differ only by case", problems);
  return Object.entries(parsed.tables).map(([table, { description, key, hidden, columns }]): TableDataset => {
    const columnNames = Object.keys(columns);
    const foldedColumns = columnNames.map((name): [string, string] => [
      foldName(name),
      `sources.${source}.tables.${table}.columns`,
    ]);
    refuseDuplicates(foldedColumns, "has two columns whose names differ only by case", problems);
    if (key !== undefined && !columnNames.includes(key)) {
      problems.push(`sources.${source}.tables.${table}.key: there is no column ${key}. ${formatChoices(columnNames)}`);
    }
    const tableColumns = Object.entries(columns).map(([name, { references = null, ...column }]) => {
      if (references !== null && !isColumn(parsed.tables, references))
        problems.push(
          [
            `sources.${source}.tables.${table}.columns.${name}.references: there is no column ${references}.`,
            "Write table.column, with a table of this source.",
          ].join(" "),
        );
      return { name, references, ...column };
    });
    const id = `${source}.${table}`;
    return { kind: "table", id, source, table, description, key: key ?? null, hidden, columns: tableColumns };
  });
}

function buildMembers(input: ParsedPolicy, problems: string[]): readonly Member[] {
  const roles = Object.keys(input.roles);
  const members = input.members.map(({ email, name, roles: memberRoles, attributes = {} }, index) => {
    for (const role of memberRoles) {
      if (!roles.includes(role))
        problems.push(`members[${index}].roles: there is no role ${role}. ${formatChoices(roles)}`);
    }
    for (const attribute of Object.keys(attributes)) {
      if (BUILT_IN_VALUES.includes(attribute))
        problems.push(`members[${index}].attributes.${attribute}: the name is built in. Choose another.`);
    }
    return { email, name, roles: memberRoles, attributes };
  });
  refuseDuplicates(
    members.map((member) => [member.email, "members"]),
    "has two entries for the same email",
    problems,
  );
  return members;
}

function buildGroups(input: ParsedPolicy, problems: string[]): Policy["groups"] {
  const roleNames = Object.keys(input.roles);
  const groups = Object.entries(input.groups).map(([group, roles]) => {
    for (const role of roles) {
      if (!roleNames.includes(role))
        problems.push(`groups[${JSON.stringify(group)}]: there is no role ${role}. ${formatChoices(roleNames)}`);
    }
    return { group: normalizeGroupName(group), roles };
  });
  refuseDuplicates(
    groups.map(({ group }) => [group, "groups"]),
    "has two spellings of the same group",
    problems,
  );
  return groups;
}

/** Lists the attributes that `attributes` declares and those that declared members have. */
function listAttributes(input: ParsedPolicy, members: readonly Member[], problems: string[]): readonly string[] {
  for (const name of input.attributes) {
    if (BUILT_IN_VALUES.includes(name)) problems.push(`attributes: the name ${name} is built in. Choose another.`);
  }
  return [...new Set([...input.attributes, ...members.flatMap((member) => Object.keys(member.attributes))])];
}

function buildSavedQueries(
  name: string,
  { description, source, sql, params }: ParsedPolicy["queries"][string],
  sources: readonly SourceDeclaration[],
  problems: string[],
): readonly SavedQuery[] {
  const d1SourceNames = sources.filter(({ kind }) => kind === "d1").map((d1Source) => d1Source.name);
  if (!d1SourceNames.includes(source))
    problems.push(`queries.${name}.source: there is no D1 source ${source}. ${formatChoices(d1SourceNames)}`);
  if (sources.some((d1Source) => d1Source.name === name))
    problems.push(`queries.${name}: a source has the same name. Choose another.`);
  const parsed = parseSavedQuery(sql, Object.keys(params));
  if (!parsed.ok) {
    problems.push(`queries.${name}.sql: ${parsed.problem.startsWith("The SQL") ? "" : "The SQL "}${parsed.problem}`);
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
function refuseTwoDomains(rules: readonly Rule[], problems: string[]): void {
  const domains = new Map<string, string>();
  for (const { role, dataset, masks } of rules) {
    for (const [column, mask] of Object.entries(masks)) {
      if (mask.kind !== "token") continue;
      const name = `${dataset}.${column}`;
      const firstDomain = domains.get(name) ?? mask.domain;
      domains.set(name, firstDomain);
      if (firstDomain !== mask.domain)
        problems.push(
          `roles.${role}.rules: ${name} has masking tokens of two domains, ${mask.domain} and ${firstDomain}. Keep one.`,
        );
    }
  }
}

/** An attribute that no member can have, such as a misspelt one, would silently deny every user. */
function refuseUnknownSubjectValues(rules: readonly Rule[], attributes: readonly string[], problems: string[]): void {
  const knownValues = new Set([...BUILT_IN_VALUES, ...attributes]);
  for (const { role, rows } of rules) {
    for (const name of rows === null ? [] : listSubjectValues(rows)) {
      if (!knownValues.has(name))
        problems.push(
          [
            `roles.${role}.rules: no member has the attribute ${name}, and \`attributes\` does not declare it.`,
            formatChoices([...knownValues]),
          ].join(" "),
        );
    }
  }
}

/** An attribute of the wrong type would make tables disappear for a member without any message. */
function refuseMisfitAttributes(
  members: readonly Member[],
  policy: Pick<Policy, "rules" | "datasets">,
  problems: string[],
): void {
  members.forEach(({ attributes }, index) => {
    for (const problem of findAttributeProblems(policy, attributes))
      if (problem.kind === "type")
        problems.push(`members[${index}].attributes.${problem.attribute}: ${describeAttributeProblem(problem)}`);
  });
}

function refuseDuplicates(entries: readonly (readonly [string, string])[], problem: string, problems: string[]): void {
  const names = new Set<string>();
  for (const [name, path] of entries) {
    if (names.has(name)) problems.push(`${path}: ${problem} (${name}). Keep one.`);
    names.add(name);
  }
}
