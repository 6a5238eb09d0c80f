// Defines what the policy says about changes of rows as plain data: rules, value schemas and decisions. Behaviour is in
// evaluate-change.ts.
import type { AllowedDecision, BoundCondition, Condition, DenyReason, Scalar, TableDataset } from "./model.ts";

/** What a change does to rows. */
export const CHANGE_OPERATIONS = ["insert", "update", "delete"] as const;
export type ChangeOperation = (typeof CHANGE_OPERATIONS)[number];

/**
 * Who approves a change before it is applied: no person, the user who asked for it (for a personal access token its owner), or a reviewer,
 * who is another user. The mildest comes first.
 */
export const APPROVALS = ["none", "requester", "reviewer"] as const;
export type Approval = (typeof APPROVALS)[number];

/** The most rows that a rule can allow in one change: their images are stored and compared in one transaction. */
export const MAX_CHANGED_ROWS = 500;

/** Which values a column may be changed to, besides those that its declared type excludes. */
export interface ValueSchema {
  /** The only values; absent when others are possible. */
  readonly oneOf?: readonly Scalar[] | undefined;
  /** The least and greatest number, or the first and last date; absent without a limit. */
  readonly min?: number | string | undefined;
  readonly max?: number | string | undefined;
  /** The most characters of a text. */
  readonly maxLength: number;
  /** Whether the value may be NULL. */
  readonly nullable: boolean;
}

/** What a rule allows besides the rows. */
interface ChangeTerms {
  readonly operations: readonly ChangeOperation[];
  /** The columns that may be set, by name. */
  readonly columns: Readonly<Record<string, ValueSchema>>;
  /** The most rows of one change. */
  readonly maxRows: number;
  readonly approval: Approval;
  /** The roles whose users may approve; empty unless `approval` is `reviewer`. */
  readonly reviewers: readonly string[];
  /** The ids of the OAuth clients in whose own form the requester may approve; empty when only a page of this server takes the approval. */
  readonly formClients: readonly string[];
  /** Whether a change may move a row out of the requester's sight. */
  readonly mayLeaveSight: boolean;
}

/** A rule that allows changes of one dataset. Audit records name it by `id`, which is `role/allow/change/dataset`. */
export interface AllowChangeRule extends ChangeTerms {
  readonly id: string;
  readonly role: string;
  readonly effect: "allow";
  readonly dataset: string;
  /** Which rows: as they are before an update or delete, and as they become by an insert. Null means every row. */
  readonly rows: Condition | null;
}

/** A rule that denies changes of one dataset. */
export interface DenyChangeRule {
  readonly id: string;
  readonly role: string;
  readonly effect: "deny";
  readonly dataset: string;
  /** The columns that may not be set; empty when the rule denies every change. */
  readonly columns: readonly string[];
}

export type ChangeRule = AllowChangeRule | DenyChangeRule;

/** What one rule lets a subject change. */
export interface ChangeGrant extends ChangeTerms {
  readonly rule: string;
  readonly rows: BoundCondition | null;
}

/** A decision that allows some changes of a dataset. */
export interface AllowedChange {
  readonly allowed: true;
  readonly dataset: TableDataset;
  /** What the subject may read of the dataset: only such rows can be changed. */
  readonly read: AllowedDecision;
  readonly grants: readonly ChangeGrant[];
  /** The rules that led to it. */
  readonly rules: readonly string[];
}

/** The result of `evaluateChange`. `DenyReason` is about the read of the dataset, or about the change. */
export type ChangeDecision =
  | AllowedChange
  | {
      readonly allowed: false;
      readonly dataset: string;
      readonly reason: DenyReason;
      readonly rules: readonly string[];
    };
