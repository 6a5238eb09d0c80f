// Search words: folds and splits text in the same way for the index, for the score and for snippets, so that they agree on what
// matches. Does not read any index.
import { findCut } from "./text-cut.ts";

/** Words that do not narrow a search. */
const STOP_WORDS = new Set(
  [
    "a an and are as at be by can do does for from had has have how i if in is it its may me my of on or our shall so that",
    "the their then there these they this to was we were what when where which who why will with you your",
  ].flatMap((line) => line.split(" ")),
);

/** The most words of a question: each is looked for in every document, and a text without spaces has as many as letters. */
const MAX_SEARCH_WORDS = 16;
/** How much of a text is indexed, compared with a question and searched for a snippet. */
const MAX_TEXT_CHARACTERS = 200_000;
/** How much of a decomposed text is folded: three letters for each syllable of Hangul. U+FDFA alone becomes 18 characters. */
const MAX_DECOMPOSED_CHARACTERS = 3 * MAX_TEXT_CHARACTERS;

/** Shorter words match only whole words: nearly every document has a word that begins with a given letter. */
const MIN_PREFIX_CHARACTERS = 3;
/** Compounds of more characters are found by their parts only. */
const MAX_COMPOUND_CHARACTERS = 64;

/** A letter of a script that puts no spaces between words, or (Hangul) joins particles to words. Each is a word of the index. */
const UNSPACED_LETTER = [
  String.raw`(?=[\p{L}\p{N}])[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Bopomofo}\p{scx=Hangul}`,
  String.raw`\p{scx=Thai}\p{scx=Lao}\p{scx=Khmer}\p{scx=Myanmar}]`,
].join("");
const UNSPACED = new RegExp(UNSPACED_LETTER, "gu");
const HAS_UNSPACED = new RegExp(UNSPACED_LETTER, "u");
const SPACED_WORD = String.raw`(?:(?!${UNSPACED_LETTER})[\p{L}\p{N}])+`;
/** A word with what may stand inside it after folding: hyphens and apostrophes. */
const COMPOUND_WORD = `${SPACED_WORD}(?:[-']${SPACED_WORD})*`;
const COMPOUND = new RegExp(COMPOUND_WORD, "gu");
/** Begins only at the start of a word: otherwise a long word, an attack, would be tried from each of its letters. */
const ASCII_COMPOUND = /(?<![a-z0-9])[a-z0-9]+(?:[-'][a-z0-9]+)+/g;
const QUESTION_WORD = new RegExp(`(?:${UNSPACED_LETTER})+|${COMPOUND_WORD}`, "gu");
// oxlint-disable-next-line no-control-regex -- the range is all of ASCII
const ASCII = /^[\u0000-\u007f]*$/;

/**
 * Extracts the first 16 distinct words of a question, folded and without stop words; with them when there are no others. A word is a run of
 * letters and digits, a compound such as `pick-up`, or two neighbouring letters of a script without spaces.
 */
export function extractWords(text: string): readonly string[] {
  const words = [...new Set([...fold(text).matchAll(QUESTION_WORD)].flatMap(([run]) => splitRun(run)))];
  const significantWords = words.filter((word) => !STOP_WORDS.has(word));
  return (significantWords.length > 0 ? significantWords : words).slice(0, MAX_SEARCH_WORDS);
}

/** Gives the pairs of a run of unspaced letters, because the borders of its words are not known; any other word as it is. */
function splitRun(run: string): readonly string[] {
  const letters = run.match(UNSPACED) ?? [];
  return letters.length <= 2 ? [run] : letters.slice(1).map((letter, index) => `${letters[index]}${letter}`);
}

/** Letters that other spellings write as other letters, and that Unicode does not decompose. */
const FOLDED_LETTERS: Readonly<Record<string, string>> = {
  ß: "ss",
  ı: "i",
  ȷ: "j",
  æ: "ae",
  œ: "oe",
  ø: "o",
  ł: "l",
  đ: "d",
  ð: "d",
  þ: "th",
  ħ: "h",
  ŧ: "t",
  ς: "σ",
};
const FOLDED = new RegExp(`[${Object.keys(FOLDED_LETTERS).join("")}]`, "g");
/** Invisible characters inside a word: soft hyphens, joiners, byte order marks. */
const IGNORED = /\u00ad|\u200c|\u200d|\u2060|\ufeff/g;
/** All combining marks but the voicing marks of kana, which make other letters and not accents. */
const ACCENTS = /(?![\u3099\u309a])\p{M}/gu;

/** Folds case, accents, width and spelling variants; hyphens become `-`, apostrophes `'`. */
function fold(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  return text
    .replace(IGNORED, "")
    .replace(/[™℠]/g, " ")
    .normalize("NFKD")
    .slice(0, MAX_DECOMPOSED_CHARACTERS)
    .replace(ACCENTS, "")
    .normalize("NFC")
    .toLowerCase()
    .replace(FOLDED, (letter) => FOLDED_LETTERS[letter] ?? letter)
    .replace(/[\u2010\u2011]/g, "-")
    .replace(/[\u2018\u2019\u02bb\u02bc]/g, "'");
}

/**
 * Writes the words of a text for an index that splits at spaces: folded, each letter of a script without spaces alone, and compounds
 * a second time at the end, as one word. Begins and ends with a space. Reads the first 200,000 characters.
 */
export function toIndexText(text: string): string {
  const folded = fold(text.slice(0, MAX_TEXT_CHARACTERS));
  if (ASCII.test(folded))
    return ` ${folded.replace(/[^a-z0-9]+/g, " ").trim()} ${joinCompounds(folded, ASCII_COMPOUND)}`;
  const spaced = folded.replace(/[^\p{L}\p{N}]+/gu, " ").replace(UNSPACED, " $& ");
  return ` ${spaced.replace(/ {2,}/g, " ").trim()} ${joinCompounds(folded, COMPOUND)}`;
}

function joinCompounds(folded: string, pattern: RegExp): string {
  let joined = "";
  for (const [compound] of folded.matchAll(pattern)) {
    if (compound.length > MAX_COMPOUND_CHARACTERS || !/[-']/.test(compound)) continue;
    joined += `${compound.replaceAll(/[-']/g, "")} `;
  }
  return joined;
}

/** A sequence of words that a search word stands for. */
export interface WordSequence {
  /** At least one. */
  readonly words: readonly string[];
  /** Whether the last word may go on. */
  readonly isPrefix: boolean;
}

/**
 * Lists what a search word matches: `pick-up` matches the words `pick up` and the word `pickup`, and `l'offre` also the word `offre`
 * alone, because a short part beside an apostrophe is an article or an ending.
 */
export function listSequences(word: string): readonly WordSequence[] {
  if (HAS_UNSPACED.test(word)) return [{ words: word.match(UNSPACED) ?? [word], isPrefix: false }];
  const parts = word.split(/[-']/);
  if (parts.length === 1) return [toSequence(parts)];
  const longParts = word.includes("'") ? parts.filter((part) => part.length >= MIN_PREFIX_CHARACTERS) : [];
  const stem = longParts.length === 1 ? [{ words: longParts, isPrefix: false }] : [];
  return [toSequence(parts), toSequence([parts.join("")]), ...stem];
}

function toSequence(words: readonly string[]): WordSequence {
  return { words, isPrefix: (words.at(-1) ?? "").length >= MIN_PREFIX_CHARACTERS };
}

/** Gives the texts to look for in an index text. */
function listNeedles(word: string): readonly string[] {
  return listSequences(word).map(({ words, isPrefix }) => ` ${words.join(" ")}${isPrefix ? "" : " "}`);
}

function countWord(word: string, indexText: string): number {
  let count = 0;
  for (const needle of listNeedles(word))
    for (let at = indexText.indexOf(needle); at !== -1; at = indexText.indexOf(needle, at + 1)) count += 1;
  return count;
}

/** Whether the text contains any of the words. */
export function hasAny(words: readonly string[], text: string): boolean {
  const indexText = toIndexText(text);
  return words.some((word) => listNeedles(word).some((needle) => indexText.includes(needle)));
}

/**
 * Scores a text for the words. A word scores ten in the title, and in the body one plus the logarithm of its count. The share
 * of the words that match multiplies the sum, so several different words rank above repetitions of one.
 */
export function scoreText(words: readonly string[], title: string, body: string): number {
  const [titleText, bodyText] = [toIndexText(title), toIndexText(body)];
  const scores = words.map((word) => {
    const count = countWord(word, bodyText);
    return (countWord(word, titleText) === 0 ? 0 : 10) + (count > 0 ? 1 + Math.log2(count) : 0);
  });
  const sum = scores.reduce((total, score) => total + score, 0);
  const share = scores.filter((score) => score > 0).length / Math.max(1, scores.length);
  return sum * share;
}

const SNIPPET_CHARACTERS = 200;

/** Extracts about 200 characters of the body around the first match; its start when nothing matches. */
export function extractSnippet(words: readonly string[], body: string): string {
  const text = body.replace(/\s+/g, " ").trim();
  const match = findMatch(words, text);
  const wantedStart = match === undefined ? 0 : Math.max(0, match - SNIPPET_CHARACTERS / 4);
  const start = wantedStart === 0 ? 0 : findCut(text, wantedStart);
  const end = findCut(text, start + SNIPPET_CHARACTERS, start);
  return `${start > 0 ? "…" : ""}${text.slice(start, end)}${end < text.length ? "…" : ""}`;
}

/** A word or a compound of the original text, with the characters that folding ignores, or an unspaced letter. */
const ORIGINAL_WORD = (() => {
  const spaced = String.raw`(?:(?!${UNSPACED_LETTER})[\p{L}\p{N}\p{M}\u00ad\u200c\u200d\u2060])+`;
  const joiner = String.raw`[-'\u2010\u2011\u2018\u2019\u02bb\u02bc\uff07\uff0d]`;
  return new RegExp(String.raw`${UNSPACED_LETTER}[\p{M}\uff9e\uff9f]*|${spaced}(?:${joiner}${spaced})*`, "gu");
})();

/** Finds where the first match begins. */
function findMatch(words: readonly string[], text: string): number | undefined {
  const sequences = words.flatMap(listSequences);
  const longest = Math.max(1, ...sequences.map((sequence) => sequence.words.length));
  /** The last words, and where each begins in the text. */
  const recent: { readonly word: string; readonly start: number }[] = [];
  // Folding and comparing cost most of the time, and the words and letters of a text repeat.
  const textWords = new Map<string, readonly TextWord[]>();
  const readWords = (original: string): readonly TextWord[] => {
    const folded = toIndexText(original)
      .split(" ")
      .filter((word) => word !== "");
    const foldedWords = folded.map((word) => ({ word, ended: sequences.filter((sequence) => isLast(sequence, word)) }));
    textWords.set(original, foldedWords);
    return foldedWords;
  };
  for (const { 0: original, index } of text.slice(0, MAX_TEXT_CHARACTERS).matchAll(ORIGINAL_WORD)) {
    for (const { word, ended } of textWords.get(original) ?? readWords(original)) {
      recent.push({ word, start: index });
      if (recent.length > longest) recent.shift();
      for (const sequence of ended) {
        const first = recent[recent.length - sequence.words.length];
        if (first !== undefined && precedeLast(recent, sequence)) return first.start;
      }
    }
  }
  return undefined;
}

/** A folded word of a text, and the sequences that it can end. */
interface TextWord {
  readonly word: string;
  readonly ended: readonly WordSequence[];
}

function isLast({ words, isPrefix }: WordSequence, word: string): boolean {
  const last = words.at(-1) ?? "";
  return isPrefix ? word.startsWith(last) : word === last;
}

/** Whether the words before the last one are those of the sequence. */
function precedeLast(recent: readonly { readonly word: string }[], { words }: WordSequence): boolean {
  const offset = recent.length - words.length;
  return words.slice(0, -1).every((expected, index) => recent[offset + index]?.word === expected);
}
