// Encodes results so that their values arrive exactly: a database binding returns numbers as doubles, which would round integers beyond
// 2^53 and turn infinities into null. A statement around the composed one returns these as marked text and leaves out oversized values.
import { quoteIdentifier } from "./identifier.ts";

/** A value as the database stores it. A plain number is an integer if it is whole, otherwise a real. */
export type Cell = string | number | null | ExactCell;

/** A value that a plain JavaScript number or string does not represent exactly. */
type ExactCell =
  /** An integer beyond 2^53. */
  | { readonly kind: "integer"; readonly digits: string }
  /** A whole or infinite real. */
  | { readonly kind: "real"; readonly value: number }
  | { readonly kind: "blob"; readonly hex: string };

/** A value as JSON can represent it. */
export type JsonCell = string | number | null;

/** Why a cell is shown as text: an integer too large for JSON, a real that is not finite, or bytes. */
type CellEncoding = "integer as text" | "real as text" | "base64";

interface DecodedRows {
  readonly rows: readonly (readonly Cell[])[];
  /** What the row after the last one exceeds; null if no row was left out for its size. */
  readonly sizeCut: SizeCut | null;
}

/** Why rows end before a row: one of its values exceeds the maximum of a value, or the row exceeds the maximum of all rows. */
export interface SizeCut {
  readonly limit: "value" | "rows";
  /** The number of the row in the result, from 1. */
  readonly row: number;
  /** The index of the column of the row's widest cell that is over the limit. */
  readonly columnIndex: number;
  /** The bytes of that cell, as the user sees it: masked where the column is masked. */
  readonly bytes: number;
}

interface ExactValueOptions {
  /** Letters and digits, new for each statement. */
  readonly nonce: string;
  /** Maximum bytes of one value. */
  readonly maxValueBytes: number;
  /** Maximum bytes of all rows, or null for no maximum. Counting them in the database takes time. */
  readonly maxTotalBytes: number | null;
}

const MAX_SAFE_INTEGER = Number.MAX_SAFE_INTEGER;
/** The letter after the nonce says how to read a marked cell. The bytes of a cell that was left out follow the letter. */
const MARKERS = { quoted: "q", tooLarge: "t", beyondTotal: "b" } as const;

/** Names the result column at this index. */
function nameResultColumn(index: number): string {
  return `c${index}`;
}

/** Builds the SQL to put before and after a composed statement with this many columns. */
export function wrapForExactValues(
  columnCount: number,
  { nonce, maxValueBytes, maxTotalBytes }: ExactValueOptions,
): { readonly before: string; readonly after: string } {
  const names = Array.from({ length: columnCount }, (_value, index) => nameResultColumn(index));
  const resultCte = quoteIdentifier(`result_${nonce}`);
  const markBytes = (marker: string, name: string): string => `'${nonce}${marker}' || octet_length(${name})`;
  const cells = names.map(
    // Keep the instructions per cell few: layer 4 also lists and checks them all.
    (name) =>
      `CASE WHEN typeof(${name}) = 'integer' AND +${name} BETWEEN ${-MAX_SAFE_INTEGER} AND ${MAX_SAFE_INTEGER} THEN ${name} ` +
      `WHEN octet_length(${name}) > ${maxValueBytes} THEN ${markBytes(MARKERS.tooLarge, name)} ` +
      `WHEN typeof(${name}) IN ('text', 'null') THEN ${name} ` +
      `ELSE '${nonce}${MARKERS.quoted}' || quote(${name}) END AS ${name}`,
  );
  const before = `WITH ${resultCte}(${names.join(", ")}) AS (`;
  // With a limit in both statements, SQLite does not merge them, which would compute a mask again for each mention of its column.
  if (maxTotalBytes === null) return { before, after: `) SELECT ${cells.join(", ")} FROM ${resultCte} LIMIT -1` };
  // The first row beyond the maximum is returned too, marked, to show that rows are missing.
  const rowBytes = addUp(names.map((name) => `coalesce(octet_length(${name}), 0)`));
  const totalBytesColumn = quoteIdentifier(`sum_${nonce}`);
  const rowBytesColumn = quoteIdentifier(`length_${nonce}`);
  const rowsWithSizes = `SELECT *, ${rowBytes} AS ${rowBytesColumn} FROM ${resultCte}`;
  const runningTotal = `sum(${rowBytesColumn}) OVER (ROWS UNBOUNDED PRECEDING) AS ${totalBytesColumn}`;
  const rowsWithTotals = `SELECT *, ${runningTotal} FROM (${rowsWithSizes})`;
  const leftOutCells = names.map(
    (name) =>
      `CASE WHEN octet_length(${name}) > ${maxValueBytes} THEN ${markBytes(MARKERS.tooLarge, name)} ` +
      `ELSE ${markBytes(MARKERS.beyondTotal, `coalesce(${name}, '')`)} END`,
  );
  if (columnCount > MAX_COLUMNS - 2)
    return boundWideRows({ resultCte, names, cells, leftOutCells, rowBytes, totalBytesColumn, maxTotalBytes });
  const bounded = cells.map((cell, index) => {
    const name = nameResultColumn(index);
    const value = cell.slice(0, -` AS ${name}`.length);
    const leftOut = leftOutCells[index] ?? "";
    return `CASE WHEN ${totalBytesColumn} > ${maxTotalBytes} THEN ${leftOut} ELSE ${value} END AS ${name}`;
  });
  return {
    before,
    after: `) SELECT ${bounded.join(", ")} FROM (${rowsWithTotals}) WHERE ${totalBytesColumn} - ${rowBytesColumn} <= ${maxTotalBytes}`,
  };
}

/** D1's limit on the columns of a query. */
const MAX_COLUMNS = 100;

/** Adds up expressions in pairs, and these in pairs, and so on: a chain of a hundred would be deeper than SQLite accepts. */
export function addUp(terms: readonly string[]): string {
  if (terms.length < 2) return terms[0] ?? "0";
  const half = Math.ceil(terms.length / 2);
  return `(${addUp(terms.slice(0, half))} + ${addUp(terms.slice(half))})`;
}

interface WideRows {
  readonly resultCte: string;
  readonly names: readonly string[];
  readonly cells: readonly string[];
  readonly leftOutCells: readonly string[];
  readonly rowBytes: string;
  readonly totalBytesColumn: string;
  readonly maxTotalBytes: number;
}

/** Bounds rows with so many columns that a query over them can have none besides: counts the rows that fit, and reads them again. */
function boundWideRows(rows: WideRows): { readonly before: string; readonly after: string } {
  const { resultCte, names, cells, leftOutCells, rowBytes, totalBytesColumn, maxTotalBytes } = rows;
  const totals = `SELECT sum(${rowBytes}) OVER (ROWS UNBOUNDED PRECEDING) AS ${totalBytesColumn} FROM ${resultCte}`;
  const fitting = `(SELECT count(*) FROM (${totals}) WHERE ${totalBytesColumn} <= ${maxTotalBytes})`;
  return {
    before: `WITH ${resultCte}(${names.join(", ")}) AS MATERIALIZED (`,
    after: [
      `) SELECT * FROM (SELECT ${cells.join(", ")} FROM ${resultCte} LIMIT ${fitting})`,
      `UNION ALL SELECT * FROM (SELECT ${leftOutCells.join(", ")} FROM ${resultCte} LIMIT 1 OFFSET ${fitting})`,
    ].join(" "),
  };
}

/** Finds the first row with a value that was left out for its size; null if there is none. */
export function findSizeCut(records: readonly Readonly<Record<string, unknown>>[], nonce: string): SizeCut | null {
  const index = records.findIndex((record) => {
    for (const name in record) if (readLeftOutCell(record[name], nonce) !== undefined) return true;
    return false;
  });
  const record = records[index];
  if (record === undefined) return null;
  let widest: SizeCut | null = null;
  for (const [columnIndex, value] of listCells(record).entries()) {
    const cell = readLeftOutCell(value, nonce);
    if (cell === undefined) continue;
    // A cell over the limit of a value explains more than the limit of all rows, which it exceeds too.
    const isWider =
      widest === null || (cell.limit === widest.limit ? cell.bytes > widest.bytes : cell.limit === "value");
    if (isWider) widest = { ...cell, row: index + 1, columnIndex };
  }
  return widest;
}

function listCells(record: Readonly<Record<string, unknown>>): readonly unknown[] {
  return Array.from({ length: Object.keys(record).length }, (_value, index) => record[nameResultColumn(index)]);
}

function readLeftOutCell(value: unknown, nonce: string): Pick<SizeCut, "limit" | "bytes"> | undefined {
  if (typeof value !== "string" || !value.startsWith(nonce)) return undefined;
  const marker = value.charAt(nonce.length);
  if (marker !== MARKERS.tooLarge && marker !== MARKERS.beyondTotal) return undefined;
  return { limit: marker === MARKERS.tooLarge ? "value" : "rows", bytes: Number(value.slice(nonce.length + 1)) };
}

/** Decodes rows up to the first row with an oversized value. */
export function decodeRows(
  records: readonly Readonly<Record<string, unknown>>[],
  columnCount: number,
  nonce: string,
): DecodedRows {
  const names = Array.from({ length: columnCount }, (_value, index) => nameResultColumn(index));
  const sizeCut = findSizeCut(records, nonce);
  const completeRecords = sizeCut === null ? records : records.slice(0, sizeCut.row - 1);
  return {
    rows: completeRecords.map((record) => names.map((name) => decodeCell(record[name], nonce))),
    sizeCut,
  };
}

function decodeCell(value: unknown, nonce: string): Cell {
  if (value === null || typeof value === "number") return value;
  if (typeof value !== "string") throw new TypeError("the database returned a value of an unknown kind");
  if (!value.startsWith(nonce)) return value;
  const text = value.slice(nonce.length + 1);
  switch (value.charAt(nonce.length)) {
    case MARKERS.quoted:
      return decodeQuoted(text);
    default:
      return value;
  }
}

/** Decodes the output of `quote()`: `X'00FF'`, digits, or a real with a point or an exponent; infinities are `9.0e+999`. */
function decodeQuoted(text: string): Cell {
  if (text.startsWith("X'")) return { kind: "blob", hex: text.slice(2, -1) };
  if (/^-?[0-9]+$/.test(text)) return { kind: "integer", digits: text };
  const value = Number(text);
  return Number.isFinite(value) && !Number.isInteger(value) ? value : { kind: "real", value };
}

/** Converts a cell to its JSON value. */
export function toJsonCell(cell: Cell): JsonCell {
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

/** Says why a cell that is not text is shown as text; undefined for all other cells. */
export function describeEncoding(cell: Cell): CellEncoding | undefined {
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

/** A storage class of SQLite. */
export type StorageType = "null" | "integer" | "real" | "text" | "blob";

/** Returns the storage class of a cell. */
export function getStorageType(cell: Cell): StorageType {
  if (cell === null) return "null";
  if (typeof cell === "string") return "text";
  if (typeof cell === "number") return Number.isInteger(cell) ? "integer" : "real";
  return cell.kind;
}
