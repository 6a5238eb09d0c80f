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
export type Target =
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
    if (path.kind !== undefined && path.kind !== visible.kind) continue;
    if (visible.kind === "kv") {
      const key = findKey(path, visible.dataset.id);
      if (key === null) return { kind: "documents", visible };
      if (key !== undefined) return isAddressable(key) && key !== "" ? { kind: "document", visible, key } : undefined;
      continue;
    }
    for (const table of visible.tables) {
      const key = findKey(path, table.dataset.id);
      if (key === null) return { kind: "table", visible, table };
      if (key !== undefined) return isAddressable(key) ? { kind: "row", visible, table, key } : undefined;
    }
  }
  return undefined;
}

/** Creates the error for an id that names nothing the subject may read. Its message is the same whether or not it exists. */
export function createNotFoundDenial(datasets: VisibleDatasets, id: string): DeniedError {
  const path = parsePath(id);
  const suggestion = suggestDataset(datasets, path.text);
  const didYouMean = suggestion === undefined ? "" : ` Did you mean ${suggestion}?`;
  const message =
    `There is nothing called ${JSON.stringify(id)} that you may read.${didYouMean} ` +
    "Call describe or search to see what is available.";
  return createDenial(
    new AppError("not_found", message, { isMissing: true }),
    datasets,
    (dataset) => findKey(path, dataset) !== undefined || dataset.startsWith(`${path.text}.`),
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

/** Builds the URI of a document; slashes in the key stay slashes, except beside `.` and `..`. */
export function documentUri(dataset: DocumentDataset, key: string): string {
  return `gatehouse://document/${encodeURIComponent(dataset.source)}/${encodeSegments(key, encodeURIComponent)}`;
}

/**
 * Writes a document key as the variable `key` of the resource template. A client expands it with the characters of a URI unchanged, so
 * only a percent sign and the slashes beside `.` and `..` need an escape.
 */
export function toTemplateKey(key: string): string {
  return encodeSegments(key, (segment) => segment.replaceAll("%", "%25"));
}

/** Gives the beginning of the keys that `toTemplateKey` writes with this prefix. The prefix may end within an escape. */
export function fromTemplatePrefix(prefix: string): string {
  return prefix.replace(/%2?$/, "").replace(/%2F|%25/gi, (escape) => (escape === "%25" ? "%" : "/"));
}

/**
 * Encodes the segments of a key. Clients that parse URIs (WHATWG URL) remove `.` and `..` segments, escaped or not, and would then read
 * another document. With all slashes escaped the key is one segment, which stays as it is.
 */
function encodeSegments(key: string, encode: (segment: string) => string): string {
  const segments = key.split("/");
  return segments.map(encode).join(segments.some(isDotSegment) ? "%2F" : "/");
}

function isDotSegment(segment: string): boolean {
  return segment === "." || segment === "..";
}

/** Whether some URI names this key. No escape keeps a key that is only `.` or `..` apart from the path above it. */
function isAddressable(key: string): boolean {
  return !isDotSegment(key) && key.isWellFormed();
}

/** An id as `shop.orders/17`, or a URI with its parts. */
type IdPath = { readonly text: string } & (
  | { readonly kind?: never }
  | { readonly kind: VisibleSource["kind"]; readonly dataset: string; readonly key: string | null }
);

/** Parses `gatehouse://dataset/shop/orders/17` and `gatehouse://document/handbook/returns.md`. Any other id is returned as it is. */
function parsePath(id: string): IdPath {
  const uri = /^gatehouse:\/\/(?:dataset\/([^/]+)\/([^/]+)|document\/([^/]+))(?:\/(.*))?$/s.exec(id);
  if (uri === null) return { text: id };
  try {
    const [source, table, documents, key] = uri
      .slice(1)
      .map((part: string | undefined) => (part === undefined ? undefined : decodeURIComponent(part)));
    const dataset = documents ?? `${source}.${table}`;
    const text = key === undefined ? dataset : `${dataset}/${key}`;
    return { text, kind: documents === undefined ? "d1" : "kv", dataset, key: key ?? null };
  } catch {
    // Gatehouse never writes a stray %, so such an id names nothing.
    return { text: id };
  }
}

/** Finds the key below a dataset, which may be empty; null for the dataset itself, undefined for the path of another one. */
function findKey(path: IdPath, datasetId: string): string | null | undefined {
  if (path.kind !== undefined) return path.dataset === datasetId ? path.key : undefined;
  if (path.text === datasetId) return null;
  return path.text.startsWith(`${datasetId}/`) ? path.text.slice(datasetId.length + 1) : undefined;
}
