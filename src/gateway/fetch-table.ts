// Fetches a table's description as text, and one of its rows by key.
import { listGrantingRules, formatMask, listVisibleColumns, listVisibleKey } from "../policy/guard-view.ts";
import type { ViewColumn } from "../policy/guard-view.ts";
import { toJsonCell } from "../sql/result-encoding.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import { parseInteger } from "../sql/parameters.ts";
import type { SqlValue } from "../sql/parameters.ts";
import { parseTrustedStatement } from "../sql/statement.ts";
import { writeName } from "../sql/name-writer.ts";
import type { VisibleTable } from "../read/source.ts";
import { datasetUri, createNotFoundDenial, rowUri } from "./visible-datasets.ts";
import type { RowTarget, TableTarget, VisibleDatasets } from "./visible-datasets.ts";
import { describeTable } from "./describe-table.ts";
import { listTableKeys, takeKeys } from "../answers/shown-keys.ts";
import { createRowTooLargeError } from "../answers/shown-rows.ts";
import type { FetchAnswer } from "../answers/fetch-answer.ts";
import { AppError } from "../errors.ts";
import { formatRowKey, parseRowKey } from "../answers/row-key.ts";
import { DeniedError } from "../audit/audit.ts";
import type { Audited } from "../audit/audit.ts";
import { fence, buildUntrustedNote, listUntrustedColumns } from "../answers/untrusted-text.ts";

/** The byte limit of a row and of each of its values. */
const MAX_VALUE_BYTES = 1_000_000;

/** Describes a table and its columns as text. */
export function fetchTable({ visible, table }: TableTarget): Audited<FetchAnswer> {
  const { dataset, decision } = table;
  const described = describeTable(table, visible.tables);
  const columns = described.columns.map(({ name: columnName, type, masked, shows, references, description }) => {
    const maskText = masked === undefined ? "" : `, masked: ${masked}, shows: ${shows}`;
    const referenceText = references === undefined ? "" : `, refers to ${references}`;
    return `- ${columnName} (${type}${maskText}${referenceText})${description === undefined ? "" : `: ${description}`}`;
  });
  const key = listFetchKey(table);
  const keyNames = key.map(({ name }) => name).join(", ");
  const keyLines = key.length === 0 ? [] : [`Key: ${keyNames}. Fetch a row as ${describeRowId(dataset.id, key)}`];
  const text = [
    ...(dataset.description === "" ? [] : [dataset.description, ""]),
    `Rows: ${described.rows}. To read: ${described.use}.`,
    ...keyLines,
    "",
    ...columns,
  ].join("\n");
  const answer = {
    id: dataset.id,
    title: `Table ${dataset.id}`,
    text,
    url: datasetUri(dataset),
    metadata: { kind: "dataset", rules: listGrantingRules(decision) },
  };
  return { answer, datasets: [dataset.id], rules: decision.rules };
}

/** Lists the key columns. Empty unless every row shows all of them in clear, because rows could not be fetched by them. */
function listFetchKey({ dataset, decision }: VisibleTable): readonly ViewColumn[] {
  const key = listVisibleKey(decision, dataset);
  return key.every((column) => formatMask(column) === null) ? key : [];
}

/** Says how to write the id of a row. */
function describeRowId(dataset: string, key: readonly ViewColumn[]): string {
  const form = `${dataset}/${key.map(({ name }) => `<${name}>`).join(",")}.`;
  return key.length === 1 ? form : `${form} In a value, write a comma as %2C and a percent sign as %25.`;
}

/**
 * Creates the error for a row of a table whose rows have no id for this user. The message is the same for a table without a key and for
 * one whose key the user does not see, which it must not reveal. The audit record has the reason.
 */
function createKeylessError({ dataset, decision }: VisibleTable): AppError {
  const message =
    `Rows of ${dataset.id} have no id here, because it shows no key. ` +
    `Read them with query: SELECT * FROM ${writeName(dataset.table)} WHERE …`;
  const error = new AppError("not_found", message);
  const columns = listVisibleColumns(decision, dataset);
  const reasons = dataset.key.flatMap((name) => {
    const column = columns.find((candidate) => candidate.name === name);
    if (column !== undefined && formatMask(column) === null) return [];
    return [`${dataset.id}.${name}: ${column === undefined ? "hidden" : "masked"}`];
  });
  return reasons.length === 0 ? error : new DeniedError(error, reasons, decision.rules);
}

interface KeyCondition {
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

/** Builds the condition for exactly this row. Undefined if a value is none of its column's type. */
function parseKeyCondition(key: readonly ViewColumn[], values: readonly string[]): KeyCondition | undefined {
  const conditions = key.flatMap((column, index) => parseValueCondition(column, values[index] ?? "") ?? []);
  if (conditions.length < key.length) return undefined;
  return {
    sql: conditions.map(({ sql }) => sql).join(" AND "),
    values: conditions.flatMap((condition) => condition.values),
  };
}

/** Builds the condition for exactly this value, so that a row has one id. Undefined if the text is no value of the column's type. */
function parseValueCondition({ name, type }: ViewColumn, key: string): KeyCondition | undefined {
  const column = quoteIdentifier(name);
  if (type === "integer") {
    const value = parseInteger(key);
    return value === undefined ? undefined : { sql: `${column} = ?`, values: [value] };
  }
  if (type === "real" || type === "boolean") return { sql: `${column} = ?`, values: [key] };
  // The column may compare other keys as equal (NOCASE, RTRIM, numeric affinity); the second comparison excludes them.
  return { sql: `${column} = ? AND CAST(${column} AS TEXT) = ? COLLATE BINARY`, values: [key, key] };
}

/** Fetches a row by its key. Errors: `not_found`, and `limit_reached` for a row that is too large. */
export async function fetchRow(
  datasets: VisibleDatasets,
  { visible, table, key }: RowTarget,
  id: string,
): Promise<Audited<FetchAnswer>> {
  const { dataset, decision } = table;
  const columns = listVisibleColumns(decision, dataset);
  const keyColumns = listFetchKey(table);
  if (keyColumns.length === 0) throw createKeylessError(table);
  const keyValues = parseRowKey(key, keyColumns.length);
  const isNumberedOnce = keyColumns.length === 1 && keyColumns[0]?.type === "integer";
  if (keyValues === undefined || (isNumberedOnce && key.includes(",")))
    throw new AppError(
      "invalid_input",
      `${JSON.stringify(id)} does not have the form of an id of this table: ${describeRowId(dataset.id, keyColumns)}`,
    );
  const rowKey = formatRowKey(keyValues);
  const keyCondition = parseKeyCondition(keyColumns, keyValues);
  if (keyCondition === undefined) throw createNotFoundDenial(datasets, id);
  const statement = parseTrustedStatement(`SELECT * FROM ${quoteIdentifier(dataset.table)} WHERE ${keyCondition.sql}`);
  const read = await visible.source.read([table], statement, keyCondition.values, {
    maxReadRows: 1,
    maxValueBytes: MAX_VALUE_BYTES,
    maxTotalBytes: MAX_VALUE_BYTES,
    // A user who names a row wants its current values, not those of a replica.
    bookmark: "first-primary",
  });
  if (read.isCutBySize) throw createRowTooLargeError(MAX_VALUE_BYTES, read.wideCell);
  const [row] = read.rows;
  if (row === undefined) throw createNotFoundDenial(datasets, id);
  const untrusted = listUntrustedColumns(table);
  const values = Object.fromEntries(
    read.columns.map((column, index) => {
      const value = toJsonCell(row[index] ?? null);
      return [column, typeof value === "string" && untrusted.includes(column) ? fence(value) : value];
    }),
  );
  const masked = columns.flatMap((column) => {
    const mask = formatMask(column);
    return mask === null ? [] : [`${dataset.id}.${column.name}:${mask}`];
  });
  const answer = {
    id: `${dataset.id}/${rowKey}`,
    title: `${dataset.id} ${rowKey}`,
    text: JSON.stringify(values, null, 1),
    url: rowUri(dataset, rowKey),
    metadata: { kind: "row", masked, ...buildUntrustedNote(untrusted), rules: listGrantingRules(decision) },
  };
  const untrustedNames = untrusted.map((column) => `${dataset.id}.${column}`);
  return {
    answer,
    datasets: [dataset.id],
    rules: decision.rules,
    columns: columns.map(({ name }) => `${dataset.id}.${name}`),
    keys: takeKeys(listTableKeys(table), read.columns, [row]),
    masked,
    untrusted: untrustedNames,
    rows: 1,
  };
}
