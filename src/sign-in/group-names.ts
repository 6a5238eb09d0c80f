// Filters the group names that an identity provider sends, before they become part of an identity.
import { firstInvisible } from "../lib/visible-text.ts";

/**
 * Removes names that contain an invisible character, and logs how many. The policy file cannot name such a group, so removing it takes
 * no role away. If it stayed, it would look like another group wherever it is shown.
 */
export function keepVisibleGroups(groups: readonly string[], log: (message: string) => void): readonly string[] {
  const visible = groups.filter((group) => firstInvisible(group) === undefined);
  const count = groups.length - visible.length;
  if (count > 0)
    log(`sign-in: ignored ${count} group(s): their names contain control, direction or zero-width characters`);
  return visible;
}
