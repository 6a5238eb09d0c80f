// The complete operation (MCP completion/complete): completes a partly typed name of something that the user may read.
import { foldName } from "../sql/identifier.ts";
import { fromTemplatePrefix, toTemplateKey } from "./visible-datasets.ts";
import type { VisibleDatasets } from "./visible-datasets.ts";
import type { Audited } from "../audit/audit.ts";
import type { WorkspaceAccess } from "../results/workspace-access.ts";

/** The kind of name to complete, and its prefix. `source` is required for tables and documents. */
export interface CompletionRequest {
  readonly kind: "source" | "dataset" | "table" | "document" | "result";
  readonly source: string | undefined;
  readonly prefix: string;
}

/** The matching names. */
export interface Completions {
  /** At most 100 names, in declared order. */
  readonly values: readonly string[];
  /** The number of matches, including those that `values` leaves out. */
  readonly total: number;
}

/** The limit of MCP completion/complete. */
const MAX_VALUES = 100;
/** The most document keys to list from a source. */
const MAX_DOCUMENTS = 1000;

/** Completes a name. The prefix matches case-insensitively. */
export async function complete(
  { sources }: VisibleDatasets,
  workspace: WorkspaceAccess,
  { kind, source, prefix }: CompletionRequest,
): Promise<Audited<Completions>> {
  const listNames = async (): Promise<readonly string[]> => {
    switch (kind) {
      case "source":
        return sources.map((visible) => visible.source.declaration.name);
      case "dataset":
        return sources.flatMap((visible) =>
          visible.kind === "kv" ? [visible.dataset.id] : visible.tables.map((candidate) => candidate.dataset.id),
        );
      case "table":
        return sources.flatMap((visible) =>
          visible.kind === "d1" && visible.source.declaration.name === source
            ? visible.tables.map((candidate) => candidate.dataset.table)
            : [],
        );
      case "document":
        return listDocumentKeys();
      case "result":
        return (await workspace.open()).results.map(({ id }) => id);
    }
  };
  const listDocumentKeys = async (): Promise<readonly string[]> => {
    const visible = sources.find(
      (candidate) => candidate.kind === "kv" && candidate.source.declaration.name === source,
    );
    if (visible?.kind !== "kv") return [];
    const { source: documents, decision } = visible;
    // KV matches prefixes case-sensitively, over all keys. Other spellings are only looked up among the first keys.
    const prefixes = [...new Set([prefix, fromTemplatePrefix(prefix)])];
    const lists = await Promise.all(prefixes.map((start) => documents.listKeys(decision, MAX_DOCUMENTS, start)));
    const keys = new Set(lists.flatMap((list) => list.keys));
    return keys.size > 0 ? [...keys] : (await documents.listKeys(decision, MAX_DOCUMENTS)).keys;
  };
  const startsWithPrefix = (name: string): boolean => foldName(name).startsWith(foldName(prefix));
  // A user may type on from a value suggested before, in which a document key is escaped.
  const matchingNames = (await listNames()).filter(
    (name) => startsWithPrefix(name) || (kind === "document" && startsWithPrefix(toTemplateKey(name))),
  );
  const values = matchingNames.slice(0, MAX_VALUES);
  return {
    answer: { values: kind === "document" ? values.map(toTemplateKey) : values, total: matchingNames.length },
    datasets: [],
    rules: [],
  };
}
