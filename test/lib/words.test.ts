// Words of a question and where they stand: at the beginning of a word, in any case, with or without accents.
import { expect, it } from "vitest";
import { hasAny, scoreOf, snippetOf, wordsOf } from "../../src/lib/words.ts";

it.each([
  ["How do I return the goods?", ["return", "goods"]],
  ["the", ["the"]],
  ["Größe GRÖSSE", ["große", "grosse"]],
  ['a"b* OR c:d', ["b", "c", "d"]],
  ["Ünïcödé cafe\u0301", ["unicode", "cafe"]],
  ["  ", []],
])("%j are %j", (text, words) => {
  expect(wordsOf(text)).toEqual(words);
});

it.each([
  ["return", "It was Returned.", true],
  ["turn", "It was returned.", false],
  ["turn", "returned, then turned", true],
  ["mowe", "Die Möwe", true],
  ["a", "𝒜a", false],
  ["a", "🍎a", true],
  ["1", "x1 01 1", true],
])("%j in %j: %s", (word, text, expected) => {
  expect(hasAny([word], text)).toBe(expected);
});

it("the title counts before the text, more words before more of one", () => {
  const scores = [
    scoreOf(["rope", "deck"], "Rope", "deck"),
    scoreOf(["rope", "deck"], "x", "rope deck"),
    scoreOf(["rope", "deck"], "x", "rope rope rope"),
    scoreOf(["rope", "deck"], "x", "y"),
  ];
  expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  expect(scores.at(-1)).toBe(0);
});

it("a snippet stands around the word, also behind letters that lose their accents", () => {
  const text = `${"é".repeat(500)} anchor ${"e\u0301".repeat(500)}`;
  expect(snippetOf(["anchor"], text)).toContain("anchor");
  expect(snippetOf(["anchor"], text).length).toBeLessThan(210);
  expect(snippetOf(["absent"], "short text")).toBe("short text");
});
