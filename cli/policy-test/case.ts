// The test cases of a policy as data. docs/policy.md explains their sentences.
import type { Attributes, Subject, TableDataset } from "../../src/policy/model.ts";

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
