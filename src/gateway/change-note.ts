// The sentences about a change for an assistant and for a form: its effect on rows, and the next step.
import { IS_UNDO, explainEnd } from "../changes/change-explanations.ts";
import type { ChangeView, Permission, ShownValue } from "../changes/change-view.ts";
import type { StoredChange } from "../changes/stored-change.ts";
import { countOf } from "../lib/count-of.ts";

const EFFECTS = {
  insert: ["Insert", "Inserts"],
  update: ["Update", "Updates"],
  delete: ["Delete", "Deletes"],
} as const;
/** An undo does the opposite of what it takes back. */
const UNDO_EFFECTS = {
  insert: ["Delete again", "Deletes again"],
  update: ["Restore", "Restores"],
  delete: ["Insert again", "Inserts again"],
} as const;

type Effect = Pick<ChangeView, "operation" | "undoes" | "rowCount">;

/** States the effect: `Updates 2 rows`. */
export function describeEffect({ operation, undoes, rowCount }: Effect): string {
  return `${(undoes === null ? EFFECTS : UNDO_EFFECTS)[operation][1]} ${countOf(rowCount, "row")}`;
}

/** Asks for it: `Update 2 rows`. */
export function askForEffect({ operation, undoes, rowCount }: Effect): string {
  return `${(undoes === null ? EFFECTS : UNDO_EFFECTS)[operation][0]} ${countOf(rowCount, "row")}`;
}

/** Stands for a value that is not shown. */
export function formatUnshown(kind: Exclude<ShownValue["kind"], "value">): string {
  return `[${kind}]`;
}

/** Gives the next step after a decision of the requester, who has just seen the rows. */
export function describeDecided({ state, approval, endReason, terms }: StoredChange): string {
  const explanation = endReason === null ? null : explainEnd(endReason);
  const mayUndo: Permission = terms.undoes === null ? { isAllowed: true } : { isAllowed: false, why: IS_UNDO };
  return describeNext({ state, approval, explanation, mayUndo, hasDrifted: false });
}

/** Gives the next step, or the reason of an end. */
export function describeNext({
  state,
  approval,
  explanation,
  mayUndo,
  hasDrifted,
}: Pick<ChangeView, "state" | "approval" | "explanation" | "mayUndo" | "hasDrifted">): string {
  switch (state) {
    case "proposed":
      if (hasDrifted)
        return "The rows have changed since, so it cannot be approved any more. Nothing has changed. Propose it again.";
      return approval === "reviewer"
        ? "Nothing has changed yet. A reviewer, who is another person, approves it at url. " +
            "Tell the person, and fetch this id later for its state."
        : "Nothing has changed yet. Ask the person to open url, look at the change and approve it; you cannot. " +
            "Then fetch this id for its state.";
    case "applied":
      return `Every row has changed. ${mayUndo.isAllowed ? "The tool undo takes it back." : mayUndo.why}`;
    case "approved":
    case "applying":
      return "It was approved and is being applied. Fetch this id for its state.";
    case "outcome_unknown":
      return (
        "The database does not answer, so it is not known yet whether the rows have changed. " +
        "Fetch this id later. Do not propose it again."
      );
    case "denied":
    case "expired":
    case "conflict":
    case "failed":
      return explanation ?? "Nothing has changed.";
  }
}
