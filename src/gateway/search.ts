// The search operation: finds documents, tables, columns, saved queries and stored results by keyword, best first. It says when
// the document index is outdated or incomplete.
import type { SavedQuery } from "../policy/model.ts";
import { scoreText, extractSnippet, extractWords } from "../lib/search-words.ts";
import type { GovernedDocument } from "../read/source.ts";
import { listVisibleColumns } from "../policy/guard-view.ts";
import { listShownExamples } from "./describe-table.ts";
import { datasetUri, documentUri } from "./visible-datasets.ts";
import type { VisibleDatasets, VisibleDocuments, VisibleTables } from "./visible-datasets.ts";
import type { Audited } from "../audit/audit.ts";
import { resultUri, summariseResult } from "../results/stored-results.ts";
import { savedQueryUri } from "../saved-queries/saved-queries.ts";
import { UNTRUSTED_NOTE, fence } from "../answers/untrusted-text.ts";
import type { VisibleWorkspace, WorkspaceAccess } from "../results/workspace-access.ts";

interface SearchResult {
  /** An id for fetch. */
  readonly id: string;
  readonly title: string;
  readonly url: string;
  readonly snippet: string;
}

export interface SearchAnswer {
  readonly results: readonly SearchResult[];
  /** What is missing from the results, and warnings about them; absent if there are none. */
  readonly note?: string;
}

interface Hit extends SearchResult {
  readonly score: number;
  readonly rules: readonly string[];
  readonly dataset: string;
  /** Whether outsiders wrote the document. */
  readonly untrusted: boolean;
}

/** The answer does not mention an index younger than this. */
const FRESH_INDEX_SECONDS = 300;
/** The least score of a document that the index found: its tokenizer may match words that `scoreText` does not. */
const MIN_DOCUMENT_SCORE = 0.1;

/** Searches by keyword. Every hit contains at least one of the words; hits in titles and names come first. */
export async function search(
  { sources }: VisibleDatasets,
  workspace: WorkspaceAccess,
  savedQueries: readonly SavedQuery[],
  text: string,
  limit: number,
): Promise<Audited<SearchAnswer>> {
  const words = extractWords(text);
  const hitLists = await Promise.all([
    ...sources.map(async (visible) =>
      visible.kind === "d1" ? searchTables(visible, words) : searchDocuments(visible, words, limit),
    ),
    workspace.open().then((openWorkspace) => searchResults(openWorkspace, words)),
  ]);
  const hits = [...hitLists.flatMap((list) => list.hits), ...searchSavedQueries(savedQueries, words)];
  const bestHits = hits.toSorted((a, b) => b.score - a.score).slice(0, limit);
  const untrusted = [...new Set(bestHits.flatMap((hit) => (hit.untrusted ? [hit.dataset] : [])))];
  const hasMore = hitLists.some((list) => list.hasMore);
  const countText = `${hasMore ? "at least " : ""}${hits.length + (hasMore && hits.length === bestHits.length ? 1 : 0)}`;
  const notes = hitLists.flatMap((list) => list.notes);
  const hasNothingReadable =
    sources.length === 0 && savedQueries.length === 0 && hitLists.every((list) => list.hits.length === 0);
  const countNote = hasNothingReadable
    ? NOTHING_READABLE
    : buildCountNote(
        hits.length,
        hasMore || bestHits.length < hits.length ? `${bestHits.length} of ${countText} hits shown.` : "",
      );
  const note = [countNote, ...new Set(notes), ...(untrusted.length > 0 ? [UNTRUSTED_NOTE] : [])]
    .filter((part) => part !== "")
    .join(" ");
  return {
    answer: {
      results: bestHits.map(({ id, title, url, snippet }) => ({ id, title, url, snippet })),
      ...(note === "" ? {} : { note }),
    },
    datasets: [...new Set(bestHits.map((hit) => hit.dataset))],
    rules: [...new Set(bestHits.flatMap((hit) => hit.rules))],
    untrusted,
    rows: bestHits.length,
    cut: hasMore || bestHits.length < hits.length,
  };
}

interface HitList {
  readonly hits: readonly Hit[];
  /** Whether there are more hits. */
  readonly hasMore: boolean;
  /** Warnings about the hits. */
  readonly notes: readonly string[];
}

function searchTables({ tables }: VisibleTables, words: readonly string[]): HitList {
  const hits = tables.flatMap((table): Hit[] => {
    const { dataset, decision } = table;
    const columns = listVisibleColumns(decision, dataset).map((column) => {
      const examples = listShownExamples(table, column);
      const about = [column.description, ...(examples.length > 0 ? [`e.g. ${examples.join(", ")}`] : [])];
      return [column.name, about.filter((text) => text !== "").join(", ")].filter((text) => text !== "").join(": ");
    });
    const body = [dataset.description, ...columns].filter((text) => text !== "").join("\n");
    const score = scoreText(words, `${dataset.source} ${dataset.table}`, body);
    const hit = {
      id: dataset.id,
      title: `Table ${dataset.id}`,
      url: datasetUri(dataset),
      snippet: extractSnippet(words, body),
      untrusted: false,
    };
    return score > 0 ? [{ ...hit, score, rules: decision.rules, dataset: dataset.id }] : [];
  });
  return { hits, hasMore: false, notes: [] };
}

function searchResults({ results }: VisibleWorkspace, words: readonly string[]): HitList {
  const hits = results.flatMap((result): Hit[] => {
    const body = `${summariseResult(result)}\n${result.columns.map(({ name }) => name).join(" ")}`;
    const score = scoreText(words, `result ${result.id}`, body);
    const { id } = result;
    const hit = {
      id,
      title: `Result ${id}`,
      url: resultUri(id),
      snippet: extractSnippet(words, body),
      untrusted: false,
    };
    return score > 0 ? [{ ...hit, score, rules: result.origin.rules, dataset: `workspace.${id}` }] : [];
  });
  return { hits, hasMore: false, notes: [] };
}

function searchSavedQueries(savedQueries: readonly SavedQuery[], words: readonly string[]): readonly Hit[] {
  return savedQueries.flatMap((query): Hit[] => {
    const { name, description, parameters } = query;
    const body = [description, ...parameters.map((parameter) => `${parameter.name}: ${parameter.description}`)].join(
      "\n",
    );
    const score = scoreText(words, `saved query ${name}`, body);
    const hit = { id: name, title: `Saved query ${name}`, url: savedQueryUri(name), untrusted: false };
    const snippet = extractSnippet(words, body);
    return score > 0 ? [{ ...hit, snippet, score, rules: [], dataset: `saved ${name}` }] : [];
  });
}

async function searchDocuments(visible: VisibleDocuments, words: readonly string[], limit: number): Promise<HitList> {
  const { documents, hasMore, ageSeconds, scannedDocuments } = await visible.source.search(
    visible.decision,
    words,
    limit,
  );
  const hits = documents.map((document) => buildDocumentHit(visible, document, words));
  if (ageSeconds === undefined) {
    const partialNote = `The documents of ${visible.dataset.id} are being indexed; only the first ${scannedDocuments} were searched.`;
    return { hits, hasMore, notes: scannedDocuments === undefined ? [] : [partialNote] };
  }
  const ageNote = `The index of ${visible.dataset.id} is ${Math.floor(ageSeconds / 60)} min old.`;
  return { hits: preserveIndexOrder(hits), hasMore, notes: ageSeconds < FRESH_INDEX_SECONDS ? [] : [ageNote] };
}

/** Preserves the index's order: raises each document's score to at least the score of every document after it. */
function preserveIndexOrder(hits: readonly Hit[]): readonly Hit[] {
  return hits.map((hit, index) => ({ ...hit, score: Math.max(...hits.slice(index).map(({ score }) => score)) }));
}

function buildDocumentHit(
  { dataset, decision }: VisibleDocuments,
  document: GovernedDocument,
  words: readonly string[],
): Hit {
  const fenceIfUntrusted = (text: string): string => (dataset.untrusted ? fence(text) : text);
  return {
    id: `${dataset.id}/${document.key}`,
    title: fenceIfUntrusted(document.title),
    url: documentUri(dataset, document.key),
    snippet: fenceIfUntrusted(extractSnippet(words, document.text)),
    untrusted: dataset.untrusted,
    score: Math.max(MIN_DOCUMENT_SCORE, scoreText(words, `${document.key} ${document.title}`, document.text)),
    rules: decision.rules,
    dataset: dataset.id,
  };
}

const NOTHING_READABLE = "This user may not read any data. Call describe to see whom to ask.";

function buildCountNote(hitCount: number, cut: string): string {
  return hitCount === 0 ? "Nothing matched. Try other words, or call describe for all datasets." : cut;
}
