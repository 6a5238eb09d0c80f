// Defines the column masks: the types that each one fits, how much it discloses, and the SQL that computes it. A masked number is a
// number and a masked date is a date, so that users' SQL compares and sorts them as it does the column's own values, at the mask's
// precision. A value of an unexpected form comes out redacted or NULL, never in clear.
import { COLUMN_TYPES } from "./model.ts";
import type { Column, ColumnType, Disclosure, Mask, Scalar } from "./model.ts";

/** The text in place of a redacted value. */
const REDACTED = "[redacted]";

/** The token vault: the table in a source's database that maps values to masking tokens. */
export const MASKING_TOKEN_TABLE = "_gatehouse_masking_token";
/** The columns of the token vault. A `token` mask reads all of them. */
export const MASKING_TOKEN_TABLE_COLUMNS = ["domain", "value", "masking_token"] as const;

/** Longer text has no masking token. */
const MAX_TOKENIZED_CHARACTERS = 250;

/** Builds the SQL condition under which a value can have a masking token: integers and short text. `column` is an already quoted name. */
export function buildTokenizableSql(column: string): string {
  const isShortText = `(typeof(${column}) = 'text' AND length(${column}) <= ${MAX_TOKENIZED_CHARACTERS})`;
  return `(typeof(${column}) = 'integer' OR ${isShortText})`;
}

const MASKABLE_TYPES: Readonly<Record<Mask["kind"], readonly ColumnType[]>> = {
  null: COLUMN_TYPES,
  redact: COLUMN_TYPES,
  token: ["text", "integer"],
  bucket: ["integer", "real"],
  round: ["integer", "real"],
  year: ["date", "datetime"],
  month: ["date", "datetime"],
  last: ["text"],
  email: ["text"],
};

/** Lists the column types that a mask can be put on. */
export function listMaskableTypes(mask: Mask): readonly ColumnType[] {
  return MASKABLE_TYPES[mask.kind];
}

/**
 * Whether a literal of a row rule can be compared with a column of this type. JSON has rounded a whole number from 2^53 on, so that the
 * rule could name another user's rows.
 */
export function isComparableLiteral(type: ColumnType, value: Scalar): boolean {
  if (type === "integer" && Number.isInteger(value) && !Number.isSafeInteger(value)) return false;
  return isTextual(type) === (typeof value === "string");
}

/**
 * Whether a subject value can be compared with a column of this type. Stricter than for literals, which the rule's author sees next to
 * the column: a number that JSON has rounded could identify another user, and text such as `soon` has no place in the order of dates.
 */
export function isComparableAttribute(type: ColumnType, value: Scalar): boolean {
  switch (type) {
    case "integer":
      return Number.isSafeInteger(value);
    case "real":
      return typeof value === "number";
    case "boolean":
      return typeof value === "boolean" || value === 0 || value === 1;
    case "date":
    case "datetime":
      return typeof value === "string" && ISO_DATE.test(value);
    case "text":
    case "json":
      return typeof value === "string";
  }
}

/** ISO 8601, from a year to a date and time. The text order of this form is the order of time. */
const ISO_DATE = /^\d{4}(?:-\d{2}(?:-\d{2}(?:[T ]\d{2}.*)?)?)?$/;

/** Whether the values of a column of this type are text. */
export function isTextual(type: ColumnType): boolean {
  return type !== "integer" && type !== "real" && type !== "boolean";
}

/** Gives the type of a column's values under a disclosure. */
export function getDisclosedType(column: Column, disclosure: Disclosure): ColumnType {
  switch (disclosure.kind) {
    case "clear":
    case "null":
    case "bucket":
    case "round":
    case "year":
    case "month":
      return column.type;
    case "hidden":
    case "redact":
    case "token":
    case "last":
    case "email":
      return "text";
  }
}

/** The type that a masked column declares to SQLite, which decides how SQLite compares it with values of another type. */
type DeclaredAffinity = "NUMERIC" | "REAL" | "TEXT";

/**
 * Gives the type that a column of these disclosures declares. Without one, SQLite takes every number as smaller than any text, so
 * `age > '65'` would find no row. Null for a column that every row shows in clear, which has its own type, and where the rows' forms
 * have no type in common.
 */
export function getMaskedAffinity(
  column: Pick<Column, "type">,
  disclosures: readonly Disclosure[],
): DeclaredAffinity | null {
  if (disclosures.every(({ kind }) => kind === "clear")) return null;
  // A NULL has every type.
  const affinities = disclosures
    .filter(({ kind }) => kind !== "null" && kind !== "hidden")
    .map((disclosure) => getDisclosedAffinity(column, disclosure));
  const [first = getNumberAffinity(column) ?? "TEXT"] = affinities;
  return affinities.every((affinity) => affinity === first) ? first : null;
}

function getDisclosedAffinity(column: Pick<Column, "type">, { kind }: Disclosure): DeclaredAffinity | null {
  if (kind === "bucket" || kind === "round") return getNumberAffinity(column);
  if (kind !== "clear") return "TEXT";
  // Text as JSON or bytes, and numbers or words as booleans, are equally usual: a cast would change one of them.
  return column.type === "json" || column.type === "boolean" ? null : (getNumberAffinity(column) ?? "TEXT");
}

/** NUMERIC leaves numbers as they are, so an integer column keeps the fractions that SQLite lets it hold. */
function getNumberAffinity({ type }: Pick<Column, "type">): DeclaredAffinity | null {
  if (type === "real") return "REAL";
  return type === "integer" ? "NUMERIC" : null;
}

/**
 * Ranks a disclosure in the total order by which a row with several grants chooses its form: the highest rank wins. A higher rank does not
 * always show all that a lower one shows; see disclosure-order.ts for that relation.
 *
 * `null` ranks lowest among masks because it does not even show that there is a value; a token shows which values are equal. A coarser
 * `bucket` or `round` ranks below a finer one, and every bucket below every rounding. `year` ranks below `month`. `last(n)` ranks by n
 * and below `email`, which shows a whole domain.
 */
export function rankDisclosure(disclosure: Disclosure): number {
  switch (disclosure.kind) {
    case "hidden":
      return 0;
    case "null":
      return 1;
    case "redact":
      return 2;
    case "token":
      return 2.5;
    case "bucket":
      return 3 + 1 / (disclosure.size + 1);
    case "round":
      return 4 + 1 / (disclosure.step + 1);
    case "year":
      return 6;
    case "month":
      return 7;
    case "last":
      return 10 + disclosure.count;
    case "email":
      return 100;
    case "clear":
      return 1000;
  }
}

/** Names a disclosure for answers, messages and audit records: `email`, `last(4)`. */
export function formatDisclosure(disclosure: Disclosure): string {
  switch (disclosure.kind) {
    case "token":
      return `token(${disclosure.domain})`;
    case "last":
      return `last(${disclosure.count})`;
    case "bucket":
      return `bucket(${disclosure.size})`;
    case "round":
      return `round(${disclosure.step})`;
    case "hidden":
    case "null":
    case "redact":
    case "year":
    case "month":
    case "email":
    case "clear":
      return disclosure.kind;
  }
}

/** What the SQL of a `token` mask needs. */
export interface MaskingTokenSql {
  /** Gives the SQL of the domain under which the masking tokens of a domain are stored. */
  readonly bindDomain: (domain: string) => string;
  /** The text with which the statement fails on a value that has no masking token. */
  readonly missingMarker: string;
}

/**
 * Builds the SQL expression that discloses a column. `column` is an already quoted name. NULL stays NULL, so that missing values can
 * be counted. Any other value that does not have the expected form becomes `[redacted]`, or NULL where the result is not free text.
 */
export function buildDisclosureSql(disclosure: Disclosure, column: string, tokenSql: MaskingTokenSql): string {
  switch (disclosure.kind) {
    case "clear":
      return column;
    case "hidden":
    case "null":
      return "NULL";
    case "bucket":
      return buildNumberSql(column, buildLowerBoundSql(column, disclosure.size));
    case "round":
      return buildNumberSql(column, buildRoundedSql(column, disclosure.step));
    case "redact":
      return `CASE WHEN ${column} IS NOT NULL THEN '${REDACTED}' END`;
    case "token": {
      const condition = `t."domain" = ${tokenSql.bindDomain(disclosure.domain)} AND t."value" = CAST(${column} AS TEXT)`;
      const maskingToken = `(SELECT "masking_token" FROM main.${MASKING_TOKEN_TABLE} AS t WHERE ${condition})`;
      // A value without a masking token makes the statement fail. The source then creates it and runs the statement again.
      return [
        `CASE WHEN ${column} IS NULL THEN NULL WHEN ${buildTokenizableSql(column)}`,
        `THEN coalesce(${maskingToken}, json_extract('null', '${tokenSql.missingMarker}')) ELSE '${REDACTED}' END`,
      ].join(" ");
    }
    case "year":
      return buildDateSql(column, 4, "-01-01");
    case "month":
      return buildDateSql(column, 7, "-01");
    case "last":
      return [
        `CASE WHEN ${column} IS NULL THEN NULL`,
        `WHEN typeof(${column}) = 'text' AND length(${column}) >= ${2 * disclosure.count}`,
        `THEN '…' || substr(${column}, ${-disclosure.count}) ELSE '${REDACTED}' END`,
      ].join(" ");
    case "email": {
      // Allow only host-name characters in the domain, so that "bob@a.example, call 555-0100" does not show the phone number. One pattern
      // for each condition is the fastest form: a mask is computed for every row.
      return [
        `CASE WHEN ${column} IS NULL THEN NULL WHEN typeof(${column}) = 'text' AND ${column} GLOB '?*@?*'`,
        `AND ${column} NOT GLOB '*@*[^A-Za-z0-9.-]*'`,
        `THEN substr(${column}, 1, 1) || '…' || substr(${column}, instr(${column}, '@')) ELSE '${REDACTED}' END`,
      ].join(" ");
    }
  }
}

/** The SQL by which a mask computes with each kind of number. */
interface NumberSql {
  readonly integer: string;
  readonly real: string;
}

/**
 * Builds the SQL of a masked number. Integers stay integers, and an overflow becomes a double. Doubles are exact up to 2^53, because
 * `mod()` is; beyond that, the result is the double next to the exact one. An infinite value has no remainder and stays as it is. The
 * only other values are text and bytes: NULL.
 */
function buildNumberSql(column: string, { integer, real }: NumberSql): string {
  return `CASE typeof(${column}) WHEN 'integer' THEN ${integer} WHEN 'real' THEN coalesce(${real}, ${column}) END`;
}

/** The greatest multiple of `size` that is not greater than the value. */
function buildLowerBoundSql(column: string, size: number): NumberSql {
  const remainder = `mod(${column}, ${size})`;
  return {
    integer: `${column} - (${column} % ${size} + ${size}) % ${size}`,
    real: `${column} - ${remainder} - ${size} * (${remainder} < 0)`,
  };
}

/** The nearest multiple of `step`; halves are rounded away from zero. */
function buildRoundedSql(column: string, step: number): NumberSql {
  const round = (remainder: string): string =>
    `${column} - ${remainder} + ${step} * ((${remainder} * 2 >= ${step}) - (${remainder} * 2 <= -${step}))`;
  return { integer: round(`${column} % ${step}`), real: round(`mod(${column}, ${step})`) };
}

/**
 * Builds the SQL of a truncated date. The value must begin with year and month, or be a year alone. A value with a time keeps its form,
 * with the time 00:00:00, so that it compares with other values of this form: `2026-01-01` would come before `2026-01-01T00:00:00Z`.
 * Nothing else of the value is kept. An offset is dropped, because `strftime` would move midnight with an offset into another year.
 * `rest` follows the characters that are shown.
 */
function buildDateSql(column: string, shownCharacters: number, rest: string): string {
  // D1 takes patterns of at most 50 bytes. The most usual forms come first, because a mask is computed for every row.
  const year = "[0-9][0-9][0-9][0-9]";
  const hasMonth = `${column} GLOB '${year}-0[1-9]*' OR ${column} GLOB '${year}-1[0-2]*'`;
  const day = "???????-[0-3][0-9]";
  const isUtcSecond = `${column} GLOB '${day}T[0-2][0-9]:[0-5][0-9]:??Z'`;
  const hasTime = `${column} GLOB '${day}[ T][0-2][0-9]:[0-5][0-9]*'`;
  const clock = `CASE length(rtrim(${column}, 'Z')) WHEN 16 THEN '00:00' WHEN 23 THEN '00:00:00.000' ELSE '00:00:00' END`;
  const time = `substr(${column}, 11, 1) || ${clock} || CASE WHEN ${column} GLOB '*Z' THEN 'Z' ELSE '' END`;
  const ending = [
    `CASE WHEN length(${column}) < 16 THEN '${rest}' WHEN ${isUtcSecond} THEN '${rest}T00:00:00Z'`,
    `WHEN ${hasTime} THEN '${rest}' || ${time} ELSE '${rest}' END`,
  ].join(" ");
  return [
    `CASE WHEN typeof(${column}) <> 'text' THEN NULL`,
    `WHEN ${hasMonth} THEN substr(${column}, 1, ${shownCharacters}) || ${ending}`,
    `WHEN ${column} GLOB '${year}' THEN ${column} || '-01-01' END`,
  ].join(" ");
}
