// The test cases of a policy as data. docs/policy.md explains their sentences.
import type { Approval, ChangeOperation } from "../../src/policy/change-model.ts";
import type { Attributes, Scalar, Subject, TableDataset } from "../../src/policy/model.ts";

/** Whom a case is about. */
export type CaseSubject =
  | { readonly kind: "role" | "group"; readonly name: string; readonly attributes: Attributes }
  | { readonly kind: "member"; readonly email: string };

export const OPERATORS = ["=", "!=", "<", "<=", ">", ">="] as const;
type Operator = (typeof OPERATORS)[number];

/** A comparison of a column with a value, or with null. */
export type CaseCondition =
  | { readonly column: string; readonly op: Operator; readonly value: string | number }
  | { readonly column: string; readonly op: "is null" | "is not null" };

/** Rows of a table that meet all conditions. */
export interface CaseRows {
  readonly table: TableDataset;
  readonly where: readonly CaseCondition[];
}

/** A claim that the subject may, or may not, ask for a change of some row. */
export interface ChangeClaim {
  readonly kind: "change";
  readonly dataset: TableDataset;
  /** `any`: whatever the operation. */
  readonly operation: ChangeOperation | "any";
  /** The column that the change sets; null where the claim names none. */
  readonly column: string | null;
  /** The value that the column gets, as a literal of a change; absent for any value. */
  readonly value?: Scalar;
  /** Who must approve; null where the claim does not say. */
  readonly approval: Approval | null;
  readonly isAllowed: boolean;
}

/** What a case claims. */
export type Claim =
  /** `shownAs` is `clear`, or the masks as `policy explain` writes them; null when the column cannot be seen. */
  | {
      readonly kind: "column";
      readonly dataset: TableDataset;
      readonly column: string;
      readonly shownAs: string | null;
    }
  | { readonly kind: "dataset"; readonly dataset: string; readonly isVisible: boolean }
  | ChangeClaim
  /** `only`: all rows that the subject sees meet the conditions. `rows` has more than one table for `no row of region south`. */
  | {
      readonly kind: "rows";
      readonly amount: number | "all" | "some" | "only";
      readonly rows: readonly CaseRows[];
    };

/** A case of the file. */
export interface TestCase {
  readonly line: number;
  /** The sentence as it is written. */
  readonly text: string;
  readonly subject: CaseSubject;
  readonly claim: Claim;
}

/** `no data`: the local data has nothing that could have shown a mistake. */
export type CaseStatus = "passed" | "failed" | "no data";

/** What a case has shown. It holds no value of the data. */
export interface CaseResult {
  readonly line: number;
  readonly case: string;
  readonly status: CaseStatus;
  readonly expected: string;
  readonly actual: string;
  /** The rules that decided, each with what it grants, or why none grants. */
  readonly decidedBy: readonly string[];
}

/** A subject, or why there is none. */
export type ResolvedSubject =
  { readonly kind: "subject"; readonly subject: Subject } | { readonly kind: "unknown"; readonly message: string };
