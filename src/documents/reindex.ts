// Brings the document index of a namespace up to date with edits made outside Gatehouse, which KV does not announce. A pass
// goes through all keys page by page; its position is stored, so a run that stops or dies is continued by the next run.
import { sha256Hex } from "../lib/crypto.ts";
import { toIndexText } from "../lib/search-words.ts";
import { INDEX_FORM } from "./document-index-store.ts";
import type { DocumentIndex, IndexedDocument } from "./document-index-store.ts";
import type { ReindexStore } from "./reindex-store.ts";
import { KEYS_PER_READ } from "./kv-documents.ts";
import type { KvDocuments } from "./kv-documents.ts";
import type { DocumentContent } from "../read/source.ts";

export interface ReindexParts {
  readonly documents: KvDocuments;
  readonly index: DocumentIndex;
  readonly reindexStore: ReindexStore;
  readonly now: () => number;
  /** The most documents in one run; a run still finishes its last page. */
  readonly reindexDocuments: number;
  /** Time from the start of a pass until the next one is due. */
  readonly indexSeconds: number;
}

/** KV lists at most this many keys in one request. */
const KEYS_PER_PAGE = 1000;
/** How long a run keeps starting new pages. The platform allows 30 seconds of background work after a response. */
const MAX_RUN_MS = 20_000;
/** How long one page may take before another run may take over the pass. */
const LEASE_MS = 60_000;
/** The most characters of an entry: a few characters fold to many others, and D1 binds at most 2 MB. */
const MAX_INDEX_TEXT_CHARACTERS = 500_000;

/**
 * Runs part of a pass, within the limits above. Concurrent runs repeat work but do no harm. Errors: `source_unavailable`, and
 * those of D1.
 */
export async function reindex({
  documents,
  index,
  reindexStore,
  now,
  reindexDocuments,
  indexSeconds,
}: ReindexParts): Promise<void> {
  const startedAtMs = now();
  let position = await reindexStore.begin(startedAtMs, LEASE_MS);
  let listedKeys = 0;
  while (position !== undefined) {
    const { cursor } = position;
    const page = await documents.list({ limit: KEYS_PER_PAGE, cursor });
    const afterKey = page.keys.at(-1) ?? position.afterKey;
    for (let start = 0; start < page.keys.length; start += KEYS_PER_READ)
      await updateIndex(documents, index, page.keys.slice(start, start + KEYS_PER_READ));
    listedKeys += page.keys.length;
    const continues: boolean =
      page.cursor !== null && listedKeys < reindexDocuments && now() < startedAtMs + MAX_RUN_MS;
    const times = { leaseUntilMs: continues ? now() + LEASE_MS : 0, dueMs: startedAtMs + indexSeconds * 1000 };
    const next = page.cursor === null ? null : { cursor: page.cursor, afterKey };
    const hasAdvanced = await reindexStore.advance(position, { keys: page.keys, next }, times);
    position = hasAdvanced && continues && next !== null ? { ...next, run: position.run } : undefined;
  }
}

/** Makes the index match the documents that are stored under these keys now. */
export async function updateIndex(source: KvDocuments, index: DocumentIndex, keys: readonly string[]): Promise<void> {
  const [documents, indexedHashes] = [await source.read(keys), await index.readHashes(keys)];
  const currentDocuments = await Promise.all(documents.map(toIndexedDocument));
  const changedDocuments = currentDocuments.filter(({ key, hash }) => indexedHashes.get(key) !== hash);
  const existingKeys = new Set(documents.map(({ key }) => key));
  const removedKeys = keys.filter((key) => indexedHashes.has(key) && !existingKeys.has(key));
  if (changedDocuments.length > 0) await index.put(changedDocuments);
  if (removedKeys.length > 0) await index.remove(removedKeys);
}

/** Builds a document's index entry. Its hash shows later whether the document, its title or the form of the index has changed. */
export async function toIndexedDocument({ key, title, text }: DocumentContent): Promise<IndexedDocument> {
  const digest = await sha256Hex(`${title}\n${text}`);
  return {
    key,
    hash: `${INDEX_FORM}${digest.slice(0, 32)}`,
    title: toIndexText(`${key} ${title}`),
    body: toIndexText(text).slice(0, MAX_INDEX_TEXT_CHARACTERS),
  };
}
