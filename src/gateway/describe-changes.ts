// Describes what a user may change of a table: one entry for each rule, with the columns, their values, and who approves.
import { evaluateChange } from "../policy/evaluate-change.ts";
import { listSettableColumns } from "../policy/change-plan.ts";
import { describeValues } from "../policy/change-values.ts";
import type { AllowedChange, ChangeGrant } from "../policy/change-model.ts";
import type { Policy, Subject, TableDataset } from "../policy/model.ts";

/** What one rule lets a user change. */
export interface ChangeDescription {
  /** `insert`, `update` or `delete`, or several of them. */
  readonly actions: readonly string[];
  /** Which values each column may get. Absent when none can be set. */
  readonly columns?: Readonly<Record<string, string>>;
  /** The most rows of one change. */
  readonly rows: number;
  readonly approval: string;
}

const APPROVAL_TEXTS = {
  none: "none",
  requester: "by this person, on a page",
  reviewer: "by a reviewer, who is another person",
} as const;

/** Describes the changes that a user may propose; undefined when there are none. */
export function describeChanges(
  policy: Policy,
  subject: Subject,
  dataset: TableDataset,
): readonly ChangeDescription[] | undefined {
  const decision = evaluateChange(policy, subject, dataset);
  return decision.allowed ? decision.grants.map((grant) => describeGrant(decision, grant)) : undefined;
}

/** Names only columns that the user sees or may reveal: no others can be set. */
function describeGrant(decision: AllowedChange, grant: ChangeGrant): ChangeDescription {
  const { operations, columns, maxRows, approval, formClients } = grant;
  const entries = listSettableColumns(decision, [grant]).flatMap(({ name, type }) => {
    const schema = columns[name];
    return schema === undefined ? [] : [[name, describeValues(type, schema)] as const];
  });
  return {
    actions: operations,
    ...(entries.length === 0 ? {} : { columns: Object.fromEntries(entries) }),
    rows: maxRows,
    approval: `${APPROVAL_TEXTS[approval]}${formClients.length > 0 ? ", or in a form of some clients" : ""}`,
  };
}
