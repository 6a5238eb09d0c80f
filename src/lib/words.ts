// Words that people look for, and where they stand in a text: a word is found where one begins with it, whatever its case
// and accents.

/** Words that say nothing about what is looked for. */
const STOP_WORDS = new Set(
  "a an and are as at be by can do does for from had has have how i if in is it its may me my of on or our shall so that the their then there these they this to was we were what when where which who why will with you your".split(
    " ",
  ),
);

/** The telling words of a question, folded, each once; all of them when none is telling. Letters and digits only. */
export function wordsOf(text: string): readonly string[] {
  const words = [...new Set(fold(text).match(/[\p{L}\p{N}]+/gu) ?? [])];
  const telling = words.filter((word) => !STOP_WORDS.has(word));
  return telling.length > 0 ? telling : words;
}

/** In lower case and without accents. */
export function fold(text: string): string {
  const lower = text.toLowerCase();
  // oxlint-disable-next-line no-control-regex -- the range of ASCII
  return /^[\u0000-\u007f]*$/.test(lower) ? lower : lower.normalize("NFD").replace(/\p{M}+/gu, "");
}

/** The first place from `from` on where a word of the text begins with this one; -1 when there is none. Both are folded. */
function placeOf(word: string, text: string, from = 0): number {
  // No regular expression: one that looks behind is tried at every letter.
  for (let at = text.indexOf(word, from); at !== -1; at = text.indexOf(word, at + 1))
    if (at === 0 || !/[\p{L}\p{N}]$/u.test(text.slice(Math.max(0, at - 2), at))) return at;
  return -1;
}

function countOf(word: string, text: string): number {
  let count = 0;
  for (let at = placeOf(word, text); at !== -1; at = placeOf(word, text, at + word.length)) count += 1;
  return count;
}

/** Whether any of the words stands in the text. */
export function hasAny(words: readonly string[], text: string): boolean {
  const folded = fold(text);
  return words.some((word) => placeOf(word, folded) !== -1);
}

/** A word in the title counts ten times, in the text once and a little more for each repetition; the more of them are there, the more each counts. */
export function scoreOf(words: readonly string[], title: string, body: string): number {
  const [foldedTitle, foldedBody] = [fold(title), fold(body)];
  const scores = words.map((word) => {
    const count = countOf(word, foldedBody);
    return (placeOf(word, foldedTitle) === -1 ? 0 : 10) + (count > 0 ? 1 + Math.log2(count) : 0);
  });
  const sum = scores.reduce((total, score) => total + score, 0);
  const share = scores.filter((score) => score > 0).length / Math.max(1, scores.length);
  return sum * share;
}

const SNIPPET_LENGTH = 200;

/** Text around the first word found. */
export function snippetOf(words: readonly string[], body: string): string {
  // Composed, a letter has one place with its accent and without.
  const text = body.normalize("NFC").replace(/\s+/g, " ").trim();
  const folded = fold(text);
  const found = Math.min(...words.map((word) => placeOf(word, folded)).filter((place) => place >= 0), folded.length);
  // A few letters still take more room with their accents.
  const at = Math.round((found * text.length) / Math.max(1, folded.length));
  const start = found === folded.length ? 0 : Math.max(0, at - SNIPPET_LENGTH / 4);
  const end = Math.min(text.length, start + SNIPPET_LENGTH);
  return `${start > 0 ? "…" : ""}${text.slice(start, end).toWellFormed()}${end < text.length ? "…" : ""}`;
}
