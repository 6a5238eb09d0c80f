// The search operation: words to documents, datasets, columns and kept results, best first. Documents come from their source,
// which reads them as they are now; how old the index behind them is, or what it could not look at, is said.
import type { SavedQuery } from "../policy/model.ts";
import { scoreOf, snippetOf, wordsOf } from "../lib/words.ts";
import type { GovernedDocument } from "../sources/source.ts";
import { visibleColumns } from "../policy/views.ts";
import { datasetUri, documentUri } from "./catalogue.ts";
import type { Catalogue, OpenDocuments, OpenTables } from "./catalogue.ts";
import type { Answered } from "./recorded.ts";
import { resultUri, summarise } from "./results.ts";
import { savedUri } from "./saved.ts";
import { UNTRUSTED_NOTE, fence } from "./untrusted.ts";
import type { OpenWorkspace, WorkspaceAccess } from "./workspace.ts";

export interface SearchResult {
  /** Give it to fetch. */
  readonly id: string;
  readonly title: string;
  readonly url: string;
  readonly snippet: string;
}

export interface SearchAnswer {
  readonly results: readonly SearchResult[];
  /** What the results leave out; absent when they are all there is. */
  readonly note?: string;
}

interface Hit extends SearchResult {
  readonly score: number;
  readonly rules: readonly string[];
  readonly dataset: string;
  /** Whether outsiders wrote the document. */
  readonly untrusted: boolean;
}

/** An index of this age is not worth a word. */
const FRESH_SECONDS = 300;
/** What a document counts that holds the words in a way of its own. */
const LEAST_SCORE = 0.1;

/** Finds by words: every hit holds at least one; those in titles and names come first. */
export async function search(
  { open: sources }: Catalogue,
  workspace: WorkspaceAccess,
  saved: readonly SavedQuery[],
  text: string,
  limit: number,
): Promise<Answered<SearchAnswer>> {
  const words = wordsOf(text);
  const found = await Promise.all([
    ...sources.map(async (open) =>
      open.kind === "d1" ? searchTables(open, words) : searchDocuments(open, words, limit),
    ),
    workspace.open().then((opened) => searchResults(opened, words)),
  ]);
  const hits = [...found.flatMap((one) => one.hits), ...searchSaved(saved, words)];
  const best = hits.toSorted((a, b) => b.score - a.score).slice(0, limit);
  const untrusted = [...new Set(best.flatMap((hit) => (hit.untrusted ? [hit.dataset] : [])))];
  const more = found.some((one) => one.more);
  const counted = `${more ? "at least " : ""}${hits.length + (more && hits.length === best.length ? 1 : 0)}`;
  const notes = found.flatMap((one) => one.notes);
  const isNothing = sources.length === 0 && saved.length === 0 && found.every((one) => one.hits.length === 0);
  const seen = isNothing
    ? NOTHING
    : noteOf(hits.length, more || best.length < hits.length ? `${best.length} of ${counted} hits shown.` : "");
  const note = [seen, ...new Set(notes), ...(untrusted.length > 0 ? [UNTRUSTED_NOTE] : [])]
    .filter((part) => part !== "")
    .join(" ");
  return {
    answer: {
      results: best.map(({ id, title, url, snippet }) => ({ id, title, url, snippet })),
      ...(note === "" ? {} : { note }),
    },
    datasets: [...new Set(best.map((hit) => hit.dataset))],
    rules: [...new Set(best.flatMap((hit) => hit.rules))],
    untrusted,
    rows: best.length,
    cut: more || best.length < hits.length,
  };
}

interface Found {
  readonly hits: readonly Hit[];
  /** Whether there are others. */
  readonly more: boolean;
  /** What is to be known of them. */
  readonly notes: readonly string[];
}

function searchTables({ tables }: OpenTables, words: readonly string[]): Found {
  const hits = tables.flatMap(({ dataset, decision }): Hit[] => {
    const columns = visibleColumns(decision, dataset);
    const body = [dataset.description, ...columns.map((column) => `${column.name}: ${column.description}`)].join("\n");
    const score = scoreOf(words, `${dataset.source} ${dataset.table}`, body);
    const shown = {
      id: dataset.id,
      title: `Table ${dataset.id}`,
      url: datasetUri(dataset),
      snippet: snippetOf(words, body),
      untrusted: false,
    };
    return score > 0 ? [{ ...shown, score, rules: decision.rules, dataset: dataset.id }] : [];
  });
  return { hits, more: false, notes: [] };
}

function searchResults({ results }: OpenWorkspace, words: readonly string[]): Found {
  const hits = results.flatMap((result): Hit[] => {
    const body = `${summarise(result)}\n${result.columns.map(({ name }) => name).join(" ")}`;
    const score = scoreOf(words, `result ${result.id}`, body);
    const { id } = result;
    const shown = { id, title: `Result ${id}`, url: resultUri(id), snippet: snippetOf(words, body), untrusted: false };
    return score > 0 ? [{ ...shown, score, rules: result.origin.rules, dataset: `workspace.${id}` }] : [];
  });
  return { hits, more: false, notes: [] };
}

function searchSaved(saved: readonly SavedQuery[], words: readonly string[]): readonly Hit[] {
  return saved.flatMap((query): Hit[] => {
    const { name, description, parameters } = query;
    const body = [description, ...parameters.map((parameter) => `${parameter.name}: ${parameter.description}`)].join(
      "\n",
    );
    const score = scoreOf(words, `saved query ${name}`, body);
    const shown = { id: name, title: `Saved query ${name}`, url: savedUri(name), untrusted: false };
    const snippet = snippetOf(words, body);
    return score > 0 ? [{ ...shown, snippet, score, rules: [], dataset: `saved ${name}` }] : [];
  });
}

async function searchDocuments(open: OpenDocuments, words: readonly string[], limit: number): Promise<Found> {
  const { documents, more, ageSeconds, lookedAt } = await open.source.search(open.decision, words, limit);
  const hits = documents.map((document) => documentHit(open, document, words));
  if (ageSeconds === undefined) {
    const isPart = `The documents of ${open.dataset.id} are being indexed; only the first ${lookedAt} were looked at.`;
    return { hits, more, notes: lookedAt === undefined ? [] : [isPart] };
  }
  const isOld = `The index of ${open.dataset.id} is ${Math.floor(ageSeconds / 60)} min old.`;
  return { hits: inRank(hits), more, notes: ageSeconds < FRESH_SECONDS ? [] : [isOld] };
}

/** Keeps the order among documents that the index gave: each counts at least as much as those behind it. */
function inRank(hits: readonly Hit[]): readonly Hit[] {
  return hits.map((hit, index) => ({ ...hit, score: Math.max(...hits.slice(index).map(({ score }) => score)) }));
}

function documentHit({ dataset, decision }: OpenDocuments, document: GovernedDocument, words: readonly string[]): Hit {
  const shown = (text: string): string => (dataset.untrusted ? fence(text) : text);
  return {
    id: `${dataset.id}/${document.key}`,
    title: shown(document.title),
    url: documentUri(dataset, document.key),
    snippet: shown(snippetOf(words, document.text)),
    untrusted: dataset.untrusted,
    score: Math.max(LEAST_SCORE, scoreOf(words, `${document.key} ${document.title}`, document.text)),
    rules: decision.rules,
    dataset: dataset.id,
  };
}

const NOTHING = "There is nothing here that this person may read. describe tells whom to ask.";

function noteOf(found: number, cut: string): string {
  return found === 0 ? "Nothing matched. Try other words, or call describe for all datasets." : cut;
}
