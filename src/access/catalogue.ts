// What a subject may reach: sources and datasets under today's decisions. Every operation starts from it, so nothing
// that was not granted can be named by accident.
import { evaluate } from "../policy/evaluate.ts";
import { AppError } from "../errors.ts";
import type { Dataset, Decision, DocumentDataset, Policy, Subject, TableDataset } from "../policy/model.ts";
import { freely } from "../policy/saved.ts";
import type { AllowedDecision, DocumentSource, OpenTable, Source, TableSource } from "../sources/source.ts";
import { foldName } from "../sql/identifier.ts";
import { nearest } from "../sql/near.ts";
import { Denied } from "./recorded.ts";

export interface OpenTables {
  readonly kind: "d1";
  readonly source: TableSource;
  readonly tables: readonly OpenTable[];
}

export interface OpenDocuments {
  readonly kind: "kv";
  readonly source: DocumentSource;
  readonly dataset: DocumentDataset;
  readonly decision: AllowedDecision;
}

export type OpenSource = OpenTables | OpenDocuments;

/** What was asked of the policy: what it opens, and what it denies and why. */
export interface Catalogue {
  /** The sources with at least one readable dataset, in declared order. */
  readonly open: readonly OpenSource[];
  /** For the record only; nothing of it may be told. */
  readonly denied: readonly DeniedDecision[];
}

type DeniedDecision = Extract<Decision, { allowed: false }>;

/** Decides every dataset of every source. */
export function openCatalogue(policy: Policy, sources: readonly Source[], subject: Subject): Catalogue {
  const denied: DeniedDecision[] = [];
  const decide = (dataset: Dataset): AllowedDecision | undefined => {
    const decision = evaluate(policy, subject, dataset, "read");
    if (decision.allowed) return decision;
    denied.push(decision);
    return undefined;
  };
  const open = sources.flatMap((source): OpenSource[] => {
    if (source.kind === "kv") {
      const decision = decide(source.dataset);
      return decision === undefined ? [] : [{ kind: "kv", source, dataset: source.dataset, decision }];
    }
    const tables = source.datasets.flatMap((dataset): OpenTable[] => {
      const decision = decide(dataset);
      return decision === undefined ? [] : [{ dataset, decision }];
    });
    return tables.length > 0 ? [{ kind: "d1", source, tables }] : [];
  });
  return { open, denied };
}

/** Makes a refusal of an error, with what the policy denied among these datasets. */
export function deny(error: AppError, { denied }: Catalogue, isMeant: (dataset: string) => boolean): Denied {
  const meant = denied.filter(({ dataset }) => isMeant(dataset));
  return new Denied(
    error,
    meant.map(({ dataset, reason }) => `${dataset}: ${reason}`),
    meant.flatMap(({ rules }) => rules),
  );
}

/** What an id names: a table, one of its rows, a document source or one of its documents. */
export type Target =
  | { readonly kind: "table"; readonly open: OpenTables; readonly table: OpenTable }
  | { readonly kind: "row"; readonly open: OpenTables; readonly table: OpenTable; readonly key: string }
  | { readonly kind: "documents"; readonly open: OpenDocuments }
  | { readonly kind: "document"; readonly open: OpenDocuments; readonly key: string };

/** Whether a URI names something that the subject may read today outside saved queries. */
export function mayReadUri(policy: Policy, sources: readonly Source[], subject: Subject): (uri: string) => boolean {
  const catalogue = openCatalogue(policy, sources, freely(policy, subject));
  return (uri) => findTarget(catalogue, uri) !== undefined;
}

/** Finds what an id or a `gatehouse://` URI names. Not granted and not existing are the same answer: undefined. */
export function findTarget({ open: sources }: Catalogue, id: string): Target | undefined {
  const path = pathOf(id);
  for (const open of sources) {
    if (open.kind === "kv") {
      const key = keyBelow(path, open.dataset.id);
      if (key !== undefined) return key === "" ? { kind: "documents", open } : { kind: "document", open, key };
      continue;
    }
    for (const table of open.tables) {
      const key = keyBelow(path, table.dataset.id);
      if (key !== undefined) return key === "" ? { kind: "table", open, table } : { kind: "row", open, table, key };
    }
  }
  return undefined;
}

/** The refusal for an id that names nothing the subject may read; the same whether or not it exists. */
export function notFound(catalogue: Catalogue, id: string): Denied {
  const path = pathOf(id);
  const near = nearDataset(catalogue, path);
  const meant = near === undefined ? "" : ` Did you mean ${near}?`;
  const message = `There is nothing called ${JSON.stringify(id)} that you may read.${meant} Call describe or search for what there is.`;
  return deny(
    new AppError("not_found", message, { isMissing: true }),
    catalogue,
    (dataset) => keyBelow(path, dataset) !== undefined || dataset.startsWith(`${path}.`),
  );
}

/** What a name may have meant: a readable table without its source, or one in other letters. */
function nearDataset({ open }: Catalogue, path: string): string | undefined {
  const [name = path] = path.split("/");
  const ids = open.flatMap((one) =>
    one.kind === "kv" ? [one.dataset.id] : one.tables.map(({ dataset }) => dataset.id),
  );
  if (ids.includes(name)) return undefined;
  const meant = ids.find((id) => foldName(id).endsWith(`.${foldName(name)}`)) ?? nearest(name, ids);
  return meant === undefined ? undefined : `${meant}${path.slice(name.length)}`;
}

export function datasetUri(dataset: TableDataset): string {
  return `gatehouse://dataset/${encodeURIComponent(dataset.source)}/${encodeURIComponent(dataset.table)}`;
}

export function rowUri(dataset: TableDataset, key: string): string {
  return `${datasetUri(dataset)}/${encodeURIComponent(key)}`;
}

export function documentUri(dataset: DocumentDataset, key: string): string {
  return `gatehouse://document/${encodeURIComponent(dataset.source)}/${key.split("/").map(encodeURIComponent).join("/")}`;
}

/** `gatehouse://dataset/shop/orders/17` and `shop.orders/17` are the same thing. */
function pathOf(id: string): string {
  const uri = /^gatehouse:\/\/(dataset|document)\/([^/]+)(?:\/(.+))?$/.exec(id);
  if (uri === null) return id;
  const [, kind, source = "", rest] = uri;
  const decoded = rest === undefined ? source : `${source}${kind === "dataset" ? "." : "/"}${rest}`;
  try {
    return decodeURIComponent(decoded);
  } catch {
    // A stray % is no encoding of ours: the id then names nothing.
    return id;
  }
}

function keyBelow(path: string, datasetId: string): string | undefined {
  if (path === datasetId) return "";
  return path.startsWith(`${datasetId}/`) && path.length > datasetId.length + 1
    ? path.slice(datasetId.length + 1)
    : undefined;
}
