// The tokenizer splits text as SQLite does.
import { describe, expect, it } from "vitest";
import { tokenize } from "../../src/sql/lexer.ts";

const describeTokens = (text: string): string =>
  tokenize(text)
    .map(({ kind, value }) => `${kind}:${value}`)
    .join(" | ");

describe("tokenize", () => {
  it.each([
    ["SELECT a", "word:SELECT | space:  | word:a"],
    ["'it''s'", "string:it's"],
    ['"a ""b"""', 'quoted:a "b"'],
    ["`a``b`", "quoted:a`b"],
    ["[a ]] b]", "quoted:a  | illegal:] b]"],
    ["x'0aFF'", "blob:x'0aFF'"],
    ["x'0'", "illegal:x'0'"],
    ["x'0g'", "illegal:x'0g'"],
    ["xy'a'", "word:xy | string:a"],
    ["1.5e-3", "number:1.5e-3"],
    [".5", "number:.5"],
    ["1_000", "number:1_000"],
    ["0xFF", "number:0xFF"],
    ["1abc", "illegal:1abc"],
    ["0x", "illegal:0x"],
    ["1_", "illegal:1_"],
    ["a->>'$.b'", "word:a | operator:->> | string:$.b"],
    ["a--b\nc", "word:a | comment:--b | space:\n | word:c"],
    ["a--b\rc", "word:a | comment:--b\rc"],
    ["a/* b */c", "word:a | comment:/* b */ | word:c"],
    ["/*/ x */y", "comment:/*/ x */ | word:y"],
    ["/* open", "illegal:/* open"],
    ["'open", "illegal:'open"],
    [
      "?1 ? :a @b $c",
      "variable:?1 | space:  | variable:? | space:  | variable::a | space:  | variable:@b | space:  | variable:$c",
    ],
    ["a!b", "word:a | illegal:!b"],
    ["äöü_$1", "word:äöü_$1"],
    ["a\u00a0b", "word:a\u00a0b"],
    ["a\vb", "word:a | illegal:\vb"],
  ])("splits %j into %s", (text, expected) => {
    expect(describeTokens(text)).toBe(expected);
  });

  it("leaves no gap between lexer tokens", () => {
    const text = "WITH x AS (SELECT 'a''b', \"c\", [d], 1.5 /* e */ FROM t -- f\n) SELECT * FROM x WHERE y <> ?";
    const tokens = tokenize(text);
    expect(tokens.map((token) => text.slice(token.start, token.end)).join("")).toBe(text);
    expect(tokens.every((token, index) => token.start === (tokens[index - 1]?.end ?? 0))).toBe(true);
  });
});
