// The sources and datasets that a subject may read under today's policy. Every operation starts from this list, so it cannot
// name anything that was not granted.
import { evaluate } from "../policy/evaluate.ts";
import { AppError } from "../errors.ts";
import type {
  AllowedDecision,
  Dataset,
  DeniedDecision,
  DocumentDataset,
  Policy,
  Subject,
  TableDataset,
} from "../policy/model.ts";
import { withoutSavedOnlyRoles } from "../policy/saved-query.ts";
import type { DocumentSource, VisibleTable, Source, TableSource } from "../read/source.ts";
import { foldName } from "../sql/identifier.ts";
import { suggestName } from "../sql/suggest.ts";
import { DeniedError } from "../audit/audit.ts";

/** A table source with the tables that the subject may read. */
export interface VisibleTables {
  readonly kind: "d1";
  readonly source: TableSource;
  readonly tables: readonly VisibleTable[];
}

/** A document source that the subject may read. */
export interface VisibleDocuments {
  readonly kind: "kv";
  readonly source: DocumentSource;
  readonly dataset: DocumentDataset;
  readonly decision: AllowedDecision;
}

/** A source with at least one dataset that the subject may read. */
export type VisibleSource = VisibleTables | VisibleDocuments;

/** The policy's decisions for one subject: the allowed datasets, and the denials with their reasons. */
export interface VisibleDatasets {
  /** The sources with at least one readable dataset, in declared order. */
  readonly sources: readonly VisibleSource[];
  /** For the audit record only: no answer may reveal any of it. */
  readonly denied: readonly DeniedDecision[];
}

/** Evaluates the policy for every dataset of every source. */
export function listVisibleDatasets(policy: Policy, sources: readonly Source[], subject: Subject): VisibleDatasets {
  const denied: DeniedDecision[] = [];
  const decide = (dataset: Dataset): AllowedDecision | undefined => {
    const decision = evaluate(policy, subject, dataset, "read");
    if (decision.allowed) return decision;
    denied.push(decision);
    return undefined;
  };
  const visibleSources = sources.flatMap((source): VisibleSource[] => {
    if (source.kind === "kv") {
      const decision = decide(source.dataset);
      return decision === undefined ? [] : [{ kind: "kv", source, dataset: source.dataset, decision }];
    }
    const tables = source.datasets.flatMap((dataset): VisibleTable[] => {
      const decision = decide(dataset);
      return decision === undefined ? [] : [{ dataset, decision }];
    });
    return tables.length > 0 ? [{ kind: "d1", source, tables }] : [];
  });
  return { sources: visibleSources, denied };
}

/** Turns an error into a denial whose audit record lists the policy's denials for the requested datasets. */
export function createDenial(
  error: AppError,
  { denied }: VisibleDatasets,
  isRequested: (dataset: string) => boolean,
): DeniedError {
  const requestedDenials = denied.filter(({ dataset }) => isRequested(dataset));
  return new DeniedError(
    error,
    requestedDenials.map(({ dataset, reason }) => `${dataset}: ${reason}`),
    requestedDenials.flatMap(({ rules }) => rules),
  );
}

/** A table that an id names. */
export interface TableTarget {
  readonly kind: "table";
  readonly visible: VisibleTables;
  readonly table: VisibleTable;
}

/** A row that an id names by its key. */
export interface RowTarget {
  readonly kind: "row";
  readonly visible: VisibleTables;
  readonly table: VisibleTable;
  readonly key: string;
}

/** What an id names: a table, a row, a document source or a document. */
type Target =
  | TableTarget
  | RowTarget
  | { readonly kind: "documents"; readonly visible: VisibleDocuments }
  | { readonly kind: "document"; readonly visible: VisibleDocuments; readonly key: string };

/** Creates a check whether a URI names something that the subject may read today without a saved query. */
export function createReadCheck(
  policy: Policy,
  sources: readonly Source[],
  subject: Subject,
): (uri: string) => boolean {
  const datasets = listVisibleDatasets(policy, sources, withoutSavedOnlyRoles(policy, subject));
  return (uri) => findTarget(datasets, uri) !== undefined;
}

/** Finds what an id or a `gatehouse://` URI names. Undefined if it does not exist or is not granted, without distinction. */
export function findTarget({ sources }: VisibleDatasets, id: string): Target | undefined {
  const path = parsePath(id);
  for (const visible of sources) {
    if (visible.kind === "kv") {
      const key = readKeyBelow(path, visible.dataset.id);
      if (key !== undefined) return key === "" ? { kind: "documents", visible } : { kind: "document", visible, key };
      continue;
    }
    for (const table of visible.tables) {
      const key = readKeyBelow(path, table.dataset.id);
      if (key !== undefined)
        return key === "" ? { kind: "table", visible, table } : { kind: "row", visible, table, key };
    }
  }
  return undefined;
}

/** Creates the error for an id that names nothing the subject may read. Its message is the same whether or not it exists. */
export function createNotFoundDenial(datasets: VisibleDatasets, id: string): DeniedError {
  const path = parsePath(id);
  const suggestion = suggestDataset(datasets, path);
  const didYouMean = suggestion === undefined ? "" : ` Did you mean ${suggestion}?`;
  const message =
    `There is nothing called ${JSON.stringify(id)} that you may read.${didYouMean} ` +
    "Call describe or search to see what is available.";
  return createDenial(
    new AppError("not_found", message, { isMissing: true }),
    datasets,
    (dataset) => readKeyBelow(path, dataset) !== undefined || dataset.startsWith(`${path}.`),
  );
}

/** Suggests a readable dataset for a misspelled name, or for a table name without its source. */
function suggestDataset({ sources }: VisibleDatasets, path: string): string | undefined {
  const [name = path] = path.split("/");
  const ids = sources.flatMap((visible) =>
    visible.kind === "kv" ? [visible.dataset.id] : visible.tables.map(({ dataset }) => dataset.id),
  );
  if (ids.includes(name)) return undefined;
  const suggestion = ids.find((id) => foldName(id).endsWith(`.${foldName(name)}`)) ?? suggestName(name, ids);
  return suggestion === undefined ? undefined : `${suggestion}${path.slice(name.length)}`;
}

/** Builds the URI of a table. */
export function datasetUri(dataset: TableDataset): string {
  return `gatehouse://dataset/${encodeURIComponent(dataset.source)}/${encodeURIComponent(dataset.table)}`;
}

/** Builds the URI of a row. */
export function rowUri(dataset: TableDataset, key: string): string {
  return `${datasetUri(dataset)}/${encodeURIComponent(key)}`;
}

/** Builds the URI of a document; slashes in the key stay slashes. */
export function documentUri(dataset: DocumentDataset, key: string): string {
  return `gatehouse://document/${encodeURIComponent(dataset.source)}/${key.split("/").map(encodeURIComponent).join("/")}`;
}

/** Converts `gatehouse://dataset/shop/orders/17` to `shop.orders/17`; returns any other id unchanged. */
function parsePath(id: string): string {
  const uri = /^gatehouse:\/\/(dataset|document)\/([^/]+)(?:\/(.+))?$/.exec(id);
  if (uri === null) return id;
  const [, kind, source = "", rest] = uri;
  const decoded = rest === undefined ? source : `${source}${kind === "dataset" ? "." : "/"}${rest}`;
  try {
    return decodeURIComponent(decoded);
  } catch {
    // Gatehouse never writes a stray %, so such an id names nothing.
    return id;
  }
}

/** Returns the part of a path below a dataset; empty for the dataset itself, undefined for another path. */
function readKeyBelow(path: string, datasetId: string): string | undefined {
  if (path === datasetId) return "";
  return path.startsWith(`${datasetId}/`) && path.length > datasetId.length + 1
    ? path.slice(datasetId.length + 1)
    : undefined;
}
