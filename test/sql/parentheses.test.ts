// Parentheses of a statement: which one closes which, and which one is around a lexer token.
import { expect, it } from "vitest";
import { pairParentheses } from "../../src/sql/parentheses.ts";
import { parseTrustedStatement } from "../../src/sql/statement.ts";

const pair = (sql: string) => {
  const { tokens } = parseTrustedStatement(sql);
  return { tokens, ...pairParentheses(tokens) };
};

it("pairs each parenthesis with its partner, and ignores parentheses in quotes", () => {
  const { findClosing, findOpening } = pair("a ( ( ')' ) b ( ) )");
  expect([1, 2, 6].map(findClosing)).toEqual([8, 4, 7]);
  expect([8, 4, 7].map(findOpening)).toEqual([1, 2, 6]);
});

it("finds the innermost parenthesis around a token, which is not around itself", () => {
  const { tokens, findAround } = pair("a ( b ( c ) d ) e");
  expect(tokens.map((_token, index) => findAround(index))).toEqual([-1, -1, 1, 1, 3, 1, 1, -1, -1]);
});

it("finds no partner of a parenthesis that has none", () => {
  const { tokens, findAround, findClosing, findOpening } = pair(") ( ( )");
  expect(findOpening(0)).toBe(-1);
  expect(findClosing(1)).toBe(tokens.length);
  expect(findClosing(2)).toBe(3);
  expect(findAround(3)).toBe(1);
});
