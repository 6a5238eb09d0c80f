// Pairs the parentheses of a statement's lexer tokens in one pass. A user can nest thousands of them, so a search for the partner of each
// one would take quadratic time.
import type { LexerToken } from "./lexer.ts";

/** The parentheses of a list of lexer tokens, by the index of a token. */
export interface Parentheses {
  /** Finds the index of the innermost open parenthesis around a token; -1 outside all parentheses. A parenthesis is not around itself. */
  readonly findAround: (index: number) => number;
  /** Finds the index of the parenthesis that closes the one at this index; the number of tokens if nothing does. */
  readonly findClosing: (open: number) => number;
  /** Finds the index of the parenthesis that the one at this index closes; -1 if there is none. */
  readonly findOpening: (close: number) => number;
}

/** Pairs the parentheses of these lexer tokens. */
export function pairParentheses(tokens: readonly LexerToken[]): Parentheses {
  const around: number[] = [];
  const closings = new Map<number, number>();
  let open = -1;
  tokens.forEach((token, index) => {
    const value = token.kind === "operator" ? token.value : "";
    if (value === ")" && open !== -1) {
      closings.set(open, index);
      open = around[open] ?? -1;
    }
    around.push(open);
    if (value === "(") open = index;
  });
  const openings = new Map([...closings].map(([opening, closing]) => [closing, opening]));
  return {
    findAround: (index) => around[index] ?? -1,
    findClosing: (opening) => closings.get(opening) ?? tokens.length,
    findOpening: (closing) => openings.get(closing) ?? -1,
  };
}
