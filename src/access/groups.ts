// How many tables are told of in few words: as groups of names that begin alike, each of which can be asked for.
import { foldName } from "../sql/identifier.ts";

/** Tables that are listed by name; more come as groups. */
export const MAX_LISTED = 60;
const MAX_GROUPS = 40;

/** The first word of each name with how many begin so, the most first: `order* (41)`. Names alone in theirs stay as they are. */
export function groupNames(names: readonly string[]): readonly string[] {
  const groups = Map.groupBy(names, firstWord);
  const sorted = [...groups].toSorted(([a, as], [b, bs]) => bs.length - as.length || (a < b ? -1 : 1));
  const told = sorted.slice(0, MAX_GROUPS).map(([word, members]) => {
    const [only = ""] = members;
    return members.length === 1 ? only : `${word}* (${members.length})`;
  });
  const rest = sorted.slice(MAX_GROUPS).reduce((sum, [, members]) => sum + members.length, 0);
  return rest === 0 ? told : [...told, `others (${rest}): search finds them`];
}

/** Whether a name begins as the pattern says, which ends in a star. */
export function matches(pattern: string, name: string): boolean {
  return foldName(name).startsWith(foldName(pattern.slice(0, -1)));
}

/** `order` of order_items, orderItems and order-items; a prefix of one or two letters counts with the word behind it. */
function firstWord(name: string): string {
  return /^(?:[A-Za-z]{1,3}[_-])?(?:[A-Z]+(?![a-z])|[A-Za-z][a-z]*|[^A-Za-z]+)/.exec(name)?.[0] ?? name;
}
