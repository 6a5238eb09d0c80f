// Copies rows to D1 exactly. Rows travel as JSON in one bound parameter, which SQLite takes apart again: a bound number would become a
// float, and a statement of literals may have 100 KB only. Values that are too large for that are bound by themselves.
import { isUtf8 } from "node:buffer";
import type { DatabaseSync } from "node:sqlite";
import { quoteIdentifier } from "../../src/sql/identifier.ts";

/** A prepared statement of D1. */
export interface TargetStatement {
  bind(...values: unknown[]): TargetStatement;
  all(): Promise<{ results: unknown[] }>;
}

/** The part of D1 that loading uses. */
export interface TargetDatabase {
  prepare(sql: string): TargetStatement;
  batch(statements: never[]): Promise<unknown>;
}

/** Where rows come from and go to. */
export interface CopyTask {
  readonly source: DatabaseSync;
  readonly target: TargetDatabase;
  /** The table in the file. */
  readonly table: string;
  /** Its stored columns. */
  readonly columns: readonly string[];
  /** The table and columns that receive the rows. */
  readonly into: { readonly table: string; readonly columns: readonly string[] };
  onRows(rows: number): void;
}

/** What was copied. */
export interface Copied {
  readonly rows: number;
  /** Rows that D1 cannot hold. */
  readonly tooLarge: number;
  /** Values of type text that are not valid UTF-8, by column. They are copied byte by byte. */
  readonly invalidText: ReadonlyMap<string, number>;
}

/** D1 holds rows of up to 2 MB. The bytes of a row's values leave some room for their headers. */
const MAX_ROW_BYTES = 1_990_000;
/** Characters of JSON in a parameter. D1 takes 2 MB. */
export const MAX_JSON_LENGTH = 500_000;

/** Copies all rows of a table. Throws SQLite's or D1's error. */
export async function copyRows(task: CopyTask): Promise<Copied> {
  const invalidText = new Map<string, number>();
  let [rows, tooLarge] = [0, 0];
  let waiting: string[] = [];
  let length = 0;
  const send = async (jsonRows: readonly string[], large: readonly LargeValue[]): Promise<void> => {
    if (jsonRows.length === 0) return;
    await insert(task, `[${jsonRows.join(",")}]`, large);
    rows += jsonRows.length;
    task.onRows(jsonRows.length);
  };
  for (const row of readRows(task)) {
    for (const [index, cell] of row.entries()) {
      const column = task.columns[index] ?? "";
      if (cell.kind === "bytes") invalidText.set(column, (invalidText.get(column) ?? 0) + 1);
    }
    if (row.reduce((sum, { bytes }) => sum + bytes, 0) > MAX_ROW_BYTES) {
      tooLarge += 1;
      continue;
    }
    const { json, large } = encodeRow(row);
    if (waiting.length > 0 && (large.length > 0 || length + json.length > MAX_JSON_LENGTH)) {
      await send(waiting, []);
      [waiting, length] = [[], 0];
    }
    if (large.length > 0) await send([json], large);
    else {
      waiting.push(json);
      length += json.length;
    }
  }
  await send(waiting, []);
  return { rows, tooLarge, invalidText };
}

export type Cell = {
  readonly json: string;
  /** The size in the database, approximately. */
  readonly bytes: number;
} & ({ readonly kind: "plain" } | { readonly kind: "text" | "blob" | "bytes"; readonly data: string | Uint8Array });

/** A value that is bound by itself. */
export interface LargeValue {
  readonly column: number;
  readonly data: string | Uint8Array;
  readonly isTextInBytes: boolean;
}

/**
 * Reads rows as cells. In a UTF-8 database text is read as bytes, because Node replaces bytes that are not valid. `tail` is SQL that
 * follows the name of the table.
 */
export function* readRows(
  { source, table, columns }: Pick<CopyTask, "source" | "table" | "columns">,
  tail = "",
): Generator<readonly Cell[]> {
  const { encoding } = source.prepare("PRAGMA encoding").get() ?? {};
  const names = columns.map(quoteIdentifier);
  const values = names.map((name) =>
    encoding === "UTF-8" ? `CASE typeof(${name}) WHEN 'text' THEN CAST(${name} AS BLOB) ELSE ${name} END` : name,
  );
  const types = names.map((name) => `substr(typeof(${name}), 1, 1)`).join(" || ");
  const statement = source.prepare(`SELECT ${types}, ${values.join(", ")} FROM main.${quoteIdentifier(table)}${tail}`);
  statement.setReadBigInts(true);
  statement.setReturnArrays(true);
  // With arrays, a row is an array, which the types of Node do not say.
  for (const row of statement.iterate() as Iterable<unknown> as Iterable<readonly unknown[]>) {
    const [letters, ...data] = row;
    yield data.map((value, index) => encodeCell(value, String(letters).charAt(index)));
  }
}

function encodeCell(value: unknown, type: string): Cell {
  if (typeof value === "bigint") return { kind: "plain", json: String(value), bytes: 8 };
  if (typeof value === "number") return { kind: "plain", json: encodeReal(value), bytes: 8 };
  if (typeof value === "string") return encodeText(value, Buffer.byteLength(value));
  if (!(value instanceof Uint8Array)) return { kind: "plain", json: "null", bytes: 0 };
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (type === "t" && isUtf8(bytes)) return encodeText(bytes.toString("utf8"), bytes.length);
  const hex = `"${bytes.toString("hex")}"`;
  return type === "t"
    ? { kind: "bytes", json: `{"t":${hex}}`, bytes: bytes.length, data: bytes }
    : { kind: "blob", json: `[${hex}]`, bytes: bytes.length, data: bytes };
}

function encodeText(text: string, bytes: number): Cell {
  return { kind: "text", json: JSON.stringify(text), bytes, data: text };
}

/** JSON without a point or exponent would be an integer, and JSON has no infinity except as a number that is too large. */
function encodeReal(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? "9e999" : "-9e999";
  if (Object.is(value, -0)) return "-0.0";
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** Writes a row as JSON. When it is too long, the largest values are taken out, to be bound by themselves. */
export function encodeRow(row: readonly Cell[]): { readonly json: string; readonly large: readonly LargeValue[] } {
  let length = row.reduce((sum, { json }) => sum + json.length + 1, 0);
  const large: LargeValue[] = [];
  for (const [column, cell] of [...row.entries()].toSorted(
    ([, one], [, other]) => other.json.length - one.json.length,
  )) {
    if (length <= MAX_JSON_LENGTH || cell.kind === "plain") break;
    large.push({ column, data: cell.data, isTextInBytes: cell.kind === "bytes" });
    length -= cell.json.length;
  }
  const taken = new Set(large.map(({ column }) => column));
  return { json: `[${row.map(({ json }, column) => (taken.has(column) ? "null" : json)).join(",")}]`, large };
}

async function insert({ target, into }: CopyTask, json: string, large: readonly LargeValue[]): Promise<void> {
  const values = into.columns.map((_name, column) => {
    const index = large.findIndex((value) => value.column === column);
    if (index === -1) return valueAt(column);
    return large[index]?.isTextInBytes ? `CAST(?${index + 2} AS TEXT)` : `?${index + 2}`;
  });
  const sql =
    `INSERT INTO ${quoteIdentifier(into.table)} (${into.columns.map(quoteIdentifier).join(", ")}) ` +
    `SELECT ${values.join(", ")} FROM json_each(?1)`;
  await target
    .prepare(sql)
    .bind(json, ...large.map(({ data }) => (typeof data === "string" ? data : toArrayBuffer(data))))
    .all();
}

/** SQL for the value at a position of a row's JSON: a blob is an array with its hexadecimal digits, text in bytes an object. */
export function valueAt(column: number): string {
  return (
    `CASE json_type(value, '$[${column}]') WHEN 'array' THEN unhex(value ->> '$[${column}][0]') ` +
    `WHEN 'object' THEN CAST(unhex(value ->> '$[${column}].t') AS TEXT) ELSE value ->> '$[${column}]' END`
  );
}

function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
