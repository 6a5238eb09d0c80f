// Finds a change by the id that a user names. A user who may not see it gets the same error as for an unknown id.
import { AppError } from "../errors.ts";
import type { Subject } from "../policy/model.ts";
import { isOwnChange, isReviewer } from "./change-access.ts";
import type { ChangeRpc } from "./change-rpc.ts";
import { isChangeId } from "./stored-change.ts";
import type { StoredChange } from "./stored-change.ts";

/** Finds a change that the subject may see: their own, or one that they may review. Undefined for any other text. */
export async function findChange(
  openChange: (id: string) => ChangeRpc,
  subject: Subject,
  id: string,
): Promise<StoredChange | undefined> {
  const change = isChangeId(id) ? await openChange(id).read() : null;
  return change !== null && (isOwnChange(change, subject) || isReviewer(change, subject)) ? change : undefined;
}

/** Finds it as `findChange` does. Errors: `not_found`. */
export async function requireChange(
  openChange: (id: string) => ChangeRpc,
  subject: Subject,
  id: string,
): Promise<StoredChange> {
  const change = await findChange(openChange, subject, id);
  if (change === undefined)
    throw new AppError("not_found", `There is no change ${JSON.stringify(id)} that you may see.`, { isMissing: true });
  return change;
}
