// The search operation: words to documents, datasets, columns and kept results, best first. It reads documents one bulk read at a
// time and says when it could not look at all of them.
import type { SavedQuery } from "../policy/model.ts";
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

/** Documents of one source that a search looks at. */
const MAX_DOCUMENTS = 1000;
const SNIPPET_LENGTH = 200;

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
    ...sources.map(async (open) => (open.kind === "d1" ? searchTables(open, words) : searchDocuments(open, words))),
    workspace.open().then((opened) => searchResults(opened, words)),
  ]);
  const hits = [...found.flatMap((one) => one.hits), ...searchSaved(saved, words)];
  const best = hits.toSorted((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1)).slice(0, limit);
  const untrusted = [...new Set(best.flatMap((hit) => (hit.untrusted ? [hit.dataset] : [])))];
  const seen = noteOf(
    hits.length,
    best.length,
    found.some((one) => one.unseen),
  );
  const note = [seen, ...(untrusted.length > 0 ? [UNTRUSTED_NOTE] : [])].filter((part) => part !== "").join(" ");
  return {
    answer: {
      results: best.map(({ id, title, url, snippet }) => ({ id, title, url, snippet })),
      ...(note === "" ? {} : { note }),
    },
    datasets: [...new Set(best.map((hit) => hit.dataset))],
    rules: [...new Set(best.flatMap((hit) => hit.rules))],
    untrusted,
    rows: best.length,
    cut: best.length < hits.length,
  };
}

interface Found {
  readonly hits: readonly Hit[];
  /** Whether there was more than could be looked at. */
  readonly unseen: boolean;
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
  return { hits, unseen: false };
}

function searchResults({ results }: OpenWorkspace, words: readonly string[]): Found {
  const hits = results.flatMap((result): Hit[] => {
    const body = `${summarise(result)}\n${result.columns.map(({ name }) => name).join(" ")}`;
    const score = scoreOf(words, `result ${result.id}`, body);
    const { id } = result;
    const shown = { id, title: `Result ${id}`, url: resultUri(id), snippet: snippetOf(words, body), untrusted: false };
    return score > 0 ? [{ ...shown, score, rules: result.origin.rules, dataset: `workspace.${id}` }] : [];
  });
  return { hits, unseen: false };
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

async function searchDocuments(open: OpenDocuments, words: readonly string[]): Promise<Found> {
  const { keys, more } = await open.source.keys(open.decision, MAX_DOCUMENTS);
  const documents = await open.source.read(open.decision, keys);
  return { hits: documents.flatMap((document) => documentHit(open, document, words)), unseen: more };
}

function documentHit(open: OpenDocuments, document: GovernedDocument, words: readonly string[]): Hit[] {
  const score = scoreOf(words, `${document.key} ${document.title}`, document.text);
  const { dataset, decision } = open;
  const found = {
    title: dataset.untrusted ? fence(document.title) : document.title,
    url: documentUri(dataset, document.key),
    snippet: dataset.untrusted ? fence(snippetOf(words, document.text)) : snippetOf(words, document.text),
    untrusted: dataset.untrusted,
  };
  return score > 0
    ? [{ ...found, id: `${dataset.id}/${document.key}`, score, rules: decision.rules, dataset: dataset.id }]
    : [];
}

/** Words that say nothing about what is looked for. */
const STOP_WORDS = new Set(
  "a an and are as at be by can do does for from had has have how i if in is it its may me my of on or our shall so that the their then there these they this to was we were what when where which who why will with you your".split(
    " ",
  ),
);

function wordsOf(text: string): readonly string[] {
  const words = [...new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])];
  const telling = words.filter((word) => !STOP_WORDS.has(word));
  return telling.length > 0 ? telling : words;
}

/** How often words that begin like this one stand in the text: `return` finds returned and returns. */
function countOf(word: string, text: string): number {
  return text.toLowerCase().match(new RegExp(`(?<![\\p{L}\\p{N}])${word}`, "gu"))?.length ?? 0;
}

/** A word in the title counts ten times, in the text once and a little more for each repetition; the more of them are there, the more each counts. */
function scoreOf(words: readonly string[], title: string, body: string): number {
  const scores = words.map((word) => {
    const count = countOf(word, body);
    return (countOf(word, title) > 0 ? 10 : 0) + (count > 0 ? 1 + Math.log2(count) : 0);
  });
  const sum = scores.reduce((total, score) => total + score, 0);
  const share = scores.filter((score) => score > 0).length / Math.max(1, scores.length);
  return sum * share;
}

/** Text around the first word found. */
function snippetOf(words: readonly string[], body: string): string {
  const text = body.replace(/\s+/g, " ").trim();
  const lower = text.toLowerCase();
  const at = Math.min(
    ...words.map((word) => lower.search(new RegExp(`(?<![\\p{L}\\p{N}])${word}`, "u"))).filter((index) => index >= 0),
    text.length,
  );
  const start = at === text.length ? 0 : Math.max(0, at - SNIPPET_LENGTH / 4);
  const end = Math.min(text.length, start + SNIPPET_LENGTH);
  return `${start > 0 ? "…" : ""}${text.slice(start, end).toWellFormed()}${end < text.length ? "…" : ""}`;
}

function noteOf(found: number, shown: number, unseen: boolean): string {
  const parts = [
    found === 0 ? "Nothing matched. Try other words, or call describe for all datasets." : "",
    shown < found ? `${shown} of ${found} hits shown.` : "",
    unseen ? `Only the first ${MAX_DOCUMENTS} documents of a source were looked at.` : "",
  ];
  return parts.filter((part) => part !== "").join(" ");
}
