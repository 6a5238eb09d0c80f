// What window functions go through for each row, which EXPLAIN QUERY PLAN does not show. SQLite keeps a running value as the frame moves,
// except for EXCLUDE, where it reads the whole frame again, and for aggregates that build text, whose value is copied each time.
import { closingOf, isOperator, isWord } from "./clauses.ts";
import { foldName } from "./identifier.ts";
import type { SqlValue } from "./parameters.ts";
import type { Statement } from "./statement.ts";
import type { Token } from "./tokenizer.ts";

const TEXT_AGGREGATES = new Set(
  "group_concat string_agg json_group_array json_group_object jsonb_group_array jsonb_group_object".split(" "),
);
/** Measured against one row that is read in passing: reading a row of a frame again, and copying its part of a text. */
const RESCAN_STEPS = 3;
const COPY_STEPS = 1;

export interface FrameCost {
  /** Rows of the frame at most; infinite where only the partition bounds it. */
  readonly rows: number;
  /** What one of them costs, in rows that are read in passing. */
  readonly stepsPerRow: number;
}

/** The most that some window function of the statement goes through for each row; undefined when none does. */
export function costliestFrame(
  { tokens }: Pick<Statement, "tokens">,
  values: readonly SqlValue[],
): FrameCost | undefined {
  const frames = tokens.flatMap((token, index) => {
    if (isWord(token, "exclude") && isWord(tokens[index + 1], "current", "group", "ties"))
      return [{ rows: frameRows(tokens, index, values), stepsPerRow: RESCAN_STEPS }];
    return TEXT_AGGREGATES.has(foldName(token.value)) && isWindowCall(tokens, index)
      ? [{ rows: Number.POSITIVE_INFINITY, stepsPerRow: COPY_STEPS }]
      : [];
  });
  return frames.toSorted((one, other) => sizeOf(other) - sizeOf(one))[0];
}

/** `name(…) OVER` or `name(…) FILTER (…) OVER`. */
function isWindowCall(tokens: readonly Token[], name: number): boolean {
  if (!isOperator(tokens[name + 1], "(")) return false;
  const behind = closingOf(tokens, name + 1) + 1;
  const end = isWord(tokens[behind], "filter") ? closingOf(tokens, behind + 1) + 1 : behind;
  return isWord(tokens[end], "over");
}

function sizeOf({ rows, stepsPerRow }: FrameCost): number {
  return rows * stepsPerRow;
}

/** Rows of a frame `ROWS … EXCLUDE`, whose word EXCLUDE is at `end`. RANGE and GROUPS count values, each of which may have any number of rows. */
function frameRows(tokens: readonly Token[], end: number, values: readonly SqlValue[]): number {
  const start = tokens.findLastIndex((token, index) => index < end && isWord(token, "rows", "range", "groups"));
  const bounds = tokens.slice(start + 1, end);
  if (!isWord(tokens[start], "rows") || bounds.some((token) => isWord(token, "unbounded")))
    return Number.POSITIVE_INFINITY;
  const variables = tokens.filter(({ kind }) => kind === "variable");
  const sizes = bounds
    .filter((token) => token.kind !== "word")
    .map((token) => Number(token.kind === "variable" ? values[variables.indexOf(token)] : token.value));
  // An offset that is an expression counts as any.
  return sizes.every((size) => Number.isFinite(size) && size >= 0)
    ? sizes.reduce((sum, size) => sum + size, 1)
    : Number.POSITIVE_INFINITY;
}
