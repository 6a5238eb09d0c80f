// What fetch gives of tables: one as text, and one of its rows.
import { maskOf, visibleColumns } from "../policy/views.ts";
import { showCell } from "../sql/exact.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import { readStatement } from "../sql/statement.ts";
import { datasetUri, notFound, rowUri } from "./catalogue.ts";
import type { Catalogue, Target } from "./catalogue.ts";
import { describeTable } from "./describe-table.ts";
import type { FetchAnswer } from "./fetched.ts";
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
  const key = dataset.key === null ? [] : [`Key: ${dataset.key}. A row is fetched as ${dataset.id}/<${dataset.key}>.`];
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
    metadata: { kind: "dataset", rules: decision.rules },
  };
  return { answer, datasets: [dataset.id], rules: decision.rules };
}

/** A row by its key. Errors: `not_found`. */
export async function fetchRow(
  catalogue: Catalogue,
  { open, table, key }: Extract<Target, { kind: "row" }>,
  id: string,
): Promise<Answered<FetchAnswer>> {
  const { dataset, decision } = table;
  const columns = visibleColumns(decision, dataset);
  const keyColumn = columns.find((column) => column.name === dataset.key);
  if (keyColumn === undefined || keyColumn.disclosures.some((disclosure) => disclosure.kind !== "clear"))
    throw notFound(catalogue, id);
  // One way to write a number, so that a row has one id.
  const isInteger = keyColumn.type === "integer";
  if (isInteger && !/^(?:0|-?[1-9][0-9]{0,14})$/.test(key)) throw notFound(catalogue, id);
  const statement = readStatement(
    `SELECT * FROM ${quoteIdentifier(dataset.table)} WHERE ${quoteIdentifier(keyColumn.name)} = ?`,
  );
  const read = await open.source.read([table], statement, [isInteger ? Number(key) : key], {
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
    metadata: { kind: "row", masked, ...noteOn(untrusted), rules: decision.rules },
  };
  const marked = untrusted.map((column) => `${dataset.id}.${column}`);
  return { answer, datasets: [dataset.id], rules: decision.rules, masked, untrusted: marked, rows: 1 };
}
