// The list-resources operation (MCP resources/list): the tables, documents and stored results that a user can read by URI.
import { pickDescription } from "./description.ts";
import { RESULT_MIME_TYPE, getDocumentMimeType } from "./mime-types.ts";
import { datasetUri, documentUri } from "./visible-datasets.ts";
import type { VisibleDatasets } from "./visible-datasets.ts";
import type { Audited } from "../audit/audit.ts";
import { resultUri, summariseResult } from "../results/stored-results.ts";
import type { WorkspaceAccess } from "../results/workspace-access.ts";

/** One entry of the resource list. */
export interface ResourceEntry {
  readonly uri: string;
  readonly name: string;
  readonly description?: string;
  readonly mimeType: string;
}

/** The most documents to list per source; search finds the others. */
const MAX_LISTED_DOCUMENTS = 1000;

/**
 * Lists tables and documents in declared order, then stored results, newest first: clients show the start of the list, and a day of
 * queries must not hide the data.
 */
export async function listResources(
  { sources }: VisibleDatasets,
  workspace: WorkspaceAccess,
): Promise<Audited<readonly ResourceEntry[]>> {
  const { results } = await workspace.open();
  const entries: ResourceEntry[] = [];
  const datasets: string[] = [];
  const rules: string[] = [];
  let cut = false;
  for (const visible of sources) {
    if (visible.kind === "d1") {
      for (const { dataset, decision } of visible.tables) {
        const { id: name } = dataset;
        entries.push({ uri: datasetUri(dataset), name, ...pickDescription(dataset), mimeType: "text/plain" });
        datasets.push(name);
        rules.push(...decision.rules);
      }
      continue;
    }
    const { dataset, decision } = visible;
    const { keys, hasMore } = await visible.source.listKeys(decision, MAX_LISTED_DOCUMENTS);
    entries.push(
      ...keys.map((key) => ({
        uri: documentUri(dataset, key),
        name: `${dataset.id}/${key}`,
        mimeType: getDocumentMimeType(dataset, key),
      })),
    );
    datasets.push(dataset.id);
    rules.push(...decision.rules);
    cut ||= hasMore;
  }
  const resultEntries = results.toReversed().map((result) => ({
    uri: resultUri(result.id),
    name: `Result ${result.id}`,
    description: summariseResult(result),
    mimeType: RESULT_MIME_TYPE,
  }));
  return { answer: [...entries, ...resultEntries], datasets, rules, cut };
}
