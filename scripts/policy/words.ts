// The policy in words: row rules, decisions and columns as people read them.
import { disclosureName } from "../../src/policy/masks.ts";
import type { BoundCondition, Condition, Disclosure, Policy, Rule, TableDataset } from "../../src/policy/model.ts";

/** A row rule as it could be written in SQL; `all` where there is none. */
export function rowsText(condition: Condition | BoundCondition | null): string {
  return condition === null ? "all" : conditionText(condition);
}

function conditionText(condition: Condition | BoundCondition): string {
  if ("all" in condition) return `(${condition.all.map(conditionText).join(" and ")})`;
  if ("any" in condition) return `(${condition.any.map(conditionText).join(" or ")})`;
  if ("parts" in condition) return condition.parts.map(partText).join(" ");
  if (!("value" in condition)) return `${condition.column} ${condition.op}`;
  return `${condition.column} ${condition.op} ${valueText(condition.value)}`;
}

type Part = Extract<Condition | BoundCondition, { parts: unknown }>["parts"][number];

function partText(part: Part): string {
  switch (part.kind) {
    case "text":
      return part.text;
    case "column":
      return part.column;
    case "subject":
      return `:${part.subject}`;
    case "value":
      return valueText(part.value);
  }
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) return `(${value.map(valueText).join(", ")})`;
  if (typeof value === "object" && value !== null && "subject" in value) return `:${String(value.subject)}`;
  return typeof value === "string" ? `'${value}'` : String(value);
}

/** What one role sees of one dataset. */
export type RoleView =
  | { readonly kind: "nothing"; readonly reason: string }
  | { readonly kind: "documents" }
  | {
      readonly kind: "rows";
      readonly rows: Condition | null;
      readonly columns: ReadonlyMap<string, Disclosure>;
      readonly reveal: readonly string[];
    };

/** By the rules alone, whoever holds the role. */
export function roleView({ datasets, rules }: Policy, role: string, datasetId: string): RoleView {
  const dataset = datasets.find(({ id }) => id === datasetId);
  const own = rules.filter((rule) => rule.role === role && rule.dataset === datasetId);
  const allow = own.find(({ effect }) => effect === "allow");
  const deny = own.find(({ effect }) => effect === "deny");
  if (dataset === undefined) return { kind: "nothing", reason: "no such dataset" };
  if (deny !== undefined && deny.hidden.length === 0) return { kind: "nothing", reason: "denied" };
  if (allow === undefined) return { kind: "nothing", reason: "no rule" };
  if (dataset.kind === "documents") return { kind: "documents" };
  if (dataset.hidden) return { kind: "nothing", reason: "not opened" };
  return { kind: "rows", rows: allow.rows, columns: columnsOf(dataset, allow, deny), reveal: allow.reveal };
}

function columnsOf(dataset: TableDataset, allow: Rule, deny: Rule | undefined): ReadonlyMap<string, Disclosure> {
  return new Map(
    dataset.columns.map(({ name, hidden }): [string, Disclosure] => {
      const isHidden = hidden || allow.hidden.includes(name) || (deny?.hidden.includes(name) ?? false);
      return [name, isHidden ? { kind: "hidden" } : (allow.masks[name] ?? { kind: "clear" })];
    }),
  );
}

export function disclosureText(disclosure: Disclosure | undefined): string {
  return disclosure === undefined || disclosure.kind === "hidden" ? "–" : disclosureName(disclosure);
}
