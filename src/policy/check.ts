// Builds the policy from its parsed form and checks what must fit across fields: every name that a rule uses exists,
// every mask fits its column, no rule stands twice. Problems are collected, each with its path and what would be right.
import { foldName } from "../sql/identifier.ts";
import { BUILT_IN_VALUES, attributeProblems, comparisonProblems, describeProblem } from "./attributes.ts";
import { subjectValuesOf } from "./conditions.ts";
import { choice, rulesOf } from "./check-rule.ts";
import type { Dataset, Member, Policy, Rule, SavedQuery, SourceDeclaration, TableDataset } from "./model.ts";
import { groupName } from "./names.ts";
import { parseSaved } from "./saved.ts";
import type { ParsedPolicy } from "./schema.ts";

export interface CheckedPolicy {
  readonly policy: Policy;
  /** `path: what is wrong and what would be right`. Empty when the policy can be used. */
  readonly problems: readonly string[];
}

/** The workspace, and the names of its results. */
const RESERVED_SOURCE = /^(?:workspace|r[0-9]+)$/;
/** Members, access tokens and sessions lie there: no SQL of a person may reach it. */
export const OWN_DATABASE = "GATEHOUSE_DB";

/** Turns a parsed policy into the one that is evaluated. */
export function checkPolicy(input: ParsedPolicy): CheckedPolicy {
  const problems: string[] = [];
  const sources = Object.entries(input.sources).map(([name, source]): SourceDeclaration => {
    const { kind, binding, title, description } = source;
    const recursion = source.kind === "d1" && source.recursion;
    return { name, kind, binding, recursion, title, description };
  });
  const datasets = Object.keys(input.sources).flatMap((name) => datasetsOf(name, input, problems));
  for (const { name, binding } of sources) {
    if (RESERVED_SOURCE.test(name)) problems.push(`sources.${name}: the name is reserved. Choose another.`);
    if (binding === OWN_DATABASE)
      problems.push(`sources.${name}.binding: ${OWN_DATABASE} is Gatehouse's own database, which no source can be.`);
  }
  const rules = Object.entries(input.roles).flatMap(([role, { rules: parsed }]) =>
    parsed.flatMap((rule, index) => rulesOf(role, rule, `roles.${role}.rules[${index}]`, sources, datasets, problems)),
  );
  refuseDuplicates(
    rules.map((rule) => [rule.id, `roles.${rule.role}.rules`]),
    "has two rules for one dataset, effect and action",
    problems,
  );
  refuseTwoDomains(rules, problems);
  const members = membersOf(input, problems);
  const attributes = attributesOf(input, members, problems);
  refuseUnknownValues(rules, attributes, problems);
  problems.push(...comparisonProblems({ rules, datasets }));
  refuseMisfits(members, { rules, datasets }, problems);
  const groups = groupsOf(input, problems);
  const queries = Object.entries(input.queries).flatMap(([name, query]) => savedOf(name, query, sources, problems));
  const roles = Object.entries(input.roles).map(([name, { description, queries: given, savedOnly, administers }]) => {
    for (const query of given) {
      if (!Object.hasOwn(input.queries, query))
        problems.push(`roles.${name}.queries: there is no saved query ${query}. ${choice(Object.keys(input.queries))}`);
    }
    return { name, description, queries: given, savedOnly, administers };
  });
  return { policy: { sources, datasets, roles, rules, members, groups, attributes, queries }, problems };
}

function datasetsOf(source: string, input: ParsedPolicy, problems: string[]): Dataset[] {
  const parsed = input.sources[source];
  if (parsed === undefined) return [];
  if (parsed.kind === "kv") {
    const { description, untrusted } = parsed;
    return [{ kind: "documents", id: source, source, description, untrusted }];
  }
  const folded = Object.keys(parsed.tables).map((table): [string, string] => [
    foldName(table),
    `sources.${source}.tables`,
  ]);
  refuseDuplicates(folded, "has two tables whose names differ only by case", problems);
  return Object.entries(parsed.tables).map(([table, { description, key, hidden, columns }]): TableDataset => {
    const names = Object.keys(columns);
    const foldedColumns = names.map((name): [string, string] => [
      foldName(name),
      `sources.${source}.tables.${table}.columns`,
    ]);
    refuseDuplicates(foldedColumns, "has two columns whose names differ only by case", problems);
    if (key !== undefined && !names.includes(key)) {
      problems.push(`sources.${source}.tables.${table}.key: there is no column ${key}. ${choice(names)}`);
    }
    const list = Object.entries(columns).map(([name, { references = null, ...column }]) => {
      if (references !== null && !isColumn(parsed.tables, references))
        problems.push(
          `sources.${source}.tables.${table}.columns.${name}.references: there is no column ${references}. Write table.column of this source.`,
        );
      return { name, references, ...column };
    });
    const id = `${source}.${table}`;
    return { kind: "table", id, source, table, description, key: key ?? null, hidden, columns: list };
  });
}

function membersOf(input: ParsedPolicy, problems: string[]): readonly Member[] {
  const roles = Object.keys(input.roles);
  const members = input.members.map(({ email, name, roles: held, attributes = {} }, index) => {
    for (const role of held) {
      if (!roles.includes(role)) problems.push(`members[${index}].roles: there is no role ${role}. ${choice(roles)}`);
    }
    for (const attribute of Object.keys(attributes)) {
      if (BUILT_IN_VALUES.includes(attribute))
        problems.push(`members[${index}].attributes.${attribute}: the name is built in. Choose another.`);
    }
    return { email, name, roles: held, attributes };
  });
  refuseDuplicates(
    members.map((member) => [member.email, "members"]),
    "has two entries for one email",
    problems,
  );
  return members;
}

function groupsOf(input: ParsedPolicy, problems: string[]): Policy["groups"] {
  const known = Object.keys(input.roles);
  const groups = Object.entries(input.groups).map(([group, roles]) => {
    for (const role of roles) {
      if (!known.includes(role))
        problems.push(`groups[${JSON.stringify(group)}]: there is no role ${role}. ${choice(known)}`);
    }
    return { group: groupName(group), roles };
  });
  refuseDuplicates(
    groups.map(({ group }) => [group, "groups"]),
    "has two spellings of one group",
    problems,
  );
  return groups;
}

/** What `attributes` names, and what the declared members have. */
function attributesOf(input: ParsedPolicy, members: readonly Member[], problems: string[]): readonly string[] {
  for (const name of input.attributes) {
    if (BUILT_IN_VALUES.includes(name)) problems.push(`attributes: the name ${name} is built in. Choose another.`);
  }
  return [...new Set([...input.attributes, ...members.flatMap((member) => Object.keys(member.attributes))])];
}

function savedOf(
  name: string,
  { description, source, sql, params }: ParsedPolicy["queries"][string],
  sources: readonly SourceDeclaration[],
  problems: string[],
): readonly SavedQuery[] {
  const tables = sources.filter(({ kind }) => kind === "d1").map((one) => one.name);
  if (!tables.includes(source))
    problems.push(`queries.${name}.source: there is no D1 source ${source}. ${choice(tables)}`);
  if (sources.some((one) => one.name === name))
    problems.push(`queries.${name}: is also the name of a source. Choose another.`);
  const parsed = parseSaved(sql, Object.keys(params));
  if (!parsed.ok) {
    problems.push(`queries.${name}.sql: ${parsed.problem.startsWith("The SQL") ? "" : "The SQL "}${parsed.problem}`);
    return [];
  }
  const parameters = Object.entries(params).map(([parameter, declared]) => ({ name: parameter, ...declared }));
  return [{ name, description, source, text: parsed.text, order: parsed.order, parameters }];
}

/** Both names may hold dots. */
function isColumn(
  tables: Extract<ParsedPolicy["sources"][string], { kind: "d1" }>["tables"],
  reference: string,
): boolean {
  return Object.entries(tables).some(([table, { columns }]) =>
    Object.keys(columns).some((column) => `${table}.${column}` === reference),
  );
}

/** A row could not show one of two tokens as the less masked form. */
function refuseTwoDomains(rules: readonly Rule[], problems: string[]): void {
  const domains = new Map<string, string>();
  for (const { role, dataset, masks } of rules) {
    for (const [column, mask] of Object.entries(masks)) {
      if (mask.kind !== "token") continue;
      const name = `${dataset}.${column}`;
      const known = domains.get(name) ?? mask.domain;
      domains.set(name, known);
      if (known !== mask.domain)
        problems.push(
          `roles.${role}.rules: ${name} has tokens of ${mask.domain} here and of ${known} elsewhere. Keep one.`,
        );
    }
  }
}

/** A value that nobody has would deny everybody without a word. */
function refuseUnknownValues(rules: readonly Rule[], attributes: readonly string[], problems: string[]): void {
  const known = new Set([...BUILT_IN_VALUES, ...attributes]);
  for (const { role, rows } of rules) {
    for (const name of rows === null ? [] : subjectValuesOf(rows)) {
      if (!known.has(name))
        problems.push(
          `roles.${role}.rules: no member has the attribute ${name}, and attributes does not name it for the members table. ${choice([...known])}`,
        );
    }
  }
}

/** What does not fit would make tables vanish for a member without any message. */
function refuseMisfits(
  members: readonly Member[],
  policy: Pick<Policy, "rules" | "datasets">,
  problems: string[],
): void {
  members.forEach(({ attributes }, index) => {
    for (const problem of attributeProblems(policy, attributes))
      if (problem.kind === "type")
        problems.push(`members[${index}].attributes.${problem.attribute}: ${describeProblem(problem)}`);
  });
}

function refuseDuplicates(entries: readonly (readonly [string, string])[], what: string, problems: string[]): void {
  const seen = new Set<string>();
  for (const [name, path] of entries) {
    if (seen.has(name)) problems.push(`${path}: ${what} (${name}). Keep one.`);
    seen.add(name);
  }
}
