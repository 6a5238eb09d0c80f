// What fetch gives of documents: one as text, and what there is. One that is a table is kept besides, as a result that
// queries can use; like any result it is gone with the grant under which it was read.
import { tabulate } from "../sources/tabular.ts";
import type { TableBounds, Tabulated } from "../sources/tabular.ts";
import type { GovernedDocument } from "../sources/source.ts";
import { grantingRules } from "../policy/views.ts";
import { sha256Hex } from "../lib/crypto.ts";
import { documentUri, notFound } from "./catalogue.ts";
import type { Catalogue, OpenDocuments } from "./catalogue.ts";
import { totalText } from "./shown-rows.ts";
import type { FetchAnswer } from "./fetched.ts";
import { FREE_FORM } from "./lineage.ts";
import type { Answered } from "./recorded.ts";
import { columnsOf } from "./results.ts";
import { fence, noteOn } from "./untrusted.ts";
import { columnOf } from "./workspace.ts";
import type { WorkspaceAccess } from "./workspace.ts";

/** Documents that the text of a document source lists. */
const MAX_LISTED = 200;

/** A document by its key. `bounds` of null keeps nothing of it. Errors: `not_found`. */
export async function fetchDocument(
  catalogue: Catalogue,
  workspace: WorkspaceAccess,
  { open, key }: { readonly open: OpenDocuments; readonly key: string },
  id: string,
  bounds: TableBounds | null,
): Promise<Answered<FetchAnswer>> {
  const { dataset, decision } = open;
  const [document] = await open.source.read(decision, [key]);
  if (document === undefined) throw notFound(catalogue, id);
  const untrusted = dataset.untrusted ? [dataset.id] : [];
  const table = bounds === null ? undefined : tabulate(document, bounds);
  const kept = table === undefined ? undefined : await keepTable(workspace, open, document, table);
  const answer = {
    id: `${dataset.id}/${key}`,
    title: dataset.untrusted ? fence(document.title) : document.title,
    text: dataset.untrusted ? fence(document.text) : document.text,
    url: documentUri(dataset, key),
    metadata: { kind: "document", ...kept, ...noteOn(untrusted), rules: grantingRules(decision) },
  };
  const result = kept !== undefined && "result" in kept ? { result: kept.result } : {};
  return { answer, datasets: [dataset.id], rules: decision.rules, untrusted, rows: 1, ...result };
}

type KeptTable =
  | {
      readonly result: string;
      /** Rows that are kept. */
      readonly rows: number;
      readonly columns: readonly string[];
      readonly use: string;
      /** Why rows are missing; absent when none are. */
      readonly cut?: string;
    }
  | { readonly table: string };

async function keepTable(
  workspace: WorkspaceAccess,
  { dataset, decision }: OpenDocuments,
  document: GovernedDocument,
  table: Tabulated,
): Promise<KeptTable> {
  if (table.kind === "problem") return { table: `Not kept as a table: ${table.problem}.` };
  // Names that outsiders gave would stand unfenced in every answer of a query.
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
    more: table.more,
  };
  // Fetched again as it was, it is the result that it was.
  const known = (await workspace.open()).results.find(
    (one) => one.origin.source === origin.source && one.origin.sql === origin.sql,
  );
  const { id, kept } =
    known === undefined
      ? await workspace.keep({ columns, rows: table.rows, origin })
      : { id: known.id, kept: known.rows };
  const shown = columnsOf({ columns: columns.map((name, index) => columnOf(name, table.rows, index)) });
  return {
    result: id,
    rows: kept,
    columns: shown.map(({ name, type }, index) =>
      dataset.untrusted ? `${name}: ${type}, titled ${fence(table.titles[index] ?? "")}` : `${name}: ${type}`,
    ),
    use: `query with source "workspace" and the table ${id}`,
    ...(table.more || kept < table.rows.length ? { cut: `${kept} of ${totalText(origin)} rows are kept.` } : {}),
  };
}

/** The documents of a source by their names. */
export async function listDocuments({ source, dataset, decision }: OpenDocuments): Promise<Answered<FetchAnswer>> {
  const { keys, more } = await source.keys(decision, MAX_LISTED);
  const lines = keys.map((key) => `- ${dataset.id}/${key}`);
  const rest = more ? [`Only the first ${MAX_LISTED} documents are listed; search finds the others.`] : [];
  const answer = {
    id: dataset.id,
    title: source.declaration.title,
    text: [dataset.description, "", ...lines, ...rest].join("\n"),
    url: `gatehouse://document/${encodeURIComponent(dataset.source)}`,
    metadata: { kind: "documents", rules: grantingRules(decision) },
  };
  return { answer, datasets: [dataset.id], rules: decision.rules, cut: more };
}
