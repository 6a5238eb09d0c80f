// Writes row conditions, masks and a role's view of a dataset as text that people read.
import { formatDisclosure } from "../../src/policy/masks.ts";
import type {
  BoundCondition,
  BoundPart,
  Condition,
  Dataset,
  Disclosure,
  Policy,
  Rule,
  RulePart,
  TableDataset,
} from "../../src/policy/model.ts";

/** Writes a row condition in the form of SQL; `all` when there is none. */
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

function partText(part: RulePart | BoundPart): string {
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

/** Lists the columns by which audit records name the rows of a dataset; none if they do not. */
export function listRecordedKey(dataset: Dataset): readonly string[] {
  return dataset.kind === "table" && dataset.recordKeys ? dataset.key : [];
}

/** What a role sees of a dataset. */
export type RoleView =
  | { readonly kind: "nothing"; readonly reason: string }
  | { readonly kind: "documents" }
  | {
      readonly kind: "rows";
      readonly rows: Condition | null;
      readonly columns: ReadonlyMap<string, Disclosure>;
      readonly reveal: readonly string[];
    };

/** Computes a role's view from the rules alone, without attributes of a particular user. */
export function roleView({ datasets, rules }: Policy, role: string, datasetId: string): RoleView {
  const dataset = datasets.find(({ id }) => id === datasetId);
  const applicable = rules.filter((rule) => rule.role === role && rule.dataset === datasetId);
  const allow = applicable.find(({ effect }) => effect === "allow");
  const deny = applicable.find(({ effect }) => effect === "deny");
  if (dataset === undefined) return { kind: "nothing", reason: "no such dataset" };
  if (deny !== undefined && deny.hidden.length === 0) return { kind: "nothing", reason: "denied" };
  if (allow === undefined) return { kind: "nothing", reason: "no rule" };
  if (dataset.kind === "documents") return { kind: "documents" };
  if (dataset.hidden) return { kind: "nothing", reason: "hidden" };
  return { kind: "rows", rows: allow.rows, columns: discloseColumns(dataset, allow, deny), reveal: allow.reveal };
}

/** Whether a rule lets the role read a table or documents. */
export function readsAnything(policy: Policy, role: string): boolean {
  return policy.datasets.some(({ id }) => roleView(policy, role, id).kind !== "nothing");
}

function discloseColumns(dataset: TableDataset, allow: Rule, deny: Rule | undefined): ReadonlyMap<string, Disclosure> {
  return new Map(
    dataset.columns.map(({ name, hidden }): [string, Disclosure] => {
      const isHidden = hidden || allow.hidden.includes(name) || (deny?.hidden.includes(name) ?? false);
      return [
        name,
        isHidden
          ? { kind: "hidden" }
          : ((Object.hasOwn(allow.masks, name) ? allow.masks[name] : undefined) ?? { kind: "clear" }),
      ];
    }),
  );
}

/** Writes how a column is shown: its mask, `clear`, or `–` when it is hidden. */
export function disclosureText(disclosure: Disclosure | undefined): string {
  return disclosure === undefined || disclosure.kind === "hidden" ? "–" : formatDisclosure(disclosure);
}
