// Generates documents of invented words from a fixed seed. The words have the frequencies of a natural language: the n-th word occurs
// 1/n as often as the first.
import { createRandom } from "../../sample/random.ts";

/** The number of documents. */
export const DOCUMENTS = Number(process.env["DOCUMENTS"] ?? 20_000);
const VOCABULARY = 12_000;
const SYLLABLES = "ka lo mi tan re su vel dor pi nas gu hem bri os ten fal qui ra zo lan mer tu sko ber ni".split(" ");

/** Generates distinct words of two to four syllables; the first words become the frequent ones. */
function makeWords(): readonly string[] {
  const random = createRandom(1);
  const words = new Set<string>();
  while (words.size < VOCABULARY)
    words.add(Array.from({ length: random.between(2, 4) }, () => random.pick(SYLLABLES)).join(""));
  return [...words];
}

/** The vocabulary, most frequent words first. */
export const WORDS = makeWords();

/** Yields each document's key and Markdown: a heading, and 150 to 750 words in paragraphs. */
export function* makeDocuments(): Generator<readonly [string, string]> {
  const random = createRandom(2);
  const word = (): string => WORDS[Math.floor(VOCABULARY ** random.next()) - 1] ?? "";
  const words = (count: number): string => Array.from({ length: count }, word).join(" ");
  for (let index = 0; index < DOCUMENTS; index += 1) {
    const paragraphs = Array.from({ length: random.between(3, 10) }, () => words(random.between(50, 75)));
    yield [`folder-${index % 50}/note-${index}.md`, [`# ${words(3)}`, ...paragraphs].join("\n\n")];
  }
}
