// The sweep: brings the document index of a namespace up to date with edits made outside, of which KV tells nobody. It goes
// through the keys page by page, reads what is there and indexes what has changed; the index remembers how far it came, so
// that a run that ends or dies is taken up by the next.
import { sha256Hex } from "../lib/crypto.ts";
import type { DocumentIndex, IndexedDocument } from "../storage/documents.ts";
import type { Sweeps } from "../storage/sweeps.ts";
import { KEYS_PER_READ } from "./kv-documents.ts";
import type { KvDocuments } from "./kv-documents.ts";
import type { DocumentContent } from "./source.ts";

export interface SweepParts {
  readonly documents: KvDocuments;
  readonly index: DocumentIndex;
  readonly sweeps: Sweeps;
  readonly now: () => number;
  /** Documents of one run at most, but for the rest of a page. */
  readonly sweepDocuments: number;
  /** How long after the beginning of a sweep the next is due. */
  readonly indexSeconds: number;
}

/** KV lists at most this many keys at once. */
const KEYS_PER_PAGE = 1000;
/** How long one run goes on with new pages: what follows an answer has 30 seconds. */
const RUN_MS = 20_000;
/** How long one page may take before somebody else takes the sweep up. */
const LEASE_MS = 60_000;
/** Characters of a document that are indexed. */
const MAX_INDEXED = 200_000;

/** Runs once, within its bounds. Two at once do the same work twice, and nothing else. Errors: `source_unavailable`, and D1's own. */
export async function sweep({
  documents,
  index,
  sweeps,
  now,
  sweepDocuments,
  indexSeconds,
}: SweepParts): Promise<void> {
  const beganMs = now();
  let place = await sweeps.begin(beganMs, LEASE_MS);
  let seen = 0;
  while (place !== undefined) {
    const { cursor } = place;
    const page = await documents.list({ limit: KEYS_PER_PAGE, cursor });
    const afterKey = page.keys.at(-1) ?? place.afterKey;
    for (let start = 0; start < page.keys.length; start += KEYS_PER_READ)
      await indexAgain(documents, index, page.keys.slice(start, start + KEYS_PER_READ));
    seen += page.keys.length;
    const goesOn: boolean = page.cursor !== null && seen < sweepDocuments && now() < beganMs + RUN_MS;
    const times = { leaseUntilMs: goesOn ? now() + LEASE_MS : 0, dueMs: beganMs + indexSeconds * 1000 };
    const next = page.cursor === null ? null : { cursor: page.cursor, afterKey };
    const isMoved = await sweeps.advance(place, { keys: page.keys, next }, times);
    place = isMoved && goesOn && next !== null ? { ...next, sweep: place.sweep } : undefined;
  }
}

/** Brings the index in line with what lies under these keys now. */
export async function indexAgain(documents: KvDocuments, index: DocumentIndex, keys: readonly string[]): Promise<void> {
  const [read, known] = [await documents.read(keys), await index.hashesOf(keys)];
  const fresh = await Promise.all(read.map(toIndexed));
  const changed = fresh.filter(({ key, hash }) => known.get(key) !== hash);
  const there = new Set(read.map(({ key }) => key));
  const gone = keys.filter((key) => known.has(key) && !there.has(key));
  if (changed.length > 0) await index.put(changed);
  if (gone.length > 0) await index.remove(gone);
}

/** What is indexed of a document, with the hash that tells whether it still is that one. */
export async function toIndexed({ key, title, text }: DocumentContent): Promise<IndexedDocument> {
  const hash = (await sha256Hex(text)).slice(0, 32);
  return { key, hash, title: `${key} ${title}`, body: text.slice(0, MAX_INDEXED).toWellFormed() };
}
