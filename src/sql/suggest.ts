// Suggests the name that a user probably meant, for error messages.
import { foldName } from "./identifier.ts";

/** One mistake is allowed per this many letters: two mistakes in five letters, as when two letters are swapped. */
const LETTERS_PER_MISTAKE = 2.5;

/** Finds the candidate that is closest to a name; undefined if none is close. */
export function suggestName(name: string, candidates: readonly string[]): string | undefined {
  const maxDistance = Math.max(1, Math.floor(name.length / LETTERS_PER_MISTAKE));
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) > maxDistance) continue;
    const distance = levenshteinDistance(foldName(name), foldName(candidate));
    if (distance <= maxDistance && (best === undefined || distance < best.distance)) best = { candidate, distance };
  }
  return best?.candidate;
}

/** Computes the Levenshtein distance row by row. */
function levenshteinDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_value, index) => index);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const substitution = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(substitution, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
