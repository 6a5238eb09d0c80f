// Binds the values of one statement. JavaScript has one type of number and SQLite has two, so a placeholder casts its value to the type
// that is meant: D1 binds every number as REAL, which compares with text as `7.0` and divides as a real.
import { AppError } from "../errors.ts";

/** A value that a statement can bind. A whole number binds as INTEGER, any other number as REAL. */
export type SqlValue = DriverValue | TypedValue;

/** A whole number of 64 bits, as canonical decimal digits. */
interface IntegerValue {
  readonly kind: "integer";
  readonly digits: string;
}

/** A number that a JavaScript number does not represent exactly, or whose type in SQL is not that of its value. */
type TypedValue =
  | IntegerValue
  /** A number that stays a real if it is whole: with 5, `? / 2` is 2.5. */
  | { readonly kind: "real"; readonly value: number };

/** A value in the form that the database's driver takes. */
export type DriverValue = string | number | null;

/** The bound parameters of one statement. */
export interface Parameters {
  /** Binds a value and returns the expression for it, for example `?3` or `CAST(?3 AS INTEGER)`. */
  bind(value: SqlValue | boolean): string;
  /** The bound values; the value at index i belongs to the placeholder `?(i + 1)`. */
  readonly values: readonly DriverValue[];
}

/** Creates an empty list of parameters, numbered in order of first use. Equal values share a number, because D1 accepts at most 100. */
export function createParameters(): Parameters {
  const values: DriverValue[] = [];
  const numbers = new Map<DriverValue, number>();
  return {
    values,
    bind(value) {
      const sqlValue = typeof value === "boolean" ? Number(value) : value;
      const driverValue = toDriverValue(sqlValue);
      // The type is in the cast, not in the value, so 5 and 5.0 may share a number. Text and numbers never do.
      const number = numbers.get(driverValue) ?? values.push(driverValue);
      numbers.set(driverValue, number);
      return castPlaceholder(`?${number}`, sqlValue);
    },
  };
}

/** Puts the cast around a placeholder that gives its value the right type. A text column that it is compared with is read as numbers. */
function castPlaceholder(placeholder: string, value: SqlValue): string {
  if (typeof value === "object" && value !== null) {
    const problem = findTypedProblem(value);
    if (problem !== undefined) throw new TypeError(`a bound value ${problem}`);
    return `CAST(${placeholder} AS ${value.kind === "integer" ? "INTEGER" : "REAL"})`;
  }
  return Number.isSafeInteger(value) ? `CAST(${placeholder} AS INTEGER)` : placeholder;
}

/**
 * Puts the cast around a placeholder of the user's SQL, so that it compares as the same number would in the SQL: the plus takes the type
 * away from the expression but not from the value, and a text column that it is compared with stays text.
 */
export function castUserPlaceholder(placeholder: string, value: SqlValue): string {
  const cast = castPlaceholder(placeholder, value);
  return cast === placeholder ? placeholder : `+${cast}`;
}

/** Gives the value to pass to the database's driver for a placeholder. */
export function toDriverValue(value: SqlValue): DriverValue {
  if (typeof value !== "object" || value === null) return value;
  return value.kind === "integer" ? value.digits : value.value;
}

/**
 * Says why a number cannot be bound, as the end of a sentence; undefined if it can. JSON.parse has already rounded a whole number from
 * 2^53 on: 9007199254740992 may have been sent as 9007199254740993, which is another row's key.
 */
export function findNumberProblem(value: SqlValue): string | undefined {
  if (typeof value === "object" && value !== null) return findTypedProblem(value);
  if (typeof value !== "number") return undefined;
  if (!Number.isFinite(value)) return "is a number beyond the range of a double. Write it as text.";
  if (!Number.isInteger(value) || Number.isSafeInteger(value)) return undefined;
  return 'is a whole number beyond 2^53, which JSON numbers round. Write it as text, such as "9007199254740993".';
}

/** A cast never fails: it would make the nearest integer of too many digits, 0 of other text, and NULL of NaN. */
function findTypedProblem(value: TypedValue): string | undefined {
  if (value.kind === "integer")
    return parseInteger(value.digits) === undefined
      ? 'must be a whole number of at most 64 bits in decimal digits, such as "-42".'
      : undefined;
  return Number.isFinite(value.value) ? undefined : "is beyond the range of a double.";
}

/**
 * Requires that no number was rounded on its way here, and that none changes on its way to the database. Errors: `invalid_input`, with the
 * index of the value.
 */
export function requireExactNumbers(values: readonly SqlValue[]): void {
  for (const [index, value] of values.entries()) {
    const problem = findNumberProblem(value);
    const hint = Number.isInteger(value) ? ` ${CAST_HINT}` : "";
    if (problem !== undefined) throw new AppError("invalid_input", `params[${index}] ${problem}${hint}`);
  }
}

/** Compared with a column of numbers, text becomes a number. Neither an expression nor a column of an expression converts it. */
const CAST_HINT = "Compared with a column of numbers, that is enough; elsewhere, write CAST(? AS INTEGER).";

const DECIMAL_INTEGER = /^(?:0|-?[1-9][0-9]{0,18})$/;
const MAX_INTEGER = 2n ** 63n - 1n;

/** Parses canonical decimal digits as a value that binds as INTEGER; undefined for other text, and beyond 64 bits. */
export function parseInteger(text: string): number | IntegerValue | undefined {
  if (!DECIMAL_INTEGER.test(text)) return undefined;
  const integer = BigInt(text);
  if (integer > MAX_INTEGER || integer < -MAX_INTEGER - 1n) return undefined;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : { kind: "integer", digits: text };
}

/** Decimal notation, with the exponent of JSON. */
const DECIMAL = /^-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;

/** Parses a decimal number as a value that binds as REAL; undefined for other text, and for a whole number that a real would change. */
export function parseReal(text: string): SqlValue | undefined {
  const match = DECIMAL.exec(text);
  const value = Number(text);
  if (match === null || !Number.isFinite(value)) return undefined;
  const isWhole = match[1] === undefined && match[2] === undefined;
  return isWhole && BigInt(text) !== BigInt(value) ? undefined : { kind: "real", value };
}
