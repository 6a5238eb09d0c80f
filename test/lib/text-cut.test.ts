// Cutting text never splits a character.
import { expect, it } from "vitest";
import { cutText, findCut, shortenText } from "../../src/lib/text-cut.ts";

it.each([
  ["abcdef", 3, "abc"],
  ["abc", 3, "abc"],
  ["ab🦀d", 3, "ab"],
  ["ab🦀d", 4, "ab🦀"],
  ["ab\r\nc", 3, "ab"],
  ["abe\u0301c", 3, "ab"],
  ["👩‍🚀x", 3, ""],
  ["👍🏽x", 2, ""],
  [`a${"\u0301".repeat(100)}`, 50, `a${"\u0301".repeat(49)}`],
])("cuts %j at %i as %j", (text, maxCharacters, expected) => {
  const shown = cutText(text, maxCharacters);
  expect(shown.isWellFormed()).toBe(true);
  expect(shown.length).toBeLessThanOrEqual(maxCharacters);
  if (expected !== "") expect(shown).toBe(expected);
});

it("moves forward over a character that does not fit alone", () => {
  expect(findCut("🦀🦀", 1)).toBe(2);
  expect(findCut("🦀🦀", 3, 2)).toBe(4);
});

it("shortens with an ellipsis within the limit", () => {
  expect(shortenText("🦀🦀🦀", 4)).toBe("🦀…");
  expect(shortenText("🦀🦀", 4)).toBe("🦀🦀");
});
