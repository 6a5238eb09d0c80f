// Defines the column masks: the types that each one fits, how much it discloses, and the SQL that computes it. A value of an unexpected
// form comes out redacted or NULL, never in clear.
import { MISSING_MASKING_TOKEN_MARKER } from "../sql/sql-problem.ts";
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

/**
 * Builds the SQL condition under which masks compute with a value. Masks use integer arithmetic, because division of doubles would put
 * values near an edge on its wrong side. The bound keeps the arithmetic from overflowing.
 */
function buildMaskableNumberSql(column: string): string {
  return `typeof(${column}) IN ('integer', 'real') AND ${column} BETWEEN -${MAX_MASKED_NUMBER} AND ${MAX_MASKED_NUMBER}`;
}

/** 2^61. */
const MAX_MASKED_NUMBER = "2305843009213693952";

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

/** Whether a literal of a row rule can be compared with a column of this type. */
export function isComparableLiteral(type: ColumnType, value: Scalar): boolean {
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
    case "round":
      return column.type;
    case "year":
      return "integer";
    case "hidden":
    case "redact":
    case "token":
    case "bucket":
    case "month":
    case "last":
    case "email":
      return "text";
  }
}

/**
 * Ranks a disclosure in the total order by which a row with several grants chooses its form: the highest rank wins. A higher rank does not
 * always show all that a lower one shows; see disclosure-order.ts for that relation.
 *
 * `null` ranks lowest among masks because it does not even show that there is a value; a token shows which values are equal. A coarser
 * `bucket` or `round` ranks below a finer one, and every range below every rounding. `year` ranks below `month`. `last(n)` ranks by n
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

/**
 * Builds the SQL expression that discloses a column. `column` is an already quoted name. NULL stays NULL, so that missing values can
 * be counted. Any other value that does not have the expected form becomes `[redacted]`, or NULL where the result is not free text.
 * `qualifyDomain` gives the SQL of the domain under which the column's masking tokens are stored.
 */
export function buildDisclosureSql(
  disclosure: Disclosure,
  column: string,
  qualifyDomain: (domain: string) => string,
): string {
  switch (disclosure.kind) {
    case "clear":
      return column;
    case "hidden":
    case "null":
      return "NULL";
    case "bucket": {
      const { size } = disclosure;
      // A range includes its lower edge and excludes its upper one.
      const whole = `CAST(floor(${column}) AS INTEGER)`;
      const lower = `(${whole} - (${whole} % ${size} + ${size}) % ${size})`;
      return `CASE WHEN ${buildMaskableNumberSql(column)} THEN ${lower} || '–<' || (${lower} + ${size}) END`;
    }
    case "round": {
      const { step } = disclosure;
      // Halves are rounded away from zero.
      const doubled = `CAST(floor(sign(${column}) * ${column} * 2) AS INTEGER)`;
      const rounded = `(${doubled} + ${step}) / ${2 * step} * ${step}`;
      return `CASE WHEN ${buildMaskableNumberSql(column)} THEN sign(${column}) * (${rounded}) END`;
    }
    case "redact":
      return `CASE WHEN ${column} IS NOT NULL THEN '${REDACTED}' END`;
    case "token": {
      const condition = `t."domain" = ${qualifyDomain(disclosure.domain)} AND t."value" = CAST(${column} AS TEXT)`;
      const maskingToken = `(SELECT "masking_token" FROM main.${MASKING_TOKEN_TABLE} AS t WHERE ${condition})`;
      // A value without a masking token makes the statement fail. The source then creates it and runs the statement again.
      return [
        `CASE WHEN ${column} IS NULL THEN NULL WHEN ${buildTokenizableSql(column)}`,
        `THEN coalesce(${maskingToken}, json_extract('null', '${MISSING_MASKING_TOKEN_MARKER}')) ELSE '${REDACTED}' END`,
      ].join(" ");
    }
    case "year":
      return `CASE WHEN ${buildDateSql(column)} THEN CAST(substr(${column}, 1, 4) AS INTEGER) END`;
    case "month":
      return `CASE WHEN ${buildDateSql(column)} THEN substr(${column}, 1, 7) END`;
    case "last":
      return [
        `CASE WHEN ${column} IS NULL THEN NULL`,
        `WHEN typeof(${column}) = 'text' AND length(${column}) >= ${2 * disclosure.count}`,
        `THEN '…' || substr(${column}, ${-disclosure.count}) ELSE '${REDACTED}' END`,
      ].join(" ");
    case "email": {
      const domain = `substr(${column}, instr(${column}, '@') + 1)`;
      // Allow only host-name characters in the domain, so that "bob@a.example, call 555-0100" does not show the phone number.
      return [
        `CASE WHEN ${column} IS NULL THEN NULL WHEN typeof(${column}) = 'text' AND instr(${column}, '@') > 1`,
        `AND ${domain} <> '' AND ${domain} NOT GLOB '*[^A-Za-z0-9.-]*'`,
        `THEN substr(${column}, 1, 1) || '…' || substr(${column}, instr(${column}, '@')) ELSE '${REDACTED}' END`,
      ].join(" ");
    }
  }
}

/** Builds the SQL condition under which a value begins like an ISO date, with year and month. */
function buildDateSql(column: string): string {
  return `typeof(${column}) = 'text' AND ${column} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]*'`;
}
