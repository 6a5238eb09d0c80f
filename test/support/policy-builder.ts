// Builds small policies for tests: it fills in names, titles and descriptions, so that a test states only the tables, rules and members
// that it is about. It checks nothing itself: defineGatehouse() parses and checks every policy that it builds.
import { defineGatehouse } from "../../src/config/define-gatehouse.ts";
import type { Gatehouse, GatehouseInput } from "../../src/config/define-gatehouse.ts";
import type { AllowRuleInput, D1SourceInput } from "../../src/policy/policy-schema.ts";

type RoleInput = GatehouseInput["roles"][string];
type MemberInput = GatehouseInput["members"][number];

/** A rule of a role, in the form of the policy file. */
export type Rule = RoleInput["rules"][number];
/** A rule that allows reading, with its row rule, masks and hidden columns. */
export type AllowRule = AllowRuleInput;
/** The row rule of a rule: a condition that the rows must meet. */
export type Rows = NonNullable<AllowRule["rows"]>;
/** The attributes of a member, with which row rules compare columns. */
export type Attributes = NonNullable<MemberInput["attributes"]>;

/** A column in the form of the policy file. `key()` marks the key of its table. */
export type Column = D1SourceInput["tables"][string]["columns"][string] & { readonly key?: true };
/** Tables by name, as columns by name. */
export type Tables = Readonly<Record<string, Readonly<Record<string, Column>>>>;

/** A D1 source if it has tables, otherwise a KV source of documents. */
export type Source =
  | {
      readonly binding: string;
      readonly tables: Tables;
      /** The names of those tables that are views of the database. */
      readonly views?: readonly string[];
      /** The names of those tables whose keys are recorded. */
      readonly recordKeys?: readonly string[];
      readonly recursion?: boolean;
    }
  | { readonly binding: string; readonly untrusted?: boolean };

/** Roles by name, each as a list of rules, or with further properties. */
export type Roles = Readonly<Record<string, readonly Rule[] | Role>>;

/** A role, whose name is also its description. */
export interface Role extends Omit<RoleInput, "description" | "rules"> {
  readonly rules: readonly Rule[];
}

/** Members by account, each as a list of role names, or with attributes. */
export type Members = Readonly<
  Record<string, readonly string[] | { readonly roles: readonly string[]; readonly attributes?: Attributes }>
>;

/** What differs between the policies of tests. */
export interface PolicyParts extends Partial<
  Pick<GatehouseInput, "organisation" | "limits" | "queries" | "groups" | "attributes">
> {
  /** The tables of the D1 source `shop`, whose binding is SHOP_DB. */
  readonly tables?: Tables;
  /** The names of those tables that are views of the database. */
  readonly views?: readonly string[];
  /** The names of those tables whose keys are recorded. */
  readonly recordKeys?: readonly string[];
  /** Sources in addition to `tables`. */
  readonly sources?: Readonly<Record<string, Source>>;
  readonly roles: Roles;
  /** All members. By default, each role has one member with the name of the role. */
  readonly members?: Members;
}

/** A column of whole numbers. Spread it to add properties: `{ ...NUMBER, description: "Cents" }`. */
export const NUMBER = { type: "integer", description: "Number" } as const;
/** A text column. */
export const TEXT = { type: "text", description: "Text" } as const;
/** A column of ISO 8601 dates. */
export const DATE = { type: "date", description: "Day" } as const;
/** A column of ISO 8601 dates with times. */
export const DATETIME = { type: "datetime", description: "Time" } as const;

/** Declares that the column is the key of its table, or one of several that are the key together. */
export function key(column: Column): Column {
  return { ...column, key: true };
}

/** Creates a rule that allows reading these datasets, with a row rule, masks and hidden columns from the options. */
export function allow(
  datasets: string | readonly string[],
  options: Omit<AllowRule, "effect" | "action" | "datasets"> = {},
): AllowRule {
  return { action: "read", datasets: [datasets].flat(), ...options };
}

/** Creates a rule that denies reading these datasets, or only these columns of them. */
export function deny(datasets: string | readonly string[], columns?: readonly string[]): Rule {
  const denied = { effect: "deny", action: "read", datasets: [datasets].flat() } as const;
  return columns === undefined ? denied : { ...denied, columns: [...columns] };
}

/**
 * Builds a policy. The account `reader` has the address reader@harbor.example; an account that contains @ is a whole address. Throws what
 * `defineGatehouse` throws.
 *
 * @example
 * buildPolicy({
 *   tables: { sales: { id: key(NUMBER), region: TEXT, email: TEXT } },
 *   roles: {
 *     reader: [allow("shop.sales")],
 *     north: [allow("shop.sales", { rows: { column: "region", op: "=", value: "north" }, masks: { email: mask.email } })],
 *   },
 * });
 */
export function buildPolicy(parts: PolicyParts): Gatehouse {
  const { tables, views = [], recordKeys = [], sources = {}, roles, members, ...others } = parts;
  const shop: PolicyParts["sources"] =
    tables === undefined ? {} : { shop: { binding: "SHOP_DB", tables, views, recordKeys } };
  const usedMembers = members ?? Object.fromEntries(Object.keys(roles).map((role) => [role, [role]]));
  return defineGatehouse({
    organisation: { name: "Test", contact: "Test" },
    ...others,
    sources: mapValues({ ...shop, ...sources }, buildSource),
    roles: mapValues(roles, buildRole),
    members: Object.entries(usedMembers).map(([account, member]) => buildMember(account, member)),
  });
}

function buildSource(source: Source, name: string): GatehouseInput["sources"][string] {
  const title = capitalize(name);
  if (!("tables" in source)) return { kind: "kv", title, description: title, ...source };
  const { tables, views = [], recordKeys = [], ...properties } = source;
  const build = (columns: Tables[string], table: string) => ({
    ...buildTable(columns, table, views.includes(table)),
    recordKeys: recordKeys.includes(table),
  });
  return { kind: "d1", title, description: title, ...properties, tables: mapValues(tables, build) };
}

function buildTable(columns: Tables[string], name: string, view: boolean): D1SourceInput["tables"][string] {
  const keyColumns = Object.keys(columns).filter((column) => columns[column]?.key);
  const [firstKey, ...otherKeys] = keyColumns;
  return {
    description: capitalize(name),
    view,
    ...(firstKey === undefined ? {} : { key: otherKeys.length === 0 ? firstKey : keyColumns }),
    columns: mapValues(columns, ({ key: _key, ...column }) => column),
  };
}

function buildRole(role: Roles[string], name: string): RoleInput {
  const { rules, ...properties } = "rules" in role ? role : { rules: role };
  return { description: name, ...properties, rules: [...rules] };
}

function buildMember(account: string, member: Members[string]): MemberInput {
  const { roles, attributes } = "roles" in member ? member : { roles: member, attributes: undefined };
  return {
    email: account.includes("@") ? account : `${account}@harbor.example`,
    name: account,
    roles: [...roles],
    ...(attributes === undefined ? {} : { attributes }),
  };
}

function mapValues<Value, Result>(
  record: Readonly<Record<string, Value>>,
  convert: (value: Value, name: string) => Result,
): Record<string, Result> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, convert(value, name)]));
}

function capitalize(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
