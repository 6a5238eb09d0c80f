// Finds where two texts differ, so that a page can mark it and an excerpt can show it. It compares texts as a whole, not word by word.

/** The parts of two texts that differ. They share what comes before `start` and what comes after both ends. */
export interface TextDifference {
  readonly start: number;
  readonly beforeEnd: number;
  readonly afterEnd: number;
}

/** Finds the shortest part of each text outside which both are the same, in UTF-16 units and never inside a surrogate pair. */
export function findDifference(before: string, after: string): TextDifference {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start += 1;
  let shared = 0;
  while (shared < shorter - start && before.at(-1 - shared) === after.at(-1 - shared)) shared += 1;
  if (start > 0 && isSurrogate(before, start - 1, 0xd800)) start -= 1;
  if (shared > 0 && isSurrogate(before, before.length - shared, 0xdc00)) shared -= 1;
  return { start, beforeEnd: before.length - shared, afterEnd: after.length - shared };
}

function isSurrogate(text: string, at: number, half: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === half;
}
