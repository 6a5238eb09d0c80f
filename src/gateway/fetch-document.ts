// Fetches documents as text, and lists the documents of a source. A tabular document (CSV, JSON, JSON Lines) is also stored as a
// result that queries can use; like any result, it is deleted when the grant that it was read under is gone.
import { parseTabularDocument } from "../documents/tabular-document.ts";
import type { TableLimits, TabularDocument } from "../documents/tabular-document.ts";
import type { GovernedDocument, GovernedRow } from "../read/source.ts";
import { listGrantingRules } from "../policy/guard-view.ts";
import { sha256Hex } from "../lib/crypto.ts";
import { documentUri, createNotFoundDenial } from "./visible-datasets.ts";
import type { VisibleDatasets, VisibleDocuments } from "./visible-datasets.ts";
import { formatTotal, formatWideCell } from "../answers/shown-rows.ts";
import type { FetchAnswer } from "../answers/fetch-answer.ts";
import { FREE_FORM } from "../results/lineage.ts";
import type { Audited } from "../audit/audit.ts";
import { describeResultColumns } from "../results/stored-results.ts";
import { fence, buildUntrustedNote } from "../answers/untrusted-text.ts";
import { buildResultColumn } from "../results/stored-columns.ts";
import type { WorkspaceAccess } from "../results/workspace-access.ts";

/** The most documents that the text of a document source lists. */
const MAX_LISTED_DOCUMENTS = 200;

/**
 * How tables are read. Raise it with each change of their types or values: a result that an earlier version of Gatehouse stored is then
 * not taken for the table of today.
 */
const TABLE_FORM = 2;

/** Fetches a document by its key. `tableLimits` of null stores no result. Errors: `not_found`. */
export async function fetchDocument(
  datasets: VisibleDatasets,
  workspace: WorkspaceAccess,
  { visible, key }: { readonly visible: VisibleDocuments; readonly key: string },
  id: string,
  tableLimits: TableLimits | null,
): Promise<Audited<FetchAnswer>> {
  const { dataset, decision } = visible;
  const [document] = await visible.source.read(decision, [key]);
  if (document === undefined) throw createNotFoundDenial(datasets, id);
  const untrusted = dataset.untrusted ? [dataset.id] : [];
  const table = tableLimits === null ? undefined : parseTabularDocument(document, tableLimits);
  const prepared = table === undefined ? undefined : await prepareTable(workspace, visible, document, table);
  const answer = {
    id: `${dataset.id}/${key}`,
    title: dataset.untrusted ? fence(document.title) : document.title,
    text: dataset.untrusted ? fence(document.text) : document.text,
    url: documentUri(dataset, key),
    metadata: {
      kind: "document",
      ...(document.encoding === undefined ? {} : { encoding: describeTextEncoding(document.encoding) }),
      ...prepared?.metadata,
      ...buildUntrustedNote(untrusted),
      rules: listGrantingRules(decision),
    },
  };
  return { answer, datasets: [dataset.id], rules: decision.rules, untrusted, rows: 1, ...prepared?.audited };
}

/** Says how bytes were read that are not UTF-8: another single-byte encoding would give other letters. */
function describeTextEncoding(encoding: string): string {
  return `Read as ${encoding}, because it is not UTF-8. If letters look wrong, store it as UTF-8.`;
}

type StorableTable = Extract<TabularDocument, { readonly kind: "table" }>;

type StoredTable =
  | {
      readonly result: string;
      /** Stored rows. */
      readonly rows: number;
      readonly columns: readonly string[];
      readonly use: string;
      /** How many values of which columns are NULL; absent if none are. */
      readonly missing?: readonly string[];
      /** How many rows are missing; absent if none are. */
      readonly cut?: string;
    }
  | { readonly table: string };

/** A table in a document's answer, which is stored while the answer's audit record is written. */
interface PreparedTable {
  readonly metadata: StoredTable;
  readonly audited: Pick<Audited<unknown>, "result" | "keep">;
}

/** Lists how many stored values of each column are NULL; empty if none are. */
function listMissing(columns: readonly string[], rows: readonly GovernedRow[]): readonly string[] {
  return columns.flatMap((name, index) => {
    const missing = rows.filter((row) => (row[index] ?? null) === null).length;
    return missing === 0 ? [] : [`${name}: ${missing} of ${rows.length}`];
  });
}

async function prepareTable(
  workspace: WorkspaceAccess,
  { dataset, decision }: VisibleDocuments,
  document: GovernedDocument,
  table: TabularDocument,
): Promise<PreparedTable> {
  if (table.kind === "problem") return { metadata: { table: `Not stored as a table: ${table.problem}.` }, audited: {} };
  // Column names are never fenced in query answers, so names that outsiders chose could carry a prompt injection.
  const columns = dataset.untrusted ? table.titles.map((_title, index) => `column_${index + 1}`) : table.columns;
  const version = (await sha256Hex(`${TABLE_FORM}:${document.text}`)).slice(0, 8);
  const origin = {
    source: dataset.source,
    sql: `document ${document.key}, version ${version}`,
    lineage: [{ by: FREE_FORM, reads: [{ dataset: dataset.id, grants: decision.grants }] }],
    rules: decision.rules,
    restricted: [],
    columns: [],
    masked: [],
    untrusted: dataset.untrusted ? [dataset.id] : [],
    incomplete: [],
    inexact: [],
    keys: [],
    read: table.rows.length,
    more: table.hasMore,
  };
  // An unchanged document that is fetched again keeps its result.
  const existingResult = (await workspace.open()).results.find(
    (result) => result.origin.source === origin.source && result.origin.sql === origin.sql,
  );
  const labels = { masked: [], untrusted: origin.untrusted, inexact: [] };
  const storedColumns = columns.map((name, index) =>
    buildResultColumn(name, table.rows, index, { affinity: table.types[index] ?? "BLOB", collation: "BINARY" }, labels),
  );
  const { id, storedRows, ...storing } =
    existingResult === undefined
      ? workspace.prepareResult({ columns: storedColumns, rows: table.rows, origin })
      : { id: existingResult.id, storedRows: existingResult.rows };
  const missing = listMissing(columns, table.rows.slice(0, storedRows));
  const describedColumns = describeResultColumns({ columns: storedColumns });
  const metadata = {
    result: id,
    rows: storedRows,
    columns: describedColumns.map(({ name, type }, index) =>
      dataset.untrusted ? `${name}: ${type}, titled ${fence(table.titles[index] ?? "")}` : `${name}: ${type}`,
    ),
    use: `query with source "workspace" and the table ${id}`,
    ...(missing.length > 0 ? { missing } : {}),
    ...(table.hasMore || storedRows < table.rows.length
      ? { cut: `${storedRows} of ${formatTotal(origin)} rows are stored.${describeWideCell(table, columns)}` }
      : {}),
  };
  return { metadata, audited: { result: id, ...storing } };
}

/** Names the cell for which later rows are not stored; empty if there is none. `names` are the columns as the result names them. */
function describeWideCell({ wideCell, columns }: StorableTable, names: readonly string[]): string {
  if (wideCell === null) return "";
  const column = names[columns.indexOf(wideCell.column)] ?? "";
  return ` ${formatWideCell({ ...wideCell, column })}, too many for one value.`;
}

/** Lists the documents of a source by id. */
export async function listDocuments({ source, dataset, decision }: VisibleDocuments): Promise<Audited<FetchAnswer>> {
  const { keys, hasMore } = await source.listKeys(decision, MAX_LISTED_DOCUMENTS);
  const lines = keys.map((key) => `- ${dataset.id}/${key}`);
  const rest = hasMore ? [`Only the first ${MAX_LISTED_DOCUMENTS} documents are listed; search finds the others.`] : [];
  const answer = {
    id: dataset.id,
    title: source.declaration.title,
    text: [dataset.description, "", ...lines, ...rest].join("\n"),
    url: `gatehouse://document/${encodeURIComponent(dataset.source)}`,
    metadata: { kind: "documents", rules: listGrantingRules(decision) },
  };
  return { answer, datasets: [dataset.id], rules: decision.rules, cut: hasMore };
}
