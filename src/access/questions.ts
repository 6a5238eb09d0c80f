// Questions that the data present can answer for one person, in words that they can give to their assistant. Made from what
// the policy opens to them and held against a few rows: no question is about a column that is masked, hidden or empty.
import { quoteIdentifier } from "../sql/identifier.ts";
import { parseStatement } from "../sql/statement.ts";
import type { Cell } from "../sql/exact.ts";
import { maskOf, visibleColumns, visibleKey } from "../policy/views.ts";
import type { ViewColumn } from "../policy/views.ts";
import type { OpenTable, TableSource } from "../sources/source.ts";
import type { OpenDocuments } from "./catalogue.ts";

/** Rows and documents that are looked at. */
const SAMPLE_ROWS = 200;
const SAMPLE_DOCUMENTS = 10;
const MAX_COLUMNS = 8;
/** A column with more values than these is no grouping. */
const MAX_GROUPS = 12;
const MAX_NAME = 60;
const SAMPLE_BYTES = 100_000;
const VALUE_BYTES = 1000;

/** What a few rows of a table show that one can ask. */
export interface TableTopics {
  /** In words, for one who knows no tables: `order items`. */
  readonly things: string;
  /** Columns in words; undefined where the table has none of the kind. */
  readonly group: string | undefined;
  readonly time: string | undefined;
  readonly number: string | undefined;
}

/** Columns that a question may name: shown in clear on every row, no key, no reference, nothing that outsiders write. */
export function askableColumns({ dataset, decision }: OpenTable): readonly ViewColumn[] {
  const declared = new Map(dataset.columns.map((column) => [column.name, column]));
  return visibleColumns(decision, dataset)
    .filter((column) => {
      const { references = null, untrusted = false } = declared.get(column.name) ?? {};
      const isNumbering = column.name === dataset.key || references !== null || /(?:^|_)id$/i.test(column.name);
      return maskOf(column) === null && !isNumbering && !untrusted;
    })
    .slice(0, MAX_COLUMNS);
}

/** How much a table promises before it is looked at: one of single things, with groups, a time and a number, comes first. */
export function promiseOf(table: OpenTable): number {
  const kinds = askableColumns(table).map(({ type }) => kindOf(type));
  return (
    new Set(kinds.filter((kind) => kind !== "other")).size +
    (visibleKey(table.decision, table.dataset) === undefined ? 0 : 1)
  );
}

/** Looks at the first rows. Undefined for a table without any. Errors: those of `TableSource.read`. */
export async function topicsOf(source: TableSource, table: OpenTable): Promise<TableTopics | undefined> {
  const columns = askableColumns(table);
  const list = columns.map(({ name }) => quoteIdentifier(name)).join(", ") || "1";
  const sql = `SELECT ${list} FROM ${quoteIdentifier(table.dataset.table)} LIMIT ${SAMPLE_ROWS}`;
  const { rows } = await source.read([table], parseStatement(sql), [], {
    maxRows: SAMPLE_ROWS,
    maxValueBytes: VALUE_BYTES,
    maxTotalBytes: SAMPLE_BYTES,
    bookmark: null,
  });
  if (rows.length === 0) return undefined;
  const find = (kind: ColumnKind, fits: (values: readonly Cell[]) => boolean): string | undefined => {
    const index = columns.findIndex(
      ({ type }, at) =>
        kindOf(type) === kind && fits(rows.map((row) => row[at] ?? null).filter((value) => value !== null)),
    );
    const column = columns[index];
    return column === undefined ? undefined : inWords(column.name);
  };
  return {
    things: inWords(table.dataset.table),
    group: find("group", isGrouping),
    time: find("time", (values) => values.some((value) => typeof value === "string" && /^\d{4}-\d{2}/.test(value))),
    number: find("number", (values) => values.some((value) => typeof value === "number")),
  };
}

/** Questions about a table, the most telling first. */
export function questionsAbout({ things, group, time, number }: TableTopics): readonly string[] {
  return [
    ...(group === undefined ? [] : [`How many ${things} are there, by ${group}?`]),
    ...(time === undefined ? [] : [`How has the number of ${things} changed from month to month, going by ${time}?`]),
    ...(number === undefined ? [] : [`What are the lowest, the average and the highest ${number} of ${things}?`]),
    `How many ${things} are there?`,
  ];
}

/** A question that one of the documents answers; undefined where there is none. Errors: those of `DocumentSource`. */
export async function documentQuestion({ source, dataset, decision }: OpenDocuments): Promise<string | undefined> {
  const { title } = source.declaration;
  const { keys } = await source.keys(decision, SAMPLE_DOCUMENTS);
  const documents = await source.read(decision, keys);
  const named = documents.find((document) => document.title !== document.key) ?? documents[0];
  if (named === undefined) return undefined;
  // What outsiders wrote is not put into a sentence that a person will hand to their assistant.
  if (dataset.untrusted) return `What are the documents of “${title}” about?`;
  return `What does “${title}” say about “${shortened(named.title)}”?`;
}

type ColumnKind = "group" | "time" | "number" | "other";

function kindOf(type: ViewColumn["type"]): ColumnKind {
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

/** Few short values that come again and again. */
function isGrouping(values: readonly Cell[]): boolean {
  const distinct = new Set(values);
  const isShort = [...distinct].every((value) => typeof value === "string" && value !== "" && value.length <= MAX_NAME);
  return isShort && distinct.size >= 2 && distinct.size <= MAX_GROUPS && values.length >= 2 * distinct.size;
}

/** `order_items` and `orderItems` as `order items`. */
function inWords(name: string): string {
  const words = name.replaceAll(/([a-z0-9])([A-Z])/g, "$1 $2").replaceAll(/[_\-\s]+/g, " ");
  return shortened(words.trim().toLowerCase() || name);
}

function shortened(text: string): string {
  return text.length <= MAX_NAME ? text : `${text.slice(0, MAX_NAME - 1).toWellFormed()}…`;
}
