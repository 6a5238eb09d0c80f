// The words of the policy: datasets, roles, rules, subjects and decisions, as plain data. Behaviour lives in evaluate,
// masks and views.

import type { Identity } from "../lib/identity.ts";

/** How a column's values are declared. Dates and datetimes are ISO 8601 text. */
export const COLUMN_TYPES = ["integer", "real", "text", "date", "datetime", "boolean", "json"] as const;
export type ColumnType = (typeof COLUMN_TYPES)[number];

export type Mask =
  | { readonly kind: "null" }
  | { readonly kind: "redact" }
  | { readonly kind: "token"; readonly domain: string }
  | { readonly kind: "bucket"; readonly size: number }
  | { readonly kind: "round"; readonly step: number }
  | { readonly kind: "year" }
  | { readonly kind: "month" }
  | { readonly kind: "last"; readonly count: number }
  | { readonly kind: "email" };

/** How much of a column someone sees. `hidden` means that the column does not exist for them. */
export type Disclosure = { readonly kind: "hidden" } | Mask | { readonly kind: "clear" };

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly description: string;
  /** Whether people outside the organisation write its text. */
  readonly untrusted: boolean;
  /** Whether nobody sees it, whatever the rules say: nobody has opened it yet. */
  readonly hidden: boolean;
  /** The `table.column` of the same source that it refers to; null when none is known. */
  readonly references: string | null;
  /** Values that are typical, for who sees the column in clear and every row. */
  readonly examples: readonly string[];
}

export interface TableDataset {
  readonly kind: "table";
  /** `source.table`, unique in the deployment. */
  readonly id: string;
  readonly source: string;
  readonly table: string;
  readonly description: string;
  /** The column that identifies a row; null when rows cannot be fetched one by one. */
  readonly key: string | null;
  /** Whether nobody sees it, whatever the rules say: nobody has opened it yet. */
  readonly hidden: boolean;
  readonly columns: readonly Column[];
}

export interface DocumentDataset {
  readonly kind: "documents";
  /** The source's name: a KV source is one dataset. */
  readonly id: string;
  readonly source: string;
  readonly description: string;
  /** Whether people outside the organisation write its documents. */
  readonly untrusted: boolean;
}

export type Dataset = TableDataset | DocumentDataset;

export interface SourceDeclaration {
  readonly name: string;
  readonly kind: "d1" | "kv";
  readonly binding: string;
  /** Whether people's SQL may be recursive. */
  readonly recursion: boolean;
  readonly title: string;
  readonly description: string;
}

export type Scalar = string | number | boolean;

/** A value taken from the subject when the rule is evaluated: `id`, `email` or the name of an attribute. */
export interface SubjectValue {
  readonly subject: string;
}

export const COMPARISONS = ["=", "!=", "<", "<=", ">", ">="] as const;
export type Comparison = (typeof COMPARISONS)[number];

/** A piece of a row rule in SQL, as it was written or made sure to be what it says. */
export type ExpressionPart =
  { readonly kind: "text"; readonly text: string } | { readonly kind: "column"; readonly column: string };

/** Where a subject value stands: compared with a column, as one value or as the list of an IN. */
export interface SubjectPart {
  readonly kind: "subject";
  readonly subject: string;
  readonly column: string;
  readonly isList: boolean;
}

/** A subject value that has been filled in. */
export interface ValuePart {
  readonly kind: "value";
  readonly value: Scalar | readonly Scalar[];
}

/** A row rule. Values become bound parameters, never SQL text. */
export type Condition =
  | { readonly column: string; readonly op: Comparison; readonly value: Scalar | SubjectValue }
  | { readonly column: string; readonly op: "in"; readonly value: readonly Scalar[] | SubjectValue }
  | { readonly column: string; readonly op: "is null" | "is not null" }
  | { readonly parts: readonly (ExpressionPart | SubjectPart)[] }
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] };

/** A condition whose subject values have been filled in. */
export type BoundCondition =
  | { readonly column: string; readonly op: Comparison; readonly value: Scalar }
  | { readonly column: string; readonly op: "in"; readonly value: readonly Scalar[] }
  | { readonly column: string; readonly op: "is null" | "is not null" }
  | { readonly parts: readonly (ExpressionPart | ValuePart)[] }
  | { readonly all: readonly BoundCondition[] }
  | { readonly any: readonly BoundCondition[] };

export const ACTIONS = ["read"] as const;
export type Action = (typeof ACTIONS)[number];

/** One role's say on one dataset. `id` is `role/effect/action/dataset` and is what records name. */
export interface Rule {
  readonly id: string;
  readonly role: string;
  readonly effect: "allow" | "deny";
  readonly action: Action;
  readonly dataset: string;
  readonly rows: Condition | null;
  readonly masks: Readonly<Record<string, Mask>>;
  readonly hidden: readonly string[];
  /** Columns that the rule tokens and whose tokens it lets exchange for the value, one at a time. */
  readonly reveal: readonly string[];
}

export interface Role {
  readonly name: string;
  readonly description: string;
  /** Saved queries that it may run. */
  readonly queries: readonly string[];
  /** Whether its rules count in those queries alone. */
  readonly savedOnly: boolean;
  /** Whether who holds it may add and remove members. */
  readonly administers: boolean;
}

/** SQL that is run by name. */
export interface SavedQuery {
  readonly name: string;
  readonly description: string;
  readonly source: string;
  /** With a `?` for each parameter. */
  readonly text: string;
  /** The parameter of each `?`. */
  readonly order: readonly string[];
  readonly parameters: readonly { readonly name: string; readonly type: ColumnType; readonly description: string }[];
}

export type Attributes = Readonly<Record<string, Scalar | readonly Scalar[]>>;

export interface Member {
  readonly email: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly attributes: Attributes;
}

export interface Policy {
  readonly sources: readonly SourceDeclaration[];
  readonly datasets: readonly Dataset[];
  readonly roles: readonly Role[];
  readonly rules: readonly Rule[];
  readonly members: readonly Member[];
  /** Roles that a group of the identity provider gives. */
  readonly groups: readonly { readonly group: string; readonly roles: readonly string[] }[];
  /** The names of all attributes that a person may have. */
  readonly attributes: readonly string[];
  readonly queries: readonly SavedQuery[];
}

/** What the members table gives one email, besides what the policy file declares. */
export interface MemberRecord {
  readonly roles: readonly string[];
  readonly attributes: Attributes;
}

/** Of people whom the members table does not name. */
export const NO_RECORD: MemberRecord = { roles: [], attributes: {} };

/** An identity with what the policy gives it at this moment. */
export interface Subject extends Identity {
  readonly roles: readonly string[];
  readonly attributes: Attributes;
}

/** What one rule lets the subject see. `rows: null` means every row. */
export interface Grant {
  readonly rule: string;
  readonly rows: BoundCondition | null;
  readonly columns: Readonly<Record<string, Disclosure>>;
  /** Columns whose tokens may be exchanged for the value. */
  readonly reveal: readonly string[];
}

export type Decision =
  | {
      readonly allowed: true;
      readonly dataset: Dataset;
      readonly grants: readonly Grant[];
      readonly rules: readonly string[];
    }
  | {
      readonly allowed: false;
      readonly dataset: string;
      readonly reason: DenyReason;
      readonly rules: readonly string[];
    };

export type DenyReason = "not_opened" | "no_role" | "no_rule" | "denied_by_rule" | "missing_attribute";
