// Defines the policy model as plain data: datasets, roles, rules, subjects and decisions. Behaviour is in evaluate.ts, masks.ts and
// guard-view.ts.

import type { Identity } from "../lib/identity.ts";
import type { ChangeRule } from "./change-model.ts";

/** The declared types of columns. Dates and datetimes are ISO 8601 text. */
export const COLUMN_TYPES = ["integer", "real", "text", "date", "datetime", "boolean", "json"] as const;
export type ColumnType = (typeof COLUMN_TYPES)[number];

/** A transformation that hides part of a value. masks.ts says what each one shows. */
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

/** How much of a column a subject sees. `hidden` means that the column does not exist for the subject. */
export type Disclosure = { readonly kind: "hidden" } | Mask | { readonly kind: "clear" };

/** A declared column. */
export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly description: string;
  /** Whether people outside the organisation write its text. */
  readonly untrusted: boolean;
  /** Whether no user sees it, whatever the rules say. Introspected columns stay hidden until an operator opens them. */
  readonly hidden: boolean;
  /** The `table.column` of the same source that it refers to; null when none is declared. */
  readonly references: string | null;
  /** Typical values. Shown only to subjects who see every row and the column in clear. */
  readonly examples: readonly string[];
  /** Whether the operator declares it personal or not; absent when its name and values decide. Only reviews of the policy use it. */
  readonly personal?: boolean | undefined;
  /**
   * The type by which SQLite compares it, if that is not the type of the table's column: none, as for an expression, or numeric. Only
   * stored results have such columns.
   */
  readonly comparedAs?: "nothing" | "number";
}

/** A declared table of a D1 source. */
export interface TableDataset {
  readonly kind: "table";
  /** `source.table`, unique in the deployment. */
  readonly id: string;
  readonly source: string;
  readonly table: string;
  readonly description: string;
  /** Whether it is a view of the database, which shows what its SELECT shows, whatever the rules of its tables say. */
  readonly isView: boolean;
  /** The columns that together identify a row, in the order of an id; empty when rows cannot be fetched one by one. */
  readonly key: readonly string[];
  /** Whether audit records name the rows that answers show, by their keys. */
  readonly recordKeys: boolean;
  /** Whether no user sees it, whatever the rules say. Introspected tables stay hidden until an operator opens them. */
  readonly hidden: boolean;
  readonly columns: readonly Column[];
  /** The triggers that may run when Gatehouse changes the table: SHA-256 of each one's SQL in hex, by name. Absent without any. */
  readonly triggers?: Readonly<Record<string, string>>;
}

/** The text documents of a KV source. */
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

/** A declared source, without its datasets. */
export interface SourceDeclaration {
  readonly name: string;
  readonly kind: "d1" | "kv";
  readonly binding: string;
  /** Whether users' SQL may be recursive. */
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
type ComparisonOperator = (typeof COMPARISONS)[number];

/** A piece of a row rule in SQL: text that the parser has accepted, or a declared column. */
export type ExpressionPart =
  { readonly kind: "text"; readonly text: string } | { readonly kind: "column"; readonly column: string };

/** The place of a subject value in a row rule: compared with a column, as a single value or as the list of IN. */
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

/** A comparison of a column with a value or a subject value, or a test for NULL. */
export type ColumnComparison =
  | { readonly column: string; readonly op: ComparisonOperator; readonly value: Scalar | SubjectValue }
  | { readonly column: string; readonly op: "in"; readonly value: readonly Scalar[] | SubjectValue }
  | { readonly column: string; readonly op: "is null" | "is not null" };

/** A piece of a row rule in SQL whose subject values have not been filled in. */
export type RulePart = ExpressionPart | SubjectPart;

/** A row rule. Values become bound parameters, never SQL text. */
export type Condition =
  | ColumnComparison
  | { readonly parts: readonly RulePart[] }
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] };

/** A column comparison whose subject value has been filled in. */
export type BoundComparison =
  | { readonly column: string; readonly op: ComparisonOperator; readonly value: Scalar }
  | { readonly column: string; readonly op: "in"; readonly value: readonly Scalar[] }
  | { readonly column: string; readonly op: "is null" | "is not null" };

/** A piece of a row rule in SQL whose subject values have been filled in. */
export type BoundPart = ExpressionPart | ValuePart;

/** A condition whose subject values have been filled in. */
export type BoundCondition =
  | BoundComparison
  | { readonly parts: readonly BoundPart[] }
  | { readonly all: readonly BoundCondition[] }
  | { readonly any: readonly BoundCondition[] };

/** What a rule of `Policy.rules` is about. Changes have rules of their own (change-model.ts). */
export type Action = "read";

/** What one role allows or denies on one dataset. Audit records name it by `id`, which is `role/effect/action/dataset`. */
export interface Rule {
  readonly id: string;
  readonly role: string;
  readonly effect: "allow" | "deny";
  readonly action: Action;
  readonly dataset: string;
  readonly rows: Condition | null;
  readonly masks: Readonly<Record<string, Mask>>;
  readonly hidden: readonly string[];
  /** Columns with a `token` mask whose masking tokens may be exchanged for the value, one at a time. */
  readonly reveal: readonly string[];
}

/** A role without its rules. */
interface Role {
  readonly name: string;
  readonly description: string;
  /** The names of the saved queries that the role may run. */
  readonly queries: readonly string[];
  /** Whether the role's rules apply only while one of these queries runs. */
  readonly savedOnly: boolean;
  /** Whether users with the role may add and remove members. */
  readonly administers: boolean;
  /** Whether users with the role may read the audit log, and whether also what other users have asked. */
  readonly audits: boolean | "with arguments";
}

/** SQL that an operator wrote and users run by name. */
export interface SavedQuery {
  readonly name: string;
  readonly description: string;
  readonly source: string;
  /** The SQL, with a `?` for each use of a parameter. */
  readonly text: string;
  /** The name of the parameter of each `?`, in order. */
  readonly order: readonly string[];
  readonly parameters: readonly { readonly name: string; readonly type: ColumnType; readonly description: string }[];
}

/** Attribute values by name. */
export type Attributes = Readonly<Record<string, Scalar | readonly Scalar[]>>;

/** A member that the policy file declares. */
export interface Member {
  readonly email: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly attributes: Attributes;
}

/** A checked policy. */
export interface Policy {
  readonly sources: readonly SourceDeclaration[];
  readonly datasets: readonly Dataset[];
  readonly roles: readonly Role[];
  readonly rules: readonly Rule[];
  readonly changeRules: readonly ChangeRule[];
  readonly members: readonly Member[];
  /** The roles that each group of the identity provider gives. */
  readonly groups: readonly { readonly group: string; readonly roles: readonly string[] }[];
  /** The names of all attributes that a user may have. */
  readonly attributes: readonly string[];
  readonly queries: readonly SavedQuery[];
}

/** The roles and attributes that the members table gives to one email, in addition to the policy file. */
export interface MemberRecord {
  readonly roles: readonly string[];
  readonly attributes: Attributes;
}

/** The record of a user who is not in the members table. */
export const NO_MEMBER_RECORD: MemberRecord = { roles: [], attributes: {} };

/** An identity with the roles and attributes that it has at this moment. */
export interface Subject extends Identity {
  readonly roles: readonly string[];
  readonly attributes: Attributes;
}

/** What one allow rule lets the subject see. `rows: null` means every row. */
export interface Grant {
  readonly rule: string;
  readonly rows: BoundCondition | null;
  readonly columns: Readonly<Record<string, Disclosure>>;
  /** Columns whose masking tokens may be exchanged for the value. */
  readonly reveal: readonly string[];
}

/** A decision that allows the read. `rules` names the rules that led to it. */
export interface AllowedDecision {
  readonly allowed: true;
  readonly dataset: Dataset;
  readonly grants: readonly Grant[];
  readonly rules: readonly string[];
}

/** A decision that denies the read. `rules` names the rules that led to it. */
export interface DeniedDecision {
  readonly allowed: false;
  /** The dataset's id. */
  readonly dataset: string;
  readonly reason: DenyReason;
  readonly rules: readonly string[];
}

/** The result of `evaluate`. */
export type Decision = AllowedDecision | DeniedDecision;

/**
 * Why a decision denies. `not_opened`: the dataset is declared `hidden`. `unclear_row_rule`: the row rule of each rule about changes reads
 * a column that the subject does not see in clear on every row.
 */
export type DenyReason =
  "not_opened" | "no_role" | "no_rule" | "denied_by_rule" | "missing_attribute" | "unclear_row_rule";
