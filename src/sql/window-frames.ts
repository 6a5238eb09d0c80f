// Finds window frames that SQLite reads again for each row, whose cost EXPLAIN QUERY PLAN does not show. SQLite updates a running value as
// a frame moves, except for EXCLUDE, where it reads the whole frame again, and for aggregates that build text, which it copies each time.
import { isOperator, isWord } from "./clauses.ts";
import type { TokenRange } from "./clauses.ts";
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
/** Rows of a frame that costs about as much as the rest of the query. */
const SMALL_FRAME_ROWS = 50;
/** A longer frame has offsets that are expressions. */
const MAX_FRAME_TOKENS = 20;
/** Longer lists of keys are not read: a statement may repeat words that it cannot repeat to SQLite. */
const MAX_KEY_TOKENS = 200;

/** What a window frame costs for each row. */
export interface FrameCost {
  /** Maximum rows of the frame; infinite if only the partition bounds it. */
  readonly rows: number;
  /** Cost of one of these rows, relative to one row that a scan passes. */
  readonly stepsPerRow: number;
  /** The index of the lexer token that makes the frame costly. */
  readonly index: number;
  /** The keys of its PARTITION BY; empty if it has none. */
  readonly partition: readonly TokenRange[];
}

/** Finds the costliest frame that a statement reads again for each row; undefined if there is none. */
export function findCostliestFrame(
  { tokens }: Pick<Statement, "tokens">,
  values: readonly SqlValue[],
): FrameCost | undefined {
  const parentheses = pairParentheses(tokens);
  const variables = new Map<number, number>();
  tokens.forEach(({ kind }, index) => kind === "variable" && variables.set(index, variables.size));
  const readValue = (index: number): SqlValue | undefined => values[variables.get(index) ?? -1];
  const frames = tokens.flatMap((token, index) => {
    if (isWord(token, "exclude") && isWord(tokens[index + 1], "current", "group", "ties"))
      return [
        {
          rows: countFrameRows(tokens, index, readValue),
          stepsPerRow: RESCAN_STEPS,
          index,
          partition: listPartitionKeys(tokens, parentheses, parentheses.findAround(index)),
        },
      ];
    const window = TEXT_AGGREGATES.has(foldName(token.value)) ? findWindow(tokens, parentheses, index) : undefined;
    if (window === undefined) return [];
    const partition = listPartitionKeys(tokens, parentheses, window);
    return [{ rows: Number.POSITIVE_INFINITY, stepsPerRow: COPY_STEPS, index, partition }];
  });
  const [costliest] = frames.toSorted((left, right) => countSteps(right) - countSteps(left));
  if (costliest === undefined) return undefined;
  // Partitions make only their own frame smaller.
  const arePartitioned = frames.every(({ partition, rows }) => partition.length > 0 || rows <= SMALL_FRAME_ROWS);
  return arePartitioned ? costliest : { ...costliest, partition: [] };
}

/**
 * Finds the window of `name(…) OVER (…)` or `name(…) FILTER (…) OVER (…)`: the index of its parenthesis, or -1 for a named window.
 * Undefined if this is no call with a window.
 */
function findWindow(tokens: readonly LexerToken[], { findClosing }: Parentheses, name: number): number | undefined {
  if (!isOperator(tokens[name + 1], "(")) return undefined;
  const nextIndex = findClosing(name + 1) + 1;
  const end = isWord(tokens[nextIndex], "filter") ? findClosing(nextIndex + 1) + 1 : nextIndex;
  if (!isWord(tokens[end], "over")) return undefined;
  return isOperator(tokens[end + 1], "(") ? end + 1 : -1;
}

/** Lists the keys of `(PARTITION BY a, b ORDER BY c)` at this parenthesis. A window that extends a named one counts as a whole. */
function listPartitionKeys(
  tokens: readonly LexerToken[],
  { findClosing }: Parentheses,
  open: number,
): readonly TokenRange[] {
  if (open === -1 || !isWord(tokens[open + 1], "partition") || !isWord(tokens[open + 2], "by")) return [];
  const keys: TokenRange[] = [];
  let start = open + 3;
  const close = findClosing(open);
  for (let index = start; index <= close && index < start + MAX_KEY_TOKENS; index += 1) {
    const isEnd = index === close || isWord(tokens[index], "order", "rows", "range", "groups");
    if (isEnd || isOperator(tokens[index], ",")) {
      keys.push({ start, end: index });
      start = index + 1;
    }
    if (isEnd) break;
    if (isOperator(tokens[index], "(")) index = findClosing(index);
  }
  return keys;
}

function countSteps({ rows, stepsPerRow }: FrameCost): number {
  return rows * stepsPerRow;
}

/**
 * Counts the rows of a frame `ROWS … EXCLUDE` whose word EXCLUDE is at `end`. RANGE and GROUPS count values, each of which may have any
 * number of rows.
 */
function countFrameRows(
  tokens: readonly LexerToken[],
  end: number,
  readValue: (variable: number) => SqlValue | undefined,
): number {
  let start = end - 1;
  while (end - start < MAX_FRAME_TOKENS && !isWord(tokens[start], "rows", "range", "groups")) start -= 1;
  const bounds = Array.from({ length: end - start - 1 }, (_value, offset) => start + 1 + offset);
  if (!isWord(tokens[start], "rows") || bounds.some((index) => isWord(tokens[index], "unbounded")))
    return Number.POSITIVE_INFINITY;
  const sizes = bounds.flatMap((index) => {
    const token = tokens[index];
    if (token === undefined || token.kind === "word") return [];
    return [Number(token.kind === "variable" ? toDriverValue(readValue(index) ?? Number.NaN) : token.value)];
  });
  // An offset that is an expression may be any number.
  return sizes.every((size) => Number.isFinite(size) && size >= 0)
    ? sizes.reduce((sum, size) => sum + size, 1)
    : Number.POSITIVE_INFINITY;
}
