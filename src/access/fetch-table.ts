// What fetch gives of tables: one as text, and one of its rows.
import { grantingRules, maskOf, visibleColumns, visibleKey } from "../policy/views.ts";
import type { ViewColumn } from "../policy/views.ts";
import { showCell } from "../sql/exact.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import type { SqlValue } from "../sql/parameters.ts";
import { readStatement } from "../sql/statement.ts";
import type { OpenTable } from "../sources/source.ts";
import { datasetUri, notFound, rowUri } from "./catalogue.ts";
import type { Catalogue, Target } from "./catalogue.ts";
import { describeTable } from "./describe-table.ts";
import type { FetchAnswer } from "./fetched.ts";
import { Denied } from "./recorded.ts";
import type { Answered } from "./recorded.ts";
import { fence, noteOn, untrustedColumnsOf } from "./untrusted.ts";

/** Bytes of a value of a row at most. */
const MAX_VALUE_BYTES = 1_000_000;

/** A table as text: what it is and its columns. */
export function fetchTable({ open, table }: Extract<Target, { kind: "table" }>): Answered<FetchAnswer> {
  const { dataset, decision } = table;
  const described = describeTable(table, open.tables);
  const columns = described.columns.map(
    (column) =>
      `- ${column.name} (${column.type}${column.masked === undefined ? "" : `, masked: ${column.masked}`}${column.references === undefined ? "" : `, refers to ${column.references}`}): ${column.description}`,
  );
  const name = fetchKeyOf(table)?.name;
  const key = name === undefined ? [] : [`Key: ${name}. A row is fetched as ${dataset.id}/<${name}>.`];
  const text = [
    dataset.description,
    "",
    `Rows: ${described.rows}. To read: ${described.use}.`,
    ...key,
    "",
    ...columns,
  ].join("\n");
  const answer = {
    id: dataset.id,
    title: `Table ${dataset.id}`,
    text,
    url: datasetUri(dataset),
    metadata: { kind: "dataset", rules: grantingRules(decision) },
  };
  return { answer, datasets: [dataset.id], rules: decision.rules };
}

/** The key column, if rows can be fetched by it: every row must show it in clear. */
function fetchKeyOf({ dataset, decision }: OpenTable): ViewColumn | undefined {
  const key = visibleKey(decision, dataset);
  return key === undefined || maskOf(key) !== null ? undefined : key;
}

/** The refusal with what its text must not say: that there is a key which this user does not see. */
function explainHiddenKey(refusal: Denied, { dataset, decision }: OpenTable): Denied {
  if (dataset.key === null) return refusal;
  const key = visibleKey(decision, dataset);
  const reason = key === undefined ? "hidden" : "masked";
  return new Denied(refusal, [...refusal.denials, `${dataset.id}.${dataset.key}: ${reason}`], decision.rules);
}

interface KeyCondition {
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

/** The condition for the row that has exactly this key, so that a row has one id. Undefined for what is no key of this type. */
function parseKey({ name, type }: ViewColumn, key: string): KeyCondition | undefined {
  const column = quoteIdentifier(name);
  if (type === "integer")
    return /^(?:0|-?[1-9][0-9]{0,14})$/.test(key) ? { sql: `${column} = ?`, values: [Number(key)] } : undefined;
  if (type === "real" || type === "boolean") return { sql: `${column} = ?`, values: [key] };
  // The column may call others equal: by NOCASE or RTRIM, or as numbers.
  return { sql: `${column} = ? AND CAST(${column} AS TEXT) = ? COLLATE BINARY`, values: [key, key] };
}

/** A row by its key. Errors: `not_found`. */
export async function fetchRow(
  catalogue: Catalogue,
  { open, table, key }: Extract<Target, { kind: "row" }>,
  id: string,
): Promise<Answered<FetchAnswer>> {
  const { dataset, decision } = table;
  const columns = visibleColumns(decision, dataset);
  const keyColumn = fetchKeyOf(table);
  if (keyColumn === undefined) throw explainHiddenKey(notFound(catalogue, id), table);
  const wanted = parseKey(keyColumn, key);
  if (wanted === undefined) throw notFound(catalogue, id);
  const statement = readStatement(`SELECT * FROM ${quoteIdentifier(dataset.table)} WHERE ${wanted.sql}`);
  const read = await open.source.read([table], statement, wanted.values, {
    maxRows: 1,
    maxValueBytes: MAX_VALUE_BYTES,
    maxTotalBytes: MAX_VALUE_BYTES,
    // A row that somebody names is wanted as it is now.
    bookmark: "first-primary",
  });
  const [row] = read.rows;
  if (row === undefined) throw notFound(catalogue, id);
  const untrusted = untrustedColumnsOf(table);
  const values = Object.fromEntries(
    read.columns.map((column, index) => {
      const value = showCell(row[index] ?? null);
      return [column, typeof value === "string" && untrusted.includes(column) ? fence(value) : value];
    }),
  );
  const masked = columns.flatMap((column) => {
    const mask = maskOf(column);
    return mask === null ? [] : [`${dataset.id}.${column.name}:${mask}`];
  });
  const answer = {
    id: `${dataset.id}/${key}`,
    title: `${dataset.id} ${key}`,
    text: JSON.stringify(values, null, 1),
    url: rowUri(dataset, key),
    metadata: { kind: "row", masked, ...noteOn(untrusted), rules: grantingRules(decision) },
  };
  const marked = untrusted.map((column) => `${dataset.id}.${column}`);
  return { answer, datasets: [dataset.id], rules: decision.rules, masked, untrusted: marked, rows: 1 };
}
