// Describes in words the form and the precision of masked values, for describe and for answers. All examples are made up from
// the mask alone: none comes from data.
import type { Column, Disclosure } from "./model.ts";

/** A column and its disclosures, least masked first. */
interface MaskedColumn extends Pick<Column, "type"> {
  readonly disclosures: readonly Disclosure[];
}

/** Describes the form of a column's masked values by an example, such as `40 for any value from 40 to below 50`. */
export function describeMaskedForm({ type, disclosures }: MaskedColumn): string {
  return disclosures.map((disclosure) => describeForm(type, disclosure)).join("; or, by row, ");
}

function describeForm(type: Column["type"], disclosure: Disclosure): string {
  switch (disclosure.kind) {
    case "clear":
      return "in clear";
    case "hidden":
    case "null":
      return "always null";
    case "redact":
      return "[redacted]";
    case "token":
      return "tok_ and 16 letters or digits; equal values have equal masking tokens";
    case "bucket": {
      const size = BigInt(disclosure.size);
      return `${4n * size} for any value from ${4n * size} to below ${5n * size}`;
    }
    case "round": {
      const step = BigInt(disclosure.step);
      return `${4n * step} for any value from ${formatHalf(7n * step)} to below ${formatHalf(9n * step)}`;
    }
    case "year":
      return type === "datetime" ? "1962-01-01 00:00:00 for any time in 1962" : "1962-01-01 for any day of 1962";
    case "month":
      return type === "datetime"
        ? "1962-02-01 00:00:00 for any time in February 1962"
        : "1962-02-01 for any day of February 1962";
    case "last":
      return `…${"123456789012".slice(0, disclosure.count)}, the end of the text`;
    case "email":
      return "a…@x.example";
  }
}

/** Formats half of a whole number. */
function formatHalf(doubled: bigint): string {
  return `${doubled / 2n}${doubled % 2n === 0n ? "" : ".5"}`;
}

/**
 * Says how exact a masked column is for a statement that compares, sorts or computes with it, as one sentence without a full stop.
 * Undefined for a column that every row shows in clear.
 */
export function describeInexactness(column: string, disclosures: readonly Disclosure[]): string | undefined {
  if (disclosures.every(({ kind }) => kind === "clear")) return undefined;
  const phrases = [...new Set(disclosures.map(describePrecision))];
  return phrases.length === 1
    ? `${column} is ${phrases[0]}`
    : `${column} differs by row: it is ${phrases.join("; or ")}`;
}

function describePrecision(disclosure: Disclosure): string {
  switch (disclosure.kind) {
    case "clear":
      return "in clear";
    case "hidden":
    case "null":
      return "always null, whatever its value";
    case "redact":
      return "redacted: all its values look equal";
    case "token":
      return "a masking token: equal values look equal, but order and parts mean nothing";
    case "bucket":
      return `known to a range of ${disclosure.size} only, shown as the lower bound`;
    case "round":
      return `rounded to the nearest multiple of ${disclosure.step}`;
    case "year":
      return "known to the year only, shown as 1 January";
    case "month":
      return "known to the month only, shown as its first day";
    case "last":
      return `cut to its last ${disclosure.count} ${disclosure.count === 1 ? "character" : "characters"}: different values can look equal`;
    case "email":
      return "cut to its first letter and domain: different addresses can look equal";
  }
}
