// Search words: how they are extracted from a question, matched at the start of words, and scored.
import { expect, it } from "vitest";
import { hasAny, scoreText, extractSnippet, extractWords } from "../../src/lib/search-words.ts";

it.each([
  ["How do I return the goods?", ["return", "goods"]],
  ["the", ["the"]],
  ["Größe GRÖSSE", ["große", "grosse"]],
  ['a"b* OR c:d', ["b", "c", "d"]],
  ["Ünïcödé cafe\u0301", ["unicode", "cafe"]],
  ["  ", []],
])("extracts the words of %j as %j", (text, words) => {
  expect(extractWords(text)).toEqual(words);
});

it.each([
  ["return", "It was Returned.", true],
  ["turn", "It was returned.", false],
  ["turn", "returned, then turned", true],
  ["mowe", "Die Möwe", true],
  ["a", "𝒜a", false],
  ["a", "🍎a", true],
  ["1", "x1 01 1", true],
])("matching %j in %j gives %s", (word, text, expected) => {
  expect(hasAny([word], text)).toBe(expected);
});

it("ranks title matches first, and several words above repetitions of one", () => {
  const scores = [
    scoreText(["rope", "deck"], "Rope", "deck"),
    scoreText(["rope", "deck"], "x", "rope deck"),
    scoreText(["rope", "deck"], "x", "rope rope rope"),
    scoreText(["rope", "deck"], "x", "y"),
  ];
  expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  expect(scores.at(-1)).toBe(0);
});

it("extracts a snippet around the match, also after letters that lose their accents", () => {
  const text = `${"é".repeat(500)} anchor ${"e\u0301".repeat(500)}`;
  expect(extractSnippet(["anchor"], text)).toContain("anchor");
  expect(extractSnippet(["anchor"], text).length).toBeLessThan(210);
  expect(extractSnippet(["absent"], "short text")).toBe("short text");
});
