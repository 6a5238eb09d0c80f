// Decides who may see, approve and take back a change. Pure: it takes resolved subjects and what they read of the table today.
import { getOwnerId } from "../lib/identity.ts";
import { listClearColumns } from "../policy/evaluate-change.ts";
import type { Subject } from "../policy/model.ts";
import type { VisibleTable } from "../read/source.ts";
import type { ChangedRows } from "../read/change-target.ts";
import type { Permission } from "./change-view.ts";
import { isPossibleDecider } from "./stored-change.ts";
import type { StoredChange } from "./stored-change.ts";

/** Whether a change is the viewer's: they asked for it, or one of their personal access tokens did. */
export function isOwnChange({ requester }: Pick<StoredChange, "requester">, { subjectId, token }: Subject): boolean {
  return requester.subjectId === subjectId || (token === undefined && getOwnerId(requester) === subjectId);
}

/** Whether a subject is one of the reviewers of a change: another user with a role that the rule names. */
export function isReviewer(
  change: Pick<StoredChange, "approval" | "reviewers" | "requester">,
  subject: Subject,
): boolean {
  return (
    subject.token === undefined &&
    change.approval === "reviewer" &&
    isPossibleDecider(change, subject) &&
    subject.roles.some((role) => change.reviewers.includes(role))
  );
}

/**
 * Says why a reviewer cannot review a change: they must read every column that it changes, and for a delete every column, in clear and on
 * every row. Undefined when they can, as far as columns tell.
 */
export function findUnreadableColumn(
  change: Pick<StoredChange, "terms">,
  table: VisibleTable | undefined,
): string | undefined {
  if (table === undefined) return `You do not read ${change.terms.dataset}, so you cannot review this change.`;
  const { dataset, decision } = table;
  const clear = listClearColumns(decision, dataset);
  const { operation, undoes } = change.terms;
  // Whole rows go or come.
  const isWhole = operation === "delete" || (operation === "insert" && undoes !== null);
  const changed = isWhole
    ? dataset.columns.filter(({ hidden }) => !hidden).map(({ name }) => name)
    : Object.keys(change.terms.values);
  return changed.every((name) => clear.has(name))
    ? undefined
    : "You do not see every column that it changes in clear, so you cannot review it.";
}

/** Whether a subject may say no: the user who asked for it, and every reviewer. */
export function mayDeny(change: StoredChange, viewer: Subject, nowMs: number): boolean {
  if (change.state !== "proposed" || nowMs >= change.expiresMs || viewer.token !== undefined) return false;
  return isOwnChange(change, viewer) || isReviewer(change, viewer);
}

/** Whether a viewer may decide now, and otherwise why not. */
export function mayDecide(
  change: StoredChange,
  viewer: Subject,
  table: VisibleTable | undefined,
  rows: Pick<ChangedRows, "total" | "visible" | "hasDrifted">,
  nowMs: number,
): Permission {
  const refuse = (why: string): Permission => ({ isAllowed: false, why });
  if (change.state !== "proposed") return refuse("It has been decided.");
  if (nowMs >= change.expiresMs) return refuse("It has expired.");
  if (!isPossibleDecider(change, viewer) || viewer.token !== undefined)
    return refuse(
      change.approval === "reviewer"
        ? "A reviewer decides, who is another user than the one who asked."
        : "The user who asked for it decides.",
    );
  if (change.approval === "reviewer") {
    if (!isReviewer(change, viewer)) return refuse("Users of other roles decide.");
    const unreadable = findUnreadableColumn(change, table);
    if (unreadable !== undefined) return refuse(unreadable);
  }
  if (table === undefined) return refuse("You do not read the table any more.");
  if (rows.visible < rows.total) return refuse("You do not see all of its rows.");
  if (rows.hasDrifted) return refuse("The rows have changed since it was proposed, so it can only be proposed again.");
  return { isAllowed: true };
}
