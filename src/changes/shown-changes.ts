// Compares what a viewer sees of a row before and after a change.
import type { ShownColumn, ShownValue } from "./change-view.ts";

/** Whether a cell changes. A value that the viewer does not see counts as changed when the change sets it. */
export function isChangedCell(
  { isSet }: Pick<ShownColumn, "isSet">,
  from: ShownValue | undefined,
  to: ShownValue | undefined,
): boolean {
  if (from === undefined || to === undefined) return false;
  if (from.kind === "value" && to.kind === "value") return from.value !== to.value;
  return from.kind !== to.kind || isSet;
}
