// Parses the literals of a change by the declared type of their column, and checks them against a value schema. The source casts them to
// the same type in SQL.
import { AppError } from "../errors.ts";
import { findNumberProblem, parseInteger, parseReal, toDriverValue } from "../sql/parameters.ts";
import type { SqlValue } from "../sql/parameters.ts";
import { isTextual } from "./masks.ts";
import type { ValueSchema } from "./change-model.ts";
import type { Column, ColumnType } from "./model.ts";

/** The form of a masking token anywhere in a text, in any case: an assistant may quote it inside other text. */
const MASKING_TOKEN = /tok_[a-z2-7]{16}/i;

/** The other forms of masked text: `[redacted]`, the first letter and domain of an address, the last characters behind an ellipsis. */
const MASKED_TEXT = /^(?:\[redacted\]|.?…@.*|….{1,12})$/su;

/** Whether a value has the form of masked text, which must not replace real values. */
export function isMaskedText(value: unknown): boolean {
  return typeof value === "string" && MASKED_TEXT.test(value);
}

/** Whether a literal has text of the form of a masking token. */
export function holdsMaskingToken(value: unknown): boolean {
  return typeof value === "string" && MASKING_TOKEN.test(value);
}

/** What a literal of each type looks like, for messages. */
const EXPECTED: Readonly<Record<ColumnType, string>> = {
  integer: 'a whole number (beyond 2^53 as text, such as "9007199254740993")',
  real: "a number",
  boolean: "true or false",
  text: "text",
  date: "a date such as 2026-06-30",
  datetime: "a date and time in the form that the column has, such as 2026-06-30 14:05:00 or 2026-06-30T14:05:00Z",
  json: "text that is JSON",
};

const DATE = /^(\d{4}-\d{2}-\d{2})$/;
const DATE_TIME = /^(\d{4}-\d{2}-\d{2})[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})?$/;

/** Parses a literal. `place` names it in the error. Errors: `invalid_input`. */
export function parseChangeLiteral({ type }: Column, literal: unknown, place: string): SqlValue {
  const value = toSqlValue(type, literal);
  if (value !== undefined) return value;
  const rounding = typeof literal === "number" ? findNumberProblem(literal) : undefined;
  throw new AppError(
    "invalid_input",
    rounding === undefined ? `${place} must be ${EXPECTED[type]}.` : `${place} ${rounding}`,
  );
}

function toSqlValue(type: ColumnType, literal: unknown): SqlValue | undefined {
  if (literal === null) return null;
  switch (type) {
    case "integer":
      if (typeof literal === "number") return Number.isSafeInteger(literal) ? literal : undefined;
      return typeof literal === "string" ? parseInteger(literal) : undefined;
    case "real":
      if (typeof literal === "number")
        return Number.isFinite(literal) && findNumberProblem(literal) === undefined
          ? { kind: "real", value: literal }
          : undefined;
      return typeof literal === "string" ? parseReal(literal) : undefined;
    case "boolean":
      if (typeof literal === "boolean") return Number(literal);
      return literal === 0 || literal === 1 ? literal : undefined;
    case "text":
      return isWritable(literal) ? literal : undefined;
    case "date":
      return typeof literal === "string" && isDate(DATE.exec(literal)) ? literal : undefined;
    case "datetime":
      return typeof literal === "string" && isDateTime(literal) ? literal : undefined;
    case "json":
      return isWritable(literal) && isJson(literal) ? literal : undefined;
  }
}

/** Whether a literal is text that the database keeps as it is: it changes half a character, and its functions end at a NUL. */
function isWritable(literal: unknown): literal is string {
  return typeof literal === "string" && literal.isWellFormed() && !literal.includes("\0");
}

/** Whether the day exists: JavaScript moves 31 February into March. */
function isDate(match: RegExpExecArray | null): boolean {
  const day = match?.[1];
  if (day === undefined) return false;
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}

function isDateTime(text: string): boolean {
  return isDate(DATE_TIME.exec(text)) && !Number.isNaN(toMilliseconds(text));
}

/** Gives the moment of a date and time, in UTC unless it names an offset, or the beginning of a day. */
function toMilliseconds(dateTime: string): number {
  if (isDay(dateTime)) return Date.parse(`${dateTime}T00:00:00Z`);
  const hasOffset = /(?:Z|[+-]\d{2}:\d{2})$/.test(dateTime);
  return Date.parse(`${dateTime.replace(" ", "T")}${hasOffset ? "" : "Z"}`);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // Any failure means that the text is no JSON.
    return false;
  }
}

/** Whether a literal of the policy file is a value of the column, and so may be among the allowed ones. */
export function isColumnValue({ type }: Column, literal: unknown): boolean {
  return literal !== null && toSqlValue(type, literal) !== undefined;
}

/** Whether a literal of the policy file can bound the values of the column: a value of it, or for times also a day. */
export function isColumnBound({ type }: Column, literal: unknown): boolean {
  return toSqlValue(type === "datetime" && isDay(literal) ? "date" : type, literal) !== undefined;
}

function isDay(literal: unknown): boolean {
  return typeof literal === "string" && DATE.test(literal);
}

/** Says why a value does not fit a schema, as the rest of a sentence that begins with its place; undefined when it fits. */
export function findValueProblem(
  { type }: Column,
  value: SqlValue,
  { oneOf, min, max, maxLength, nullable }: ValueSchema,
): string | undefined {
  if (value === null) return nullable ? undefined : "cannot be null.";
  if (oneOf !== undefined && !oneOf.some((allowed) => isSame(value, toSqlValue(type, allowed))))
    return `must be one of ${oneOf.map((allowed) => JSON.stringify(allowed)).join(", ")}.`;
  if (typeof value === "string" && Array.from(value).length > maxLength)
    return `has more than ${maxLength} characters.`;
  if (min !== undefined && compareWithBound(type, value, min) < 0) return `must be at least ${min}.`;
  if (max !== undefined && compareWithBound(type, value, max) > 0) return `must be at most ${max}.`;
  return undefined;
}

function isSame(value: SqlValue, allowed: SqlValue | undefined): boolean {
  return allowed !== undefined && toDriverValue(value) === toDriverValue(allowed);
}

const DAY_MILLISECONDS = 86_400_000;

/** Compares a value with a bound: whole numbers exactly, and times as moments. Any time of a day equals a bound that is this day. */
export function compareWithBound(type: ColumnType, value: SqlValue, bound: number | string): number {
  const literal = toDriverValue(value);
  switch (type) {
    case "integer":
      return compare(BigInt(String(literal)), BigInt(bound));
    case "real":
    case "boolean":
      return compare(Number(literal), Number(bound));
    case "datetime": {
      const difference = toMilliseconds(String(literal)) - toMilliseconds(String(bound));
      return isDay(bound) && difference >= 0 && difference < DAY_MILLISECONDS ? 0 : difference;
    }
    case "date":
    case "text":
    case "json":
      return compare(String(literal), String(bound));
  }
}

function compare<Value extends bigint | number | string>(left: Value, right: Value): number {
  return left < right ? -1 : Number(left > right);
}

/** Gives the type to which SQL casts the values of a column. */
export function getCastType(type: ColumnType): "INTEGER" | "REAL" | "TEXT" {
  if (isTextual(type)) return "TEXT";
  return type === "real" ? "REAL" : "INTEGER";
}

/** Says which values a column may be set to, such as `at least 1, at most 5`; its type where it may be set to every value of it. */
export function describeValues(type: ColumnType, { oneOf, min, max, maxLength, nullable }: ValueSchema): string {
  const parts = [
    ...(oneOf === undefined ? [] : [`one of ${oneOf.map((value) => JSON.stringify(value)).join(", ")}`]),
    ...(min === undefined ? [] : [`at least ${min}`]),
    ...(max === undefined ? [] : [`at most ${max}`]),
    ...(oneOf === undefined && isTextual(type) && type !== "date" && type !== "datetime"
      ? [`at most ${maxLength} characters`]
      : []),
  ];
  return `${parts.join(", ") || type}${nullable ? ", or null" : ""}`;
}
