// Finds window frames that SQLite reads again for each row, whose cost EXPLAIN QUERY PLAN does not show. SQLite updates a running value as
// a frame moves, except for EXCLUDE, where it reads the whole frame again, and for aggregates that build text, which it copies each time.
import { isOperator, isWord } from "./clauses.ts";
import { foldName } from "./identifier.ts";
import { toDriverValue } from "./parameters.ts";
import type { SqlValue } from "./parameters.ts";
import { pairParentheses } from "./parentheses.ts";
import type { Parentheses } from "./parentheses.ts";
import type { Statement } from "./statement.ts";
import type { LexerToken } from "./lexer.ts";

const TEXT_AGGREGATES = new Set(
  "group_concat string_agg json_group_array json_group_object jsonb_group_array jsonb_group_object".split(" "),
);
/** Cost of reading a row of a frame again, and of copying its part of a text, relative to one row that a scan passes. */
const RESCAN_STEPS = 3;
const COPY_STEPS = 1;

/** What a window frame costs for each row. */
export interface FrameCost {
  /** Maximum rows of the frame; infinite if only the partition bounds it. */
  readonly rows: number;
  /** Cost of one of these rows, relative to one row that a scan passes. */
  readonly stepsPerRow: number;
}

/** Finds the costliest frame that a statement reads again for each row; undefined if there is none. */
export function findCostliestFrame(
  { tokens }: Pick<Statement, "tokens">,
  values: readonly SqlValue[],
): FrameCost | undefined {
  const parentheses = pairParentheses(tokens);
  const frames = tokens.flatMap((token, index) => {
    if (isWord(token, "exclude") && isWord(tokens[index + 1], "current", "group", "ties"))
      return [{ rows: countFrameRows(tokens, index, values), stepsPerRow: RESCAN_STEPS }];
    return TEXT_AGGREGATES.has(foldName(token.value)) && isWindowCall(tokens, parentheses, index)
      ? [{ rows: Number.POSITIVE_INFINITY, stepsPerRow: COPY_STEPS }]
      : [];
  });
  return frames.toSorted((left, right) => countSteps(right) - countSteps(left))[0];
}

/** `name(…) OVER` or `name(…) FILTER (…) OVER`. */
function isWindowCall(tokens: readonly LexerToken[], { findClosing }: Parentheses, name: number): boolean {
  if (!isOperator(tokens[name + 1], "(")) return false;
  const nextIndex = findClosing(name + 1) + 1;
  const end = isWord(tokens[nextIndex], "filter") ? findClosing(nextIndex + 1) + 1 : nextIndex;
  return isWord(tokens[end], "over");
}

function countSteps({ rows, stepsPerRow }: FrameCost): number {
  return rows * stepsPerRow;
}

/**
 * Counts the rows of a frame `ROWS … EXCLUDE` whose word EXCLUDE is at `end`. RANGE and GROUPS count values, each of which may have any
 * number of rows.
 */
function countFrameRows(tokens: readonly LexerToken[], end: number, values: readonly SqlValue[]): number {
  const start = tokens.findLastIndex((token, index) => index < end && isWord(token, "rows", "range", "groups"));
  const bounds = tokens.slice(start + 1, end);
  if (!isWord(tokens[start], "rows") || bounds.some((token) => isWord(token, "unbounded")))
    return Number.POSITIVE_INFINITY;
  const variables = tokens.filter(({ kind }) => kind === "variable");
  const sizes = bounds
    .filter((token) => token.kind !== "word")
    .map((token) =>
      Number(token.kind === "variable" ? toDriverValue(values[variables.indexOf(token)] ?? Number.NaN) : token.value),
    );
  // An offset that is an expression may be any number.
  return sizes.every((size) => Number.isFinite(size) && size >= 0)
    ? sizes.reduce((sum, size) => sum + size, 1)
    : Number.POSITIVE_INFINITY;
}
