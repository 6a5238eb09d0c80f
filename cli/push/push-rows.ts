// Turns rows into statements for the platform's query API. Its values are JSON, and a JSON number would lose digits of a large integer, so
// every bound value is a text. Rows are one text of JSON, which SQLite takes apart: an integer keeps all digits, a real is its shortest
// exact decimal, a blob and text that is not plain UTF-8 are hexadecimal. A value too large for that is bound by itself, in pieces.
import type { DatabaseSync } from "node:sqlite";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import type { BoundStatement } from "../cloudflare-api/platform.ts";
import { MAX_JSON_LENGTH, encodeRow, readRows, valueAt } from "../introspection/copy-rows.ts";
import type { LargeValue } from "../introspection/copy-rows.ts";
import type { PlannedTable } from "./push-plan.ts";

/** Rows that are sent at once. */
export interface RowBatch {
  readonly rows: number;
  readonly statement: BoundStatement;
}

/** A bound text may have 2 MB. */
const PIECE_DIGITS = 1_000_000;
const NUL = "\u0000";

/** Lists the batches of a table after the first `done` rows, in the order of its key. `maxLength` bounds the text of a batch. */
export function* listBatches(
  database: DatabaseSync,
  table: PlannedTable,
  done: number,
  maxLength: number = MAX_JSON_LENGTH,
): Generator<RowBatch> {
  const { name, columns, key } = table;
  const order = key.length === 0 ? "" : ` ORDER BY ${key.map(quoteIdentifier).join(", ")}`;
  let waiting: string[] = [];
  let length = 0;
  for (const row of readRows({ source: database, table: name, columns }, `${order} LIMIT -1 OFFSET ${done}`)) {
    // SQLite's functions for JSON end a text at a NUL.
    const cells = row.map((cell) =>
      cell.kind === "text" && String(cell.data).includes(NUL) ? hexText(String(cell.data), cell.bytes) : cell,
    );
    const { json, large } = encodeRow(cells);
    if (waiting.length > 0 && (large.length > 0 || length + json.length > maxLength)) {
      yield batchOf(table, waiting, []);
      [waiting, length] = [[], 0];
    }
    if (large.length > 0) yield batchOf(table, [json], large);
    else {
      waiting.push(json);
      length += json.length;
    }
  }
  if (waiting.length > 0) yield batchOf(table, waiting, []);
}

function hexText(text: string, bytes: number) {
  const data = Buffer.from(text, "utf8");
  return { kind: "bytes" as const, json: `{"t":"${data.toString("hex")}"}`, bytes, data };
}

function batchOf(table: PlannedTable, jsonRows: readonly string[], large: readonly LargeValue[]): RowBatch {
  const params = [`[${jsonRows.join(",")}]`];
  const expressions = new Map<number, string>();
  for (const { column, data, isTextInBytes } of large) {
    if (typeof data === "string") {
      params.push(data);
      expressions.set(column, `?${params.length}`);
      continue;
    }
    const digits = Buffer.from(data).toString("hex");
    const parts: string[] = [];
    for (let start = 0; start < digits.length; start += PIECE_DIGITS) {
      params.push(digits.slice(start, start + PIECE_DIGITS));
      parts.push(`unhex(?${params.length})`);
    }
    expressions.set(column, `CAST(${parts.join(" || ")} AS ${isTextInBytes ? "TEXT" : "BLOB"})`);
  }
  const values = table.columns.map((_column, column) => expressions.get(column) ?? valueAt(column));
  const sql = `INSERT INTO ${targetOf(table)} SELECT ${values.join(", ")} FROM json_each(?1)`;
  return { rows: jsonRows.length, statement: { sql, params } };
}

/** The table and columns that receive the rows. A waiting table's row id keeps the order. */
function targetOf({ waiting, stage, columns }: PlannedTable): string {
  if (waiting !== undefined) return `${waiting} (${columns.map((_column, index) => `c${index}`).join(", ")})`;
  return `${stage} (${columns.map(quoteIdentifier).join(", ")})`;
}
