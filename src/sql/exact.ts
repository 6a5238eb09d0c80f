// Results as they really are: a database binding gives numbers as doubles, so integers beyond 2^53 would come rounded and
// infinities as null. Around the composed statement stands one that gives those as marked text, and cuts what is too large.
import { quoteIdentifier } from "./identifier.ts";

/** A cell as it travels: text, number or null; what has no JSON form of its own is text, see `Encoding`. */
export type Cell = string | number | null;

/** Why a cell is text: an integer too large for JSON, a real that is not finite, bytes. */
export type Encoding = "integer as text" | "real as text" | "base64";

export interface ExactRows {
  readonly rows: readonly (readonly Cell[])[];
  /** Per column the encodings that occur in it. */
  readonly encodings: readonly ReadonlySet<Encoding>[];
  /** Whether the rows end before one that has a value of more than the bytes allowed. */
  readonly isCutByValue: boolean;
}

const MAX_SAFE = Number.MAX_SAFE_INTEGER;
/** What stands behind the nonce in front of an encoded cell. */
const MARKS: Readonly<Record<string, Encoding>> = { i: "integer as text", r: "real as text", b: "base64" };
const TOO_LARGE = "t";

/** The name of the result's column at this index. */
export function resultColumn(index: number): string {
  return `c${index}`;
}

/** What to put before and behind a composed statement of so many columns. `nonce` is letters and digits. */
export function exactFrame(
  columns: number,
  nonce: string,
  maxBytes: number,
): { readonly before: string; readonly after: string } {
  const names = Array.from({ length: columns }, (_value, index) => resultColumn(index));
  const frame = quoteIdentifier(`result_${nonce}`);
  const cells = names.map(
    (name) =>
      `CASE typeof(${name}) ` +
      `WHEN 'integer' THEN CASE WHEN ${name} BETWEEN ${-MAX_SAFE} AND ${MAX_SAFE} THEN ${name} ELSE '${nonce}i' || ${name} END ` +
      `WHEN 'real' THEN CASE WHEN ${name} IN (9e999, -9e999) THEN '${nonce}r' || ${name} ELSE ${name} END ` +
      `WHEN 'null' THEN NULL ` +
      `ELSE CASE WHEN octet_length(${name}) > ${maxBytes} THEN '${nonce}${TOO_LARGE}' ` +
      `WHEN typeof(${name}) = 'blob' THEN '${nonce}b' || hex(${name}) ELSE ${name} END END AS ${name}`,
  );
  return {
    before: `WITH ${frame}(${names.join(", ")}) AS (`,
    after: `) SELECT ${cells.join(", ")} FROM ${frame}`,
  };
}

/** Reads rows as they came, up to the first that holds a value which is too large. */
export function readExact(
  raw: readonly Readonly<Record<string, unknown>>[],
  columns: number,
  nonce: string,
): ExactRows {
  const encodings = Array.from({ length: columns }, () => new Set<Encoding>());
  const rows: Cell[][] = [];
  for (const record of raw) {
    const cells: Cell[] = [];
    for (const [index, found] of encodings.entries()) {
      const value = record[resultColumn(index)];
      if (value !== null && typeof value !== "string" && typeof value !== "number")
        throw new TypeError("the database returned a value of an unknown kind");
      const mark = typeof value === "string" && value.startsWith(nonce) ? value.charAt(nonce.length) : undefined;
      if (mark === TOO_LARGE) return { rows, encodings, isCutByValue: true };
      const encoding = mark === undefined ? undefined : MARKS[mark];
      if (encoding !== undefined) found.add(encoding);
      cells.push(encoding === undefined ? value : decode(encoding, String(value).slice(nonce.length + 1)));
    }
    rows.push(cells);
  }
  return { rows, encodings, isCutByValue: false };
}

function decode(encoding: Encoding, text: string): string {
  switch (encoding) {
    case "integer as text":
      return text;
    case "real as text":
      return text.startsWith("-") ? "-Infinity" : "Infinity";
    case "base64":
      return btoa(text.replace(/../g, (digits) => String.fromCharCode(Number.parseInt(digits, 16))));
  }
}
