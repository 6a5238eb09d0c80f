// Search words: how they are extracted from a question, matched at the start of words, and scored.
import { expect, it } from "vitest";
import { hasAny, scoreText, extractSnippet, extractWords, toIndexText } from "../../src/lib/search-words.ts";

it.each([
  ["How do I return the goods?", ["return", "goods"]],
  ["the", ["the"]],
  ["Größe GRÖSSE", ["grosse"]],
  ['a"b* OR c:d', ["b", "c", "d"]],
  ["Ünïcödé cafe\u0301", ["unicode", "cafe"]],
  ["  ", []],
])("extracts the words of %j as %j", (text, words) => {
  expect(extractWords(text)).toEqual(words);
});

it("extracts at most 16 words of a question, from a script without spaces too", () => {
  const chinese = String.fromCodePoint(...Array.from({ length: 1000 }, (_value, index) => 0x4e00 + index));
  expect(extractWords(chinese)).toHaveLength(16);
  expect(extractWords(chinese)[15]).toBe(String.fromCodePoint(0x4e00 + 15, 0x4e00 + 16));
  const english = Array.from({ length: 40 }, (_value, index) => `the word${index}`).join(" ");
  expect(extractWords(english)).toEqual(Array.from({ length: 16 }, (_value, index) => `word${index}`));
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

it.each([
  ["ß and ss", "Straße", "STRASSE"],
  ["capital sharp s", "STRAẞE", "strasse"],
  ["dotless i", "ılık", "ilik"],
  ["dotted capital i", "İstanbul", "istanbul"],
  ["æ", "Encyclopædia", "encyclopaedia"],
  ["œ", "Œuvre", "oeuvre"],
  ["ø", "Smørrebrød", "smorrebrod"],
  ["ł", "Łódź", "lodz"],
  ["full-width letters and digits", "Ｇate ４２", "gate"],
  ["half-width katakana", "ｶﾞｲﾄﾞ", "ガイド"],
  ["ligatures", "ﬁnance", "finance"],
  ["final sigma", "ΟΔΟΣ", "οδός"],
  ["two Chinese letters", "我们在北京的仓库", "北京"],
  ["two Japanese letters", "東京タワーに行く", "タワ"],
  ["letters beyond the basic plane", "𠮷野家", "𠮷野"],
  ["Korean nouns with particles", "창고는 부산에 있다", "부산"],
  ["Thai", "คลังสินค้าอยู่ที่นี่", "สินค้า"],
  ["a hyphen", "pick-up point", "pickup"],
  ["a hyphen and a space", "pick-up point", "pick up"],
  ["a non-breaking hyphen", "pick\u2011up point", "pickup"],
  ["a soft hyphen", "pick\u00adup point", "pickup"],
  ["an apostrophe", "They don't ship", "dont"],
  ["a curly apostrophe", "They don’t ship", "don't"],
  ["an elision", "l’entreprise", "entreprise"],
  ["a middle hyphen", "a state-of-the-art pump", "state-of-the-art"],
])("matches %s: %j and %j find each other's words", (_title, text, other) => {
  expect(hasAny(extractWords(other), text)).toBe(true);
  expect(hasAny(extractWords(text), other)).toBe(true);
});

it.each([
  ["pick-up", "pickup", true],
  ["pick-up", "pick up", true],
  ["pick-up", "Pick\u2010Up", true],
  ["pick-up", "up and pick", false],
  ["京都", "京の都", false],
  ["京都", "東京都庁", true],
  ["京", "我们在北京的仓库", true],
  ["customer's", "the customer returns", true],
  ["か", "が", false],
  ["id", "identity", false],
  ["o'brien", "OBrien", true],
])("matching %j in %j gives %s", (question, text, expected) => {
  expect(hasAny(extractWords(question), text)).toBe(expected);
});

it("asks for pairs of letters where the borders of words are not known", () => {
  expect(extractWords("PC教室の予約 wi-fi")).toEqual(["pc", "教室", "室の", "の予", "予約", "wi-fi"]);
});

it("writes one word for each unspaced letter, and compounds as one word at the end", () => {
  expect(toIndexText("Pick-up: 東京タワー!")).toBe(" pick up 東 京 タ ワ ー pickup ");
  expect(toIndexText("Don't pick-up")).toBe(" don t pick up dont pickup ");
});

it("bounds the index text of characters that each fold to many", () => {
  expect(toIndexText("\ufdfa".repeat(200_000)).length).toBeLessThan(700_000);
  expect(toIndexText("\ufdfa".repeat(20))).toBe(` ${"\ufdfa".repeat(20).normalize("NFKC")} `);
  expect(toIndexText("x".repeat(300_000)).length).toBeLessThan(200_010);
});

it("folds every letter of a text whose letters decompose, up to the limit of the index", () => {
  expect(toIndexText(`${"한".repeat(199_998)} b`)).toMatch(/ 한 b $/u);
});

it("finds no match in a long text in about the same time for many words as for one", () => {
  const text = Array.from({ length: 100_000 }, (_value, index) => String.fromCodePoint(0x4e00 + (index % 5000))).join(
    "",
  );
  const words = Array.from({ length: 400 }, (_value, index) => String.fromCodePoint(0x4e00 + index * 2, 0x4e00));
  const measure = (searched: readonly string[]): number => {
    const startedAtMs = performance.now();
    expect(extractSnippet(searched, text)).toBe(`${text.slice(0, 200)}…`);
    return performance.now() - startedAtMs;
  };
  measure(words);
  const oneWordMs = measure(words.slice(1, 2));
  expect(measure(words)).toBeLessThan(6 * oneWordMs + 20);
});

it.each([
  ["北京", `${"说明。".repeat(200)}仓库在北京市。${"说明。".repeat(200)}`, "北京"],
  ["strasse", `${"ÄÖÜ ".repeat(300)}Lange Straße ${"ﬃ ".repeat(300)}`, "Straße"],
  ["pickup", `${"x ".repeat(300)}the pick-up point${" y".repeat(300)}`, "pick-up"],
  ["pick-up", `${"x ".repeat(300)}to pick up${" y".repeat(300)}`, "pick up"],
  ["gate", `${"𝒜 ".repeat(300)}Ｇate${" y".repeat(300)}`, "Ｇate"],
  ["documentation", `${"x ".repeat(300)}docu\u00admentation${" y".repeat(300)}`, "docu\u00admentation"],
])("shows the match for %j in a long text", (question, text, shown) => {
  const snippet = extractSnippet(extractWords(question), text);
  expect(snippet).toContain(shown);
  expect(snippet.length).toBeLessThanOrEqual(202);
});

it("never splits a surrogate pair in a snippet", () => {
  for (let length = 0; length < 8; length += 1) {
    const snippet = extractSnippet(["anchor"], `${"x".repeat(length)}${"🦀".repeat(200)} anchor ${"🦀".repeat(200)}`);
    expect(snippet).toContain("anchor");
    expect(snippet.isWellFormed()).toBe(true);
    expect(snippet).not.toContain("\ufffd");
  }
});

it("indexes a word of 200,000 letters in under a second", () => {
  const startedAtMs = performance.now();
  expect(toIndexText("a".repeat(200_000))).toContain("a".repeat(200_000));
  expect(performance.now() - startedAtMs).toBeLessThan(1000);
  expect(toIndexText("pick-up x-y-z")).toBe(" pick up x y z pickup xyz ");
});
