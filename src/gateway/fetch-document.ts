// Fetches documents as text, and lists the documents of a source. A tabular document (CSV or a JSON array) is also stored as a
// result that queries can use; like any result, it is deleted when the grant that it was read under is gone.
import { parseTabularDocument } from "../documents/tabular-document.ts";
import type { TableLimits, TabularDocument } from "../documents/tabular-document.ts";
import type { GovernedDocument } from "../read/source.ts";
import { listGrantingRules } from "../policy/guard-view.ts";
import { sha256Hex } from "../lib/crypto.ts";
import { documentUri, createNotFoundDenial } from "./visible-datasets.ts";
import type { VisibleDatasets, VisibleDocuments } from "./visible-datasets.ts";
import { formatTotal } from "../answers/shown-rows.ts";
import type { FetchAnswer } from "../answers/fetch-answer.ts";
import { FREE_FORM } from "../results/lineage.ts";
import type { Audited } from "../audit/audit.ts";
import { describeResultColumns } from "../results/stored-results.ts";
import { fence, buildUntrustedNote } from "../answers/untrusted-text.ts";
import { buildResultColumn } from "../results/workspace-access.ts";
import type { WorkspaceAccess } from "../results/workspace-access.ts";

/** The most documents that the text of a document source lists. */
const MAX_LISTED_DOCUMENTS = 200;

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
  const storedTable = table === undefined ? undefined : await storeTable(workspace, visible, document, table);
  const answer = {
    id: `${dataset.id}/${key}`,
    title: dataset.untrusted ? fence(document.title) : document.title,
    text: dataset.untrusted ? fence(document.text) : document.text,
    url: documentUri(dataset, key),
    metadata: {
      kind: "document",
      ...storedTable,
      ...buildUntrustedNote(untrusted),
      rules: listGrantingRules(decision),
    },
  };
  const result = storedTable !== undefined && "result" in storedTable ? { result: storedTable.result } : {};
  return { answer, datasets: [dataset.id], rules: decision.rules, untrusted, rows: 1, ...result };
}

type StoredTable =
  | {
      readonly result: string;
      /** Stored rows. */
      readonly rows: number;
      readonly columns: readonly string[];
      readonly use: string;
      /** How many rows are missing; absent if none are. */
      readonly cut?: string;
    }
  | { readonly table: string };

async function storeTable(
  workspace: WorkspaceAccess,
  { dataset, decision }: VisibleDocuments,
  document: GovernedDocument,
  table: TabularDocument,
): Promise<StoredTable> {
  if (table.kind === "problem") return { table: `Not stored as a table: ${table.problem}.` };
  // Column names are never fenced in query answers, so names that outsiders chose could carry a prompt injection.
  const columns = dataset.untrusted ? table.titles.map((_title, index) => `column_${index + 1}`) : table.columns;
  const version = (await sha256Hex(document.text)).slice(0, 8);
  const origin = {
    source: dataset.source,
    sql: `document ${document.key}, version ${version}`,
    lineage: [{ by: FREE_FORM, reads: [{ dataset: dataset.id, grants: decision.grants }] }],
    rules: decision.rules,
    restricted: [],
    masked: [],
    untrusted: dataset.untrusted ? [dataset.id] : [],
    incomplete: [],
    read: table.rows.length,
    more: table.hasMore,
  };
  // An unchanged document that is fetched again keeps its result.
  const existingResult = (await workspace.open()).results.find(
    (result) => result.origin.source === origin.source && result.origin.sql === origin.sql,
  );
  const { id, storedRows } =
    existingResult === undefined
      ? await workspace.store({ columns, rows: table.rows, origin })
      : { id: existingResult.id, storedRows: existingResult.rows };
  const describedColumns = describeResultColumns({
    columns: columns.map((name, index) => buildResultColumn(name, table.rows, index)),
  });
  return {
    result: id,
    rows: storedRows,
    columns: describedColumns.map(({ name, type }, index) =>
      dataset.untrusted ? `${name}: ${type}, titled ${fence(table.titles[index] ?? "")}` : `${name}: ${type}`,
    ),
    use: `query with source "workspace" and the table ${id}`,
    ...(table.hasMore || storedRows < table.rows.length
      ? { cut: `${storedRows} of ${formatTotal(origin)} rows are stored.` }
      : {}),
  };
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
