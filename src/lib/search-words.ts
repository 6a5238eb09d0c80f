// Matches and scores search words in plain text. A search word matches where a word of the text starts with it, regardless of
// case and accents. Does not read any index.

/** Words that do not narrow a search. */
const STOP_WORDS = new Set(
  [
    "a an and are as at be by can do does for from had has have how i if in is it its may me my of on or our shall so that",
    "the their then there these they this to was we were what when where which who why will with you your",
  ].flatMap((line) => line.split(" ")),
);

/**
 * Extracts the distinct words of a question, folded and without stop words; with them when there are no others. A word
 * consists of letters and digits.
 */
export function extractWords(text: string): readonly string[] {
  const words = [...new Set(fold(text).match(/[\p{L}\p{N}]+/gu) ?? [])];
  const significantWords = words.filter((word) => !STOP_WORDS.has(word));
  return significantWords.length > 0 ? significantWords : words;
}

/** Converts to lower case and removes accents. */
function fold(text: string): string {
  const lower = text.toLowerCase();
  // oxlint-disable-next-line no-control-regex -- the range is all of ASCII
  return /^[\u0000-\u007f]*$/.test(lower) ? lower : lower.normalize("NFD").replace(/\p{M}+/gu, "");
}

/** Finds the first index from `from` on where a word of the text starts with `word`; -1 when there is none. Both are folded. */
function findWord(word: string, text: string, from = 0): number {
  // indexOf instead of a regular expression: the engine would try a lookbehind at every letter.
  for (let at = text.indexOf(word, from); at !== -1; at = text.indexOf(word, at + 1))
    if (at === 0 || !/[\p{L}\p{N}]$/u.test(text.slice(Math.max(0, at - 2), at))) return at;
  return -1;
}

function countWord(word: string, text: string): number {
  let count = 0;
  for (let at = findWord(word, text); at !== -1; at = findWord(word, text, at + word.length)) count += 1;
  return count;
}

/** Whether the text contains any of the words. */
export function hasAny(words: readonly string[], text: string): boolean {
  const folded = fold(text);
  return words.some((word) => findWord(word, folded) !== -1);
}

/**
 * Scores a text for the words. A word scores ten in the title, and in the body one plus the logarithm of its count. The share
 * of the words that match multiplies the sum, so several different words rank above repetitions of one.
 */
export function scoreText(words: readonly string[], title: string, body: string): number {
  const [foldedTitle, foldedBody] = [fold(title), fold(body)];
  const scores = words.map((word) => {
    const count = countWord(word, foldedBody);
    return (findWord(word, foldedTitle) === -1 ? 0 : 10) + (count > 0 ? 1 + Math.log2(count) : 0);
  });
  const sum = scores.reduce((total, score) => total + score, 0);
  const share = scores.filter((score) => score > 0).length / Math.max(1, scores.length);
  return sum * share;
}

const SNIPPET_CHARACTERS = 200;

/** Extracts about 200 characters of the body around the first match; its start when nothing matches. */
export function extractSnippet(words: readonly string[], body: string): string {
  // In NFC an accented letter is usually one character, so indexes into `folded` are nearly those of `text`.
  const text = body.normalize("NFC").replace(/\s+/g, " ").trim();
  const folded = fold(text);
  const firstIndex = Math.min(
    ...words.map((word) => findWord(word, folded)).filter((index) => index >= 0),
    folded.length,
  );
  // A few letters have no composed form and still differ in length, so the index is scaled.
  const at = Math.round((firstIndex * text.length) / Math.max(1, folded.length));
  const start = firstIndex === folded.length ? 0 : Math.max(0, at - SNIPPET_CHARACTERS / 4);
  const end = Math.min(text.length, start + SNIPPET_CHARACTERS);
  return `${start > 0 ? "…" : ""}${text.slice(start, end).toWellFormed()}${end < text.length ? "…" : ""}`;
}
