// Recognizes recursive queries that plainly end after few steps: counters and calendars with constant bounds. How long any other recursion
// takes is not known before it runs.
import { foldName } from "./identifier.ts";
import type { RecursiveQuery } from "./defined-names.ts";
import type { LexerToken } from "./lexer.ts";

/** The most steps of a short recursion. */
const MAX_STEPS = 1000;
/** A longer query is no plain counter. */
const MAX_TOKENS = 60;
const DAY_MS = 24 * 3600 * 1000;
/** The fewest days of each unit, so that steps are never counted too low. */
const UNIT_DAYS: Readonly<Record<string, number>> = { hour: 1 / 24, day: 1, month: 28, year: 365 };

const NAME = "[a-z_][a-z0-9_]*";
const COLUMN = `(?:${NAME} \\. )?(${NAME})`;
const LITERAL = "(-?[0-9]{1,9}|'[0-9]{4}-[0-9]{2}-[0-9]{2}')";
const STEP = `(?:${COLUMN} \\+ ([0-9]{1,9})|date(?:time)? \\( ${COLUMN} , '\\+ ?([0-9]{1,9}) (hour|day|month|year)s?' \\))`;
/** `SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 90`, or with dates, after its tokens were joined by spaces. */
const COUNTER = new RegExp(
  [
    `^(?:select (?:date \\( )?${LITERAL}(?: \\))?(?: (?:as )?${NAME})?|values \\( ${LITERAL} \\))`,
    `union (?:all )?select ${STEP}(?: (?:as )?${NAME})?`,
    `from (${NAME})(?: (?:as )?${NAME})? where ${COLUMN} <=? ${LITERAL}$`,
  ].join(" "),
);

/** Whether a recursive query ends after few steps, whatever any row holds. */
export function isShortRecursion(tokens: readonly LexerToken[], { name, start, end }: RecursiveQuery): boolean {
  if (end - start > MAX_TOKENS) return false;
  const text = tokens.slice(start, end).map(formatToken).join(" ");
  const match = COUNTER.exec(text);
  if (match === null) return false;
  const [, selected, listed, counted, step, dated, count, unit, source, compared, last] = match;
  if (source !== name || compared !== (counted ?? dated)) return false;
  const first = selected ?? listed ?? "";
  const span = readBound(last) - readBound(first);
  const isCalendar = first.startsWith("'") && last?.startsWith("'") === true && counted === undefined;
  const isNumber = !first.startsWith("'") && last?.startsWith("'") === false && counted !== undefined;
  const size = isCalendar ? Number(count) * (UNIT_DAYS[unit ?? ""] ?? 0) : Number(step);
  return (isCalendar || isNumber) && size > 0 && span / size <= MAX_STEPS;
}

/** Words and numbers without quotes are folded, so that nothing in quotes is taken for them. */
function formatToken({ kind, value }: LexerToken): string {
  if (kind === "string") return `'${value}'`;
  return kind === "quoted" ? `"${value}"` : foldName(value);
}

/** Reads a number, or a date in days. */
function readBound(literal = ""): number {
  return literal.startsWith("'") ? Date.parse(literal.slice(1, -1)) / DAY_MS : Number(literal);
}
