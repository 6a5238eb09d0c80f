// What pages say of a change in plain words: what it does, its state, and who decides. Text of sources is made visible here.
import type { ChangeSummary } from "../changes/change-view.ts";
import type { ChangeState } from "../changes/change-states.ts";
import { countOf } from "../lib/count-of.ts";
import { escapeInvisible } from "../lib/visible-text.ts";
import type { Approval, ChangeOperation } from "../policy/change-model.ts";
import type { BadgeKind } from "../ui/components.tsx";

const OPERATIONS: Readonly<Record<ChangeOperation, readonly [noun: string, preposition: string]>> = {
  insert: ["insertion", "into"],
  update: ["update", "in"],
  delete: ["deletion", "from"],
};

/** Says who decides. */
export const APPROVERS: Readonly<Record<Approval, string>> = {
  none: "no person: the rules allow it without a decision",
  requester: "the user who asks for it",
  reviewer: "a reviewer, who is another user",
};

interface StateWords {
  readonly label: string;
  readonly kind: BadgeKind;
  /** What the state means for the rows. */
  readonly meaning: string;
}

/** How pages name the states. */
export const STATES: Readonly<Record<ChangeState, StateWords>> = {
  proposed: { label: "Waits for a decision", kind: "wait", meaning: "Nothing has changed yet." },
  approved: {
    label: "Approved",
    kind: "wait",
    meaning: "It will be applied now. Load this page again to see the outcome.",
  },
  applying: { label: "Being applied", kind: "wait", meaning: "Load this page again to see the outcome." },
  applied: { label: "Applied", kind: "good", meaning: "It was applied as a whole." },
  denied: { label: "Denied", kind: "bad", meaning: "No row has changed." },
  expired: { label: "Expired", kind: "plain", meaning: "No row has changed." },
  conflict: {
    label: "Not applied",
    kind: "bad",
    meaning: "The rows were no longer as the preview had shown them, so no row has changed.",
  },
  failed: { label: "Failed", kind: "bad", meaning: "The database refused it, so no row has changed." },
  outcome_unknown: {
    label: "Outcome not known yet",
    kind: "wait",
    meaning:
      "The database cannot be reached to find out whether the rows have changed. The server keeps trying: load this page again later.",
  },
};

/** Says what a change does, such as `Update of 3 rows in shop.tickets`. */
export function describeChange({ operation, rowCount, dataset, undoes }: ChangeSummary): string {
  const [noun, preposition] = OPERATIONS[operation];
  const text = `${noun} of ${countOf(rowCount, "row")} ${preposition} ${escapeInvisible(dataset)}`;
  return undoes === null ? text.charAt(0).toUpperCase() + text.slice(1) : `Undo of an earlier change: ${text}`;
}
