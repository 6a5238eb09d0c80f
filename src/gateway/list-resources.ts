// The list-resources operation (MCP resources/list): the stored results, tables and documents that a user can read by URI.
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
}

/** The most documents to list per source; search finds the others. */
const MAX_LISTED_DOCUMENTS = 1000;

/** Lists stored results, newest first, then tables and documents in declared order. */
export async function listResources(
  { sources }: VisibleDatasets,
  workspace: WorkspaceAccess,
): Promise<Audited<readonly ResourceEntry[]>> {
  const { results } = await workspace.open();
  const entries: ResourceEntry[] = results.toReversed().map((result) => ({
    uri: resultUri(result.id),
    name: `Result ${result.id}`,
    description: summariseResult(result),
  }));
  const datasets: string[] = [];
  const rules: string[] = [];
  let cut = false;
  for (const visible of sources) {
    if (visible.kind === "d1") {
      for (const { dataset, decision } of visible.tables) {
        entries.push({ uri: datasetUri(dataset), name: dataset.id, description: dataset.description });
        datasets.push(dataset.id);
        rules.push(...decision.rules);
      }
      continue;
    }
    const { keys, hasMore } = await visible.source.listKeys(visible.decision, MAX_LISTED_DOCUMENTS);
    entries.push(
      ...keys.map((key) => ({ uri: documentUri(visible.dataset, key), name: `${visible.dataset.id}/${key}` })),
    );
    datasets.push(visible.dataset.id);
    rules.push(...visible.decision.rules);
    cut ||= hasMore;
  }
  return { answer: entries, datasets, rules, cut };
}
