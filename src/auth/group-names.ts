// Names of groups as an identity provider gives them: what is kept of them in an identity.
import { firstInvisible } from "../lib/visible-text.ts";

/**
 * Leaves out names that hold an invisible character, and logs how many. The policy file cannot name such a group, so leaving it out takes
 * no role away; kept, it would look like another group wherever it is shown.
 */
export function keepVisibleGroups(groups: readonly string[], log: (message: string) => void): readonly string[] {
  const visible = groups.filter((group) => firstInvisible(group) === undefined);
  const count = groups.length - visible.length;
  if (count > 0)
    log(`sign-in: left out ${count} group(s): their names hold control, direction or zero-width characters`);
  return visible;
}
