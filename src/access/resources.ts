// The list-resources operation: the datasets, documents and kept results that a person could read by URI.
import { datasetUri, documentUri } from "./catalogue.ts";
import type { Catalogue } from "./catalogue.ts";
import type { Answered } from "./recorded.ts";
import { resultUri, summarise } from "./results.ts";
import type { WorkspaceAccess } from "./workspace.ts";

export interface ResourceEntry {
  readonly uri: string;
  readonly name: string;
  readonly description?: string;
}

/** Documents listed per source; search finds the others. */
const MAX_DOCUMENTS = 1000;

/** Kept results, the newest first; then tables and documents in declared order. */
export async function listResources(
  { open: sources }: Catalogue,
  workspace: WorkspaceAccess,
): Promise<Answered<readonly ResourceEntry[]>> {
  const { results } = await workspace.open();
  const entries: ResourceEntry[] = results.toReversed().map((result) => ({
    uri: resultUri(result.id),
    name: `Result ${result.id}`,
    description: summarise(result),
  }));
  const datasets: string[] = [];
  const rules: string[] = [];
  let cut = false;
  for (const open of sources) {
    if (open.kind === "d1") {
      for (const { dataset, decision } of open.tables) {
        entries.push({ uri: datasetUri(dataset), name: dataset.id, description: dataset.description });
        datasets.push(dataset.id);
        rules.push(...decision.rules);
      }
      continue;
    }
    const { keys, more } = await open.source.keys(open.decision, MAX_DOCUMENTS);
    entries.push(...keys.map((key) => ({ uri: documentUri(open.dataset, key), name: `${open.dataset.id}/${key}` })));
    datasets.push(open.dataset.id);
    rules.push(...open.decision.rules);
    cut ||= more;
  }
  return { answer: entries, datasets, rules, cut };
}
