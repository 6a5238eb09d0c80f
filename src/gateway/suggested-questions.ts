// Suggests questions that the data can answer for one user, worded for their assistant. They come from the columns that the
// user sees and from a sample of rows, so no question is about a masked, hidden or empty column.
import { shortenText } from "../lib/text-cut.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import { parseStatement } from "../sql/statement.ts";
import type { Cell } from "../sql/result-encoding.ts";
import { formatMask, listVisibleColumns, listVisibleKey } from "../policy/guard-view.ts";
import type { ViewColumn } from "../policy/guard-view.ts";
import type { VisibleTable, TableSource } from "../read/source.ts";
import type { VisibleDocuments } from "./visible-datasets.ts";

/** Sample sizes per table and per document source. */
const SAMPLE_ROWS = 200;
const SAMPLE_DOCUMENTS = 10;
const MAX_COLUMNS = 8;
/** A column with more distinct values is no grouping. */
const MAX_GROUPS = 12;
const MAX_NAME_CHARACTERS = 60;
const MAX_SAMPLE_BYTES = 100_000;
const MAX_VALUE_BYTES = 1000;

/** What a user can ask about a table, judged by a sample of its rows. */
interface TableTopics {
  /** The table's name in words, such as `order items`. */
  readonly things: string;
  /** One column name in words per kind; undefined if no column of the kind is suitable. */
  readonly group: string | undefined;
  readonly time: string | undefined;
  readonly number: string | undefined;
}

/** Lists the columns that a question may name: in clear on every row, no key, no reference, no text that outsiders write. */
function listQuestionColumns({ dataset, decision }: VisibleTable): readonly ViewColumn[] {
  const declared = new Map(dataset.columns.map((column) => [column.name, column]));
  return listVisibleColumns(decision, dataset)
    .filter((column) => {
      const { references = null, untrusted = false } = declared.get(column.name) ?? {};
      const isIdentifier = dataset.key.includes(column.name) || references !== null || /(?:^|_)id$/i.test(column.name);
      return formatMask(column) === null && !isIdentifier && !untrusted;
    })
    .slice(0, MAX_COLUMNS);
}

/** Scores how promising a table is before sampling it: a visible key and each kind of column (group, time, number) add one. */
export function scoreTable(table: VisibleTable): number {
  const kinds = listQuestionColumns(table).map(({ type }) => classifyColumn(type));
  return (
    new Set(kinds.filter((kind) => kind !== "other")).size +
    (listVisibleKey(table.decision, table.dataset).length === 0 ? 0 : 1)
  );
}

/** Samples the first rows of a table. Undefined if it has no rows. Errors: those of `TableSource.read`. */
export async function findTopics(source: TableSource, table: VisibleTable): Promise<TableTopics | undefined> {
  const columns = listQuestionColumns(table);
  const columnList = columns.map(({ name }) => quoteIdentifier(name)).join(", ") || "1";
  const sql = `SELECT ${columnList} FROM ${quoteIdentifier(table.dataset.table)} LIMIT ${SAMPLE_ROWS}`;
  const { rows } = await source.read([table], parseStatement(sql), [], {
    maxReadRows: SAMPLE_ROWS,
    maxValueBytes: MAX_VALUE_BYTES,
    maxTotalBytes: MAX_SAMPLE_BYTES,
    bookmark: null,
  });
  if (rows.length === 0) return undefined;
  const findColumn = (kind: ColumnKind, isSuitable: (values: readonly Cell[]) => boolean): string | undefined => {
    const index = columns.findIndex(
      ({ type }, at) =>
        classifyColumn(type) === kind &&
        isSuitable(rows.map((row) => row[at] ?? null).filter((value) => value !== null)),
    );
    const column = columns[index];
    return column === undefined ? undefined : humanizeName(column.name);
  };
  return {
    things: humanizeName(table.dataset.table),
    group: findColumn("group", isGrouping),
    time: findColumn("time", (values) =>
      values.some((value) => typeof value === "string" && /^\d{4}-\d{2}/.test(value)),
    ),
    number: findColumn("number", (values) => values.some((value) => typeof value === "number")),
  };
}

/** Builds questions about a table, the most specific first. */
export function buildTableQuestions({ things, group, time, number }: TableTopics): readonly string[] {
  return [
    ...(group === undefined ? [] : [`How many ${things} are there, by ${group}?`]),
    ...(time === undefined ? [] : [`How has the number of ${things} changed from month to month, going by ${time}?`]),
    ...(number === undefined ? [] : [`What are the lowest, the average and the highest ${number} of ${things}?`]),
    `How many ${things} are there?`,
  ];
}

/** Builds a question about one of the documents; undefined if there are no documents. Errors: those of `DocumentSource`. */
export async function buildDocumentQuestion({
  source,
  dataset,
  decision,
}: VisibleDocuments): Promise<string | undefined> {
  const { title } = source.declaration;
  const { keys } = await source.listKeys(decision, SAMPLE_DOCUMENTS);
  const documents = await source.read(decision, keys);
  const titledDocument = documents.find((document) => document.title !== document.key) ?? documents[0];
  if (titledDocument === undefined) return undefined;
  // A title that outsiders wrote could carry a prompt injection into a question that the user passes to their assistant.
  if (dataset.untrusted) return `What are the documents of “${title}” about?`;
  return `What does “${title}” say about “${truncate(titledDocument.title)}”?`;
}

type ColumnKind = "group" | "time" | "number" | "other";

function classifyColumn(type: ViewColumn["type"]): ColumnKind {
  switch (type) {
    case "text":
      return "group";
    case "date":
    case "datetime":
      return "time";
    case "integer":
    case "real":
      return "number";
    case "boolean":
    case "json":
      return "other";
  }
}

/** Whether a sample has few, short, repeated values. */
function isGrouping(values: readonly Cell[]): boolean {
  const distinct = new Set(values);
  const isShort = [...distinct].every(
    (value) => typeof value === "string" && value !== "" && value.length <= MAX_NAME_CHARACTERS,
  );
  return isShort && distinct.size >= 2 && distinct.size <= MAX_GROUPS && values.length >= 2 * distinct.size;
}

/** Turns `order_items` and `orderItems` into `order items`. */
function humanizeName(name: string): string {
  const words = name.replaceAll(/([a-z0-9])([A-Z])/g, "$1 $2").replaceAll(/[_\-\s]+/g, " ");
  return truncate(words.trim().toLowerCase() || name);
}

function truncate(text: string): string {
  return shortenText(text, MAX_NAME_CHARACTERS);
}
