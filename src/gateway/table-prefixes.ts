// Summarises many table names as groups with a common prefix, each of which describe can list.
import { foldName } from "../sql/identifier.ts";

/** Up to this many tables are listed by name; more are listed as groups. */
export const MAX_LISTED_TABLES = 60;
const MAX_GROUPS = 40;

/** Groups names by their first word, largest group first: `order* (41)`. A name alone in its group keeps its full name. */
export function groupByPrefix(names: readonly string[]): readonly string[] {
  const groups = Map.groupBy(names, readFirstWord);
  const sorted = [...groups].toSorted(
    ([a, aMembers], [b, bMembers]) => bMembers.length - aMembers.length || (a < b ? -1 : 1),
  );
  const listedGroups = sorted.slice(0, MAX_GROUPS).map(([word, members]) => {
    const [firstName = ""] = members;
    return members.length === 1 ? firstName : `${word}* (${members.length})`;
  });
  const rest = sorted.slice(MAX_GROUPS).reduce((sum, [, members]) => sum + members.length, 0);
  return rest === 0 ? listedGroups : [...listedGroups, `others (${rest}): search finds them`];
}

/** Whether a name starts with the prefix of a pattern such as `order*`. */
export function matchesPrefix(pattern: string, name: string): boolean {
  return foldName(name).startsWith(foldName(pattern.slice(0, -1)));
}

/** Reads `order` from order_items, orderItems and order-items. A prefix of up to three letters (tbl_) stays with its next word. */
function readFirstWord(name: string): string {
  return /^(?:[A-Za-z]{1,3}[_-])?(?:[A-Z]+(?![a-z])|[A-Za-z][a-z]*|[^A-Za-z]+)/.exec(name)?.[0] ?? name;
}
