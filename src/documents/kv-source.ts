// The document source over a KV namespace, behind the gateway's decision. Search asks the index which documents contain the
// words, and rereads each one from KV before it shows anything, so a stale index never reveals deleted text.
import { hasAny } from "../lib/search-words.ts";
import { AppError } from "../errors.ts";
import type { AllowedDecision, DocumentDataset, SourceDeclaration } from "../policy/model.ts";
import type { IndexSearchResult } from "./document-index-store.ts";
import type { KvDocuments } from "./kv-documents.ts";
import { governDocument } from "../read/source.ts";
import type { DocumentContent, DocumentSource, DocumentMatches } from "../read/source.ts";
import { updateIndex, reindex, toIndexedDocument } from "./reindex.ts";
import type { ReindexParts } from "./reindex.ts";

interface KvSourceParts extends ReindexParts {
  /** Keeps background work alive after the response is sent. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** Receives problems that the operator has to fix. */
  readonly log: (message: string, error?: unknown) => void;
}

/** Documents that a search scans while there is no index. */
const MAX_SCANNED_DOCUMENTS = 1000;
/** Extra hits to request, because some may be stale. */
const SPARE_HITS = 2;
/** Index queries per search. A query is repeated when too many hits were stale. */
const MAX_INDEX_QUERIES = 3;

/** Creates the document source of one declared KV binding. */
export function createKvSource(
  declaration: SourceDeclaration,
  dataset: DocumentDataset,
  parts: KvSourceParts,
): DocumentSource {
  const { documents, waitUntil, log } = parts;
  const runInBackground = (work: Promise<void>): void =>
    waitUntil(work.catch((error: unknown) => log(`updating the document index of ${declaration.name} failed`, error)));
  return {
    kind: "kv",
    declaration,
    dataset,
    async listKeys(decision, maxKeys, prefix = "") {
      requireDecision(decision, dataset);
      const { keys, cursor } = await documents.list({ limit: maxKeys, prefix });
      return { keys, hasMore: cursor !== null };
    },
    async read(decision, keys) {
      requireDecision(decision, dataset);
      return (await documents.read(keys)).map(governDocument);
    },
    async search(decision, words, maxDocuments) {
      requireDecision(decision, dataset);
      const { matches, state, staleKeys } = await searchIndex(parts, declaration.name, words, maxDocuments);
      if (staleKeys.length > 0) runInBackground(updateIndex(documents, parts.index, staleKeys));
      if (state.isDue) runInBackground(reindex(parts));
      return matches ?? scanDocuments(documents, words);
    },
  };
}

interface IndexSearch {
  /** Undefined if the index has no complete pass yet. */
  readonly matches: DocumentMatches | undefined;
  readonly state: IndexSearchResult;
  /** Keys whose indexed text differs from the namespace. */
  readonly staleKeys: readonly string[];
}

async function searchIndex(
  { documents, index, now }: KvSourceParts,
  name: string,
  words: readonly string[],
  maxDocuments: number,
): Promise<IndexSearch> {
  const wantedHits = maxDocuments + SPARE_HITS;
  for (let round = 1; ; round += 1) {
    const state = await wrapIndexError(name, index.find(words, wantedHits + 1, now()));
    const { indexedMs, hits } = state;
    if (indexedMs === null) return { matches: undefined, state, staleKeys: [] };
    const candidates = hits.slice(0, wantedHits);
    const { matches, staleKeys } = await rereadHits(documents, candidates, words);
    const hasMore = hits.length > wantedHits || matches.length > maxDocuments;
    // With enough matches, or no more hits to request, the caller reindexes stale keys in the background. Otherwise they are
    // reindexed now, so that the next query does not return them again.
    if (matches.length >= maxDocuments || hits.length <= wantedHits || round === MAX_INDEX_QUERIES) {
      const ageSeconds = Math.max(0, Math.round((now() - indexedMs) / 1000));
      return {
        matches: { documents: matches.slice(0, maxDocuments).map(governDocument), hasMore, ageSeconds },
        state,
        staleKeys,
      };
    }
    await wrapIndexError(name, updateIndex(documents, index, staleKeys));
  }
}

/** Rereads the hits from KV and drops those that no longer contain any of the words. */
async function rereadHits(
  documents: KvDocuments,
  hits: IndexSearchResult["hits"],
  words: readonly string[],
): Promise<{ readonly matches: readonly DocumentContent[]; readonly staleKeys: readonly string[] }> {
  const documentByKey = new Map(
    (await documents.read(hits.map(({ key }) => key))).map((document) => [document.key, document]),
  );
  const matches: DocumentContent[] = [];
  const staleKeys: string[] = [];
  for (const { key, hash } of hits) {
    const document = documentByKey.get(key);
    const currentEntry = document === undefined ? undefined : await toIndexedDocument(document);
    if (currentEntry?.hash !== hash) staleKeys.push(key);
    if (
      document !== undefined &&
      (currentEntry?.hash === hash || hasAny(words, `${key} ${document.title}\n${document.text}`))
    )
      matches.push(document);
  }
  return { matches, staleKeys };
}

/** Searches the first documents without the index, which is incomplete until its first pass ends. */
async function scanDocuments(documents: KvDocuments, words: readonly string[]): Promise<DocumentMatches> {
  const { keys, cursor } = await documents.list({ limit: MAX_SCANNED_DOCUMENTS });
  const firstDocuments = await documents.read(keys);
  const matches = firstDocuments.filter(({ key, title, text }) => hasAny(words, `${key} ${title}\n${text}`));
  return {
    documents: matches.map(governDocument),
    hasMore: false,
    ...(cursor === null ? {} : { scannedDocuments: keys.length }),
  };
}

async function wrapIndexError<T>(name: string, answer: Promise<T>): Promise<T> {
  return answer.catch((cause: unknown) => {
    if (cause instanceof AppError) throw cause;
    const message = `The index of ${name} is not responding. Try again in a minute.`;
    throw new AppError("source_unavailable", message, { cause });
  });
}

/** Throws if the decision is about another dataset: that is a bug in the caller, not a refusal. */
function requireDecision(decision: AllowedDecision, dataset: DocumentDataset): void {
  if (decision.dataset.id !== dataset.id)
    throw new TypeError(`a decision on ${decision.dataset.id} does not open ${dataset.id}`);
}
