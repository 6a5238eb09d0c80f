// Names of other parties as users see them: no invisible character, none that moves the rest of the line, never blank.
import { describe, expect, it } from "vitest";
import { describeError, displayName, escapeInvisible, firstInvisible } from "../../src/lib/visible-text.ts";

/** Title, character and its code point. */
const INVISIBLE: readonly (readonly [string, string, string])[] = [
  ["NUL", "\u0000", "U+0000"],
  ["a bell", "\u0007", "U+0007"],
  ["a tab", "\t", "U+0009"],
  ["a line feed", "\n", "U+000A"],
  ["a carriage return", "\r", "U+000D"],
  ["ESC", "\u001b", "U+001B"],
  ["DEL", "\u007f", "U+007F"],
  ["a C1 next line", "\u0085", "U+0085"],
  ["a C1 control sequence introducer", "\u009b", "U+009B"],
  ["a soft hyphen", "\u00ad", "U+00AD"],
  ["a combining grapheme joiner", "\u034f", "U+034F"],
  ["an Arabic letter mark", "\u061c", "U+061C"],
  ["a Hangul filler that is a letter", "\u115f", "U+115F"],
  ["a Mongolian vowel separator", "\u180e", "U+180E"],
  ["a zero-width space", "\u200b", "U+200B"],
  ["a zero-width joiner", "\u200d", "U+200D"],
  ["a right-to-left mark", "\u200f", "U+200F"],
  ["a line separator", "\u2028", "U+2028"],
  ["a paragraph separator", "\u2029", "U+2029"],
  ["a right-to-left override", "\u202e", "U+202E"],
  ["a word joiner", "\u2060", "U+2060"],
  ["a first strong isolate", "\u2068", "U+2068"],
  ["a pop directional isolate", "\u2069", "U+2069"],
  ["a wide Hangul filler", "\u3164", "U+3164"],
  ["a variation selector behind a letter", "\ufe0f", "U+FE0F"],
  ["a byte order mark", "\ufeff", "U+FEFF"],
  ["an interlinear annotation anchor", "\ufff9", "U+FFF9"],
  ["half of a Unicode character", "\ud800", "U+D800"],
  ["a noncharacter", "\uffff", "U+FFFF"],
  ["a tag character", "\u{e0041}", "U+E0041"],
  ["a supplementary variation selector", "\u{e0101}", "U+E0101"],
];

describe("escapeInvisible", () => {
  it.each(INVISIBLE)("replaces %s with its code point", (_name, character, escape) => {
    expect(escapeInvisible(`a${character}b`)).toBe(`a${escape}b`);
    expect(firstInvisible(`a${character}b`)).toBe(escape);
  });

  it.each([
    ["accents", "Zoë Müller"],
    ["letters with combining marks", "e\u0301"],
    ["Hebrew", "שלום"],
    ["Chinese", "数据助手"],
    ["an emoji", "🚀 rocket"],
    ["an emoji that is drawn in colour", "❤\ufe0f"],
    ["punctuation", `O'Hara & "Co" <x>`],
  ])("does not change %s", (_name, text) => {
    expect(escapeInvisible(text)).toBe(text);
    expect(firstInvisible(text)).toBeUndefined();
  });
});

describe("displayName", () => {
  it.each([
    ["", "(no readable name)"],
    ["   ", "(no readable name)"],
    ["\u00a0\u3000", "(no readable name)"],
    ["\u2800", "(no readable name)"],
    ["\u200b", "U+200B"],
    ["a\nb", "aU+000Ab"],
    ["  Claude   Code ", "Claude Code"],
    ["I ❤\ufe0f data", "I ❤\ufe0f data"],
  ])("shows the name %j as %j", (name, shown) => {
    expect(displayName(name)).toBe(shown);
  });

  it("drops stacked combining marks that would cover other lines", () => {
    expect(displayName(`a${"\u0308".repeat(60)}b`)).toBe(`a${"\u0308".repeat(4)}b`);
  });

  it("cuts to 80 characters without splitting a code point or an escape", () => {
    expect(displayName("a".repeat(80))).toBe("a".repeat(80));
    expect(displayName("a".repeat(81))).toBe(`${"a".repeat(79)}…`);
    expect(displayName("🚀".repeat(81))).toBe(`${"🚀".repeat(79)}…`);
    expect(displayName(`${"a".repeat(75)}\u202e\u202e`)).toBe(`${"a".repeat(75)}…`);
    expect(displayName("\u202e".repeat(5000))).toBe(`${"U+202E".repeat(13)}…`);
  });
});

describe("describeError", () => {
  it("keeps the message of an error on one line", () => {
    const text = describeError(new TypeError("no table \u001b[2Ka\nsign-in: forged \u202e"));
    expect(text.split("\n")[0]).toBe("TypeError: no table U+001B[2KaU+000Asign-in: forged U+202E");
    expect(text).toMatch(/\n {4}at /);
  });

  it("names a library's error by its code, because a build shortens the names of classes", () => {
    const error = Object.assign(new Error("expired"), { name: "q", code: "ERR_JWT_\u202eEXPIRED" });
    expect(describeError(error).split("\n")[0]).toBe("q (ERR_JWT_U+202EEXPIRED): expired");
  });

  it("includes the cause of an error", () => {
    expect(describeError(new Error("outer", { cause: new Error("in\u009bner") }))).toContain(
      "\ncaused by Error: inU+009Bner",
    );
  });

  it("terminates when errors cause each other", () => {
    const outer = new Error("outer");
    const inner = new Error("inner", { cause: outer });
    outer.cause = inner;
    expect(describeError(outer)).toContain("\ncaused by Error: inner");
  });

  it("includes the errors inside an AggregateError", () => {
    const text = describeError(new AggregateError([new Error("fi\u009brst"), "second"], "all failed"));
    expect(text).toContain("\nincluding Error: fiU+009Brst");
    expect(text).toContain("\nincluding second");
  });

  it("describes a thrown value that is not an error", () => {
    expect(describeError("a\u202eb")).toBe("aU+202Eb");
    expect(describeError(undefined)).toBe("undefined");
  });
});
