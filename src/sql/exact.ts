// Results as they really are: a database binding gives numbers as doubles, so integers beyond 2^53 would come rounded and
// infinities as null. Around the composed statement stands one that gives those as marked text, and leaves out what is too large.
import { quoteIdentifier } from "./identifier.ts";

/** A value as the database has it. A plain number that is whole is an integer, any other a real; the rest says what it is. */
export type Cell = string | number | null | ExactCell;

export type ExactCell =
  /** Beyond 2^53. */
  | { readonly kind: "integer"; readonly digits: string }
  /** Whole or infinite. */
  | { readonly kind: "real"; readonly value: number }
  | { readonly kind: "blob"; readonly hex: string };

/** A value as JSON can show it. */
export type ShownCell = string | number | null;

/** Why a shown cell is text: an integer too large for JSON, a real that is not finite, bytes. */
export type Encoding = "integer as text" | "real as text" | "base64";

export interface ExactRows {
  readonly rows: readonly (readonly Cell[])[];
  /** Whether the rows end before one that has a value of more than the bytes allowed, or that passes the bytes of all. */
  readonly isCutByValue: boolean;
}

export interface ExactFrameOptions {
  /** Letters and digits, new for each statement. */
  readonly nonce: string;
  /** Bytes of one value at most. */
  readonly maxValueBytes: number;
  /** Bytes of all rows at most, counted by the database, which takes time; null to leave them uncounted. */
  readonly maxTotalBytes: number | null;
}

const MAX_SAFE = Number.MAX_SAFE_INTEGER;
/** What stands behind the nonce in front of a cell that is not what it looks like. */
const MARK = { quoted: "q", tooLarge: "t" } as const;

/** The name of the result's column at this index. */
export function resultColumn(index: number): string {
  return `c${index}`;
}

/** What to put before and behind a composed statement of so many columns. */
export function exactFrame(
  columns: number,
  { nonce, maxValueBytes, maxTotalBytes }: ExactFrameOptions,
): { readonly before: string; readonly after: string } {
  const names = Array.from({ length: columns }, (_value, index) => resultColumn(index));
  const frame = quoteIdentifier(`result_${nonce}`);
  const tooLarge = `'${nonce}${MARK.tooLarge}'`;
  const cells = names.map(
    // Few instructions for each cell: the database also lists them all, to be checked.
    (name) =>
      `CASE WHEN typeof(${name}) = 'integer' AND +${name} BETWEEN ${-MAX_SAFE} AND ${MAX_SAFE} THEN ${name} ` +
      `WHEN octet_length(${name}) > ${maxValueBytes} THEN ${tooLarge} ` +
      `WHEN typeof(${name}) IN ('text', 'null') THEN ${name} ` +
      `ELSE '${nonce}${MARK.quoted}' || quote(${name}) END AS ${name}`,
  );
  const before = `WITH ${frame}(${names.join(", ")}) AS (`;
  // Two limits keep the statement from becoming part of this one, which would compute a mask anew for each mention of it.
  if (maxTotalBytes === null) return { before, after: `) SELECT ${cells.join(", ")} FROM ${frame} LIMIT -1` };
  // The first row that passes the limit comes too, marked, so that its absence is known.
  const own = names.map((name) => `coalesce(octet_length(${name}), 0)`).join(" + ");
  const sum = quoteIdentifier(`sum_${nonce}`);
  const length = quoteIdentifier(`length_${nonce}`);
  const counted = `SELECT *, sum(${length}) OVER (ROWS UNBOUNDED PRECEDING) AS ${sum} FROM (SELECT *, ${own} AS ${length} FROM ${frame})`;
  const bounded = cells.map((cell, index) => {
    const name = resultColumn(index);
    return `CASE WHEN ${sum} > ${maxTotalBytes} THEN ${tooLarge} ELSE ${cell.slice(0, -` AS ${name}`.length)} END AS ${name}`;
  });
  return {
    before,
    after: `) SELECT ${bounded.join(", ")} FROM (${counted}) WHERE ${sum} - ${length} <= ${maxTotalBytes}`,
  };
}

/** The index of the first row of which a value was left out for its size, or -1. */
export function findTooLarge(raw: readonly Readonly<Record<string, unknown>>[], nonce: string): number {
  const mark = `${nonce}${MARK.tooLarge}`;
  return raw.findIndex((record) => {
    for (const name in record) if (record[name] === mark) return true;
    return false;
  });
}

/** Reads rows as they came, up to the first that holds a value which is too large. */
export function readExact(
  raw: readonly Readonly<Record<string, unknown>>[],
  columns: number,
  nonce: string,
): ExactRows {
  const names = Array.from({ length: columns }, (_value, index) => resultColumn(index));
  const end = findTooLarge(raw, nonce);
  const whole = end === -1 ? raw : raw.slice(0, end);
  return { rows: whole.map((record) => names.map((name) => readCell(record[name], nonce))), isCutByValue: end !== -1 };
}

function readCell(value: unknown, nonce: string): Cell {
  if (value === null || typeof value === "number") return value;
  if (typeof value !== "string") throw new TypeError("the database returned a value of an unknown kind");
  if (!value.startsWith(nonce)) return value;
  const text = value.slice(nonce.length + 1);
  switch (value.charAt(nonce.length)) {
    case MARK.quoted:
      return readQuoted(text);
    default:
      return value;
  }
}

/** What `quote()` writes: `X'00FF'`, digits, or a real with a point or an exponent, infinities as `9.0e+999`. */
function readQuoted(text: string): Cell {
  if (text.startsWith("X'")) return { kind: "blob", hex: text.slice(2, -1) };
  if (/^-?[0-9]+$/.test(text)) return { kind: "integer", digits: text };
  const value = Number(text);
  return Number.isFinite(value) && !Number.isInteger(value) ? value : { kind: "real", value };
}

/** The value for JSON. */
export function showCell(cell: Cell): ShownCell {
  if (typeof cell !== "object" || cell === null) return cell;
  switch (cell.kind) {
    case "integer":
      return cell.digits;
    case "real":
      return Number.isFinite(cell.value) ? cell.value : String(cell.value);
    case "blob":
      return btoa(cell.hex.replace(/../g, (digits) => String.fromCharCode(Number.parseInt(digits, 16))));
  }
}

/** Why the shown form is text where the value is none; undefined where it is not so. */
export function encodingOf(cell: Cell): Encoding | undefined {
  if (typeof cell !== "object" || cell === null) return undefined;
  switch (cell.kind) {
    case "integer":
      return "integer as text";
    case "real":
      return Number.isFinite(cell.value) ? undefined : "real as text";
    case "blob":
      return "base64";
  }
}

/** What SQLite calls the type of a value. */
export type StorageType = "null" | "integer" | "real" | "text" | "blob";

export function typeOf(cell: Cell): StorageType {
  if (cell === null) return "null";
  if (typeof cell === "string") return "text";
  if (typeof cell === "number") return Number.isInteger(cell) ? "integer" : "real";
  return cell.kind;
}
