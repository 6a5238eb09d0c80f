// Column masks: what type each one fits, how much it discloses, and the SQL that computes it. A value that a mask does
// not understand comes out redacted, never clear.
import type { Column, ColumnType, Disclosure, Mask, Scalar } from "./model.ts";

/** What a masked-away value reads as. */
export const REDACTED = "[redacted]";

const FITS: Readonly<Record<Mask["kind"], readonly ColumnType[]>> = {
  redact: ["integer", "real", "text", "date", "datetime", "boolean", "json"],
  year: ["date", "datetime"],
  last: ["text"],
  email: ["text"],
};

/** The column types a mask can be put on. */
export function typesFor(mask: Mask): readonly ColumnType[] {
  return FITS[mask.kind];
}

/** Whether a value of a row rule can be compared with a column of this type. */
export function fitsType(type: ColumnType, value: Scalar): boolean {
  const isNumeric = type === "integer" || type === "real" || type === "boolean";
  return isNumeric ? typeof value !== "string" : typeof value === "string";
}

/** The type of the values that come out of a disclosure of this column. */
export function disclosedType(column: Column, disclosure: Disclosure): ColumnType {
  switch (disclosure.kind) {
    case "clear":
      return column.type;
    case "year":
      return "integer";
    case "hidden":
    case "redact":
    case "last":
    case "email":
      return "text";
  }
}

/**
 * The place of a disclosure in the total order, higher shows more. `last(n)` ranks by n and below `email`, which shows
 * a whole domain; `year` ranks between `redact` and both, as it says the least about who somebody is.
 */
export function disclosureRank(disclosure: Disclosure): number {
  switch (disclosure.kind) {
    case "hidden":
      return 0;
    case "redact":
      return 1;
    case "year":
      return 2;
    case "last":
      return 3 + disclosure.count;
    case "email":
      return 100;
    case "clear":
      return 1000;
  }
}

/** How people and records read a disclosure: `email`, `last(4)`. */
export function disclosureName(disclosure: Disclosure): string {
  return disclosure.kind === "last" ? `last(${disclosure.count})` : disclosure.kind;
}

/**
 * The SQL expression that discloses a column. `identifier` is an already quoted column name. NULL stays NULL, so that
 * absence can be counted; any other value that does not have the expected form is redacted or, for `year`, NULL.
 */
export function disclosureSql(disclosure: Disclosure, identifier: string): string {
  const c = identifier;
  switch (disclosure.kind) {
    case "clear":
      return c;
    case "hidden":
      return "NULL";
    case "redact":
      return `CASE WHEN ${c} IS NOT NULL THEN '${REDACTED}' END`;
    case "year":
      return `CASE WHEN typeof(${c}) = 'text' AND ${c} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]*' THEN CAST(substr(${c}, 1, 4) AS INTEGER) END`;
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
