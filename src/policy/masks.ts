// Column masks: what type each one fits, how much it discloses, and the SQL that computes it. A value that a mask does
// not understand comes out redacted, never clear.
import { COLUMN_TYPES } from "./model.ts";
import type { Column, ColumnType, Disclosure, Mask, Scalar } from "./model.ts";

/** What a masked-away value reads as. */
export const REDACTED = "[redacted]";

/** The table, beside the data, that keeps which token stands for which value. */
export const TOKEN_TABLE = "_gatehouse_token";
/** Its columns, all of which a token mask reads. */
export const TOKEN_COLUMNS = ["domain", "value", "token"] as const;

/** Characters of a value that can have a token. */
const MAX_TOKEN_VALUE_LENGTH = 250;

/** The SQL condition under which a value of the column has a token: short text and integers. */
export function hasToken(identifier: string): string {
  const c = identifier;
  return `(typeof(${c}) = 'integer' OR (typeof(${c}) = 'text' AND length(${c}) <= ${MAX_TOKEN_VALUE_LENGTH}))`;
}

/**
 * The SQL condition under which a value is a number that masks compute with: in whole numbers, which are exact, and so far from
 * their limits that none overflows. Division of doubles would put values near an edge on the wrong side of it.
 */
function isMaskableNumber(identifier: string): string {
  return `typeof(${identifier}) IN ('integer', 'real') AND ${identifier} BETWEEN -${MAX_MASKED_NUMBER} AND ${MAX_MASKED_NUMBER}`;
}

/** 2^61. */
const MAX_MASKED_NUMBER = "2305843009213693952";

const FITS: Readonly<Record<Mask["kind"], readonly ColumnType[]>> = {
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

/** The column types a mask can be put on. */
export function typesFor(mask: Mask): readonly ColumnType[] {
  return FITS[mask.kind];
}

/** Whether a value of a row rule can be compared with a column of this type. */
export function fitsType(type: ColumnType, value: Scalar): boolean {
  return isTextual(type) === (typeof value === "string");
}

/**
 * Whether a subject value can be compared with a column of this type. Stricter than literals of a rule, which its author sees beside
 * the column: a number that JSON has rounded could be another person's, and `soon` is before no date.
 */
export function attributeFits(type: ColumnType, value: Scalar): boolean {
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

/** ISO 8601, from the year alone to a time; text of this form is in order of time. */
const ISO_DATE = /^\d{4}(?:-\d{2}(?:-\d{2}(?:[T ]\d{2}.*)?)?)?$/;

/** Whether the values of a column of this type are text. */
export function isTextual(type: ColumnType): boolean {
  return type !== "integer" && type !== "real" && type !== "boolean";
}

/** The type of the values that come out of a disclosure of this column. */
export function disclosedType(column: Column, disclosure: Disclosure): ColumnType {
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
 * The place of a disclosure in the total order by which a row with several grants chooses its form, higher first. Of two forms that
 * have little to do with each other, a higher one need not show all that the lower shows: see disclosure-order. `null` does not even tell that there is something, a
 * token which values are equal. Of
 * numbers a coarser `bucket` or `round` shows less, and any range less than any rounding; of dates the year less than the
 * month; of text `last(n)` ranks by n, and below `email`, which shows a whole domain.
 */
export function disclosureRank(disclosure: Disclosure): number {
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

/** How people and records read a disclosure: `email`, `last(4)`. */
export function disclosureName(disclosure: Disclosure): string {
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
 * The SQL expression that discloses a column. `identifier` is an already quoted column name. NULL stays NULL, so that
 * absence can be counted; any other value that does not have the expected form is redacted or, where the result is no
 * free text, NULL. `tokenDomain` gives the expression for the domain under which the tokens of a column are kept.
 */
export function disclosureSql(
  disclosure: Disclosure,
  identifier: string,
  tokenDomain: (domain: string) => string,
): string {
  const c = identifier;
  switch (disclosure.kind) {
    case "clear":
      return c;
    case "hidden":
    case "null":
      return "NULL";
    case "bucket": {
      const { size } = disclosure;
      // From the lower edge up to, not including, the upper.
      const whole = `CAST(floor(${c}) AS INTEGER)`;
      const lower = `(${whole} - (${whole} % ${size} + ${size}) % ${size})`;
      return `CASE WHEN ${isMaskableNumber(c)} THEN ${lower} || '–<' || (${lower} + ${size}) END`;
    }
    case "round": {
      const { step } = disclosure;
      // Halves are rounded away from zero.
      const doubled = `CAST(floor(sign(${c}) * ${c} * 2) AS INTEGER)`;
      return `CASE WHEN ${isMaskableNumber(c)} THEN sign(${c}) * ((${doubled} + ${step}) / ${2 * step} * ${step}) END`;
    }
    case "redact":
      return `CASE WHEN ${c} IS NOT NULL THEN '${REDACTED}' END`;
    case "token": {
      const found = `(SELECT "token" FROM main.${TOKEN_TABLE} AS t WHERE t."domain" = ${tokenDomain(disclosure.domain)} AND t."value" = CAST(${c} AS TEXT))`;
      // What has no token yet makes the statement fail, in the words of MISSING_TOKEN: whoever runs it then makes the token.
      return (
        `CASE WHEN ${c} IS NULL THEN NULL WHEN ${hasToken(c)} ` +
        `THEN coalesce(${found}, json('no token')) ELSE '${REDACTED}' END`
      );
    }
    case "year":
      return `CASE WHEN typeof(${c}) = 'text' AND ${c} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]*' THEN CAST(substr(${c}, 1, 4) AS INTEGER) END`;
    case "month":
      return `CASE WHEN typeof(${c}) = 'text' AND ${c} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]*' THEN substr(${c}, 1, 7) END`;
    case "last":
      return (
        `CASE WHEN ${c} IS NULL THEN NULL WHEN typeof(${c}) = 'text' AND length(${c}) >= ${2 * disclosure.count} ` +
        `THEN '…' || substr(${c}, ${-disclosure.count}) ELSE '${REDACTED}' END`
      );
    case "email":
      // The domain may hold host-name characters only: "bob@a.example, call 555-0100" must not carry its tail along.
      return (
        `CASE WHEN ${c} IS NULL THEN NULL WHEN typeof(${c}) = 'text' AND instr(${c}, '@') > 1 ` +
        `AND substr(${c}, instr(${c}, '@') + 1) <> '' AND substr(${c}, instr(${c}, '@') + 1) NOT GLOB '*[^A-Za-z0-9.-]*' ` +
        `THEN substr(${c}, 1, 1) || '…' || substr(${c}, instr(${c}, '@')) ELSE '${REDACTED}' END`
      );
  }
}
