// A KV namespace as a source of documents. Keys name them, Markdown headings give them titles; bytes are sized, not shown.
// Its search asks the index which documents hold the words, and reads those again before anything of them is shown.
import { hasAny } from "../lib/words.ts";
import { AppError } from "../errors.ts";
import type { DocumentDataset, SourceDeclaration } from "../policy/model.ts";
import type { IndexFound } from "../storage/documents.ts";
import type { KvDocuments } from "./kv-documents.ts";
import { governDocument } from "./source.ts";
import type { AllowedDecision, DocumentContent, DocumentSource, FoundDocuments } from "./source.ts";
import { indexAgain, sweep, toIndexed } from "./sweep.ts";
import type { SweepParts } from "./sweep.ts";

export interface KvParts extends SweepParts {
  /** Goes on with work after the answer has left. */
  readonly background: (work: Promise<unknown>) => void;
  /** Gets what the operator has to mend. */
  readonly log: (message: string, error?: unknown) => void;
}

/** Documents that a search looks at while there is no index. */
const MAX_UNINDEXED = 1000;
/** Hits beyond those wanted, for some that are no more what was indexed. */
const SPARE_HITS = 2;
/** How often the index is asked again when too many of its hits were not. */
const MAX_ROUNDS = 3;

/** Builds the source of one declared KV binding. */
export function createKvSource(
  declaration: SourceDeclaration,
  dataset: DocumentDataset,
  parts: KvParts,
): DocumentSource {
  const { documents, background, log } = parts;
  const inBackground = (work: Promise<void>): void =>
    background(work.catch((error: unknown) => log(`the document index of ${declaration.name}`, error)));
  return {
    kind: "kv",
    declaration,
    dataset,
    async keys(decision, maxKeys, prefix = "") {
      requireDecision(decision, dataset);
      const { keys, cursor } = await documents.list({ limit: maxKeys, prefix });
      return { keys, more: cursor !== null };
    },
    async read(decision, keys) {
      requireDecision(decision, dataset);
      return (await documents.read(keys)).map(governDocument);
    },
    async search(decision, words, maxDocuments) {
      requireDecision(decision, dataset);
      const { found, state, stale } = await searchIndex(parts, declaration.name, words, maxDocuments);
      if (stale.length > 0) inBackground(indexAgain(documents, parts.index, stale));
      if (state.isDue) inBackground(sweep(parts));
      return found ?? searchAll(documents, words);
    },
  };
}

interface IndexSearch {
  /** Undefined when there is no index yet. */
  readonly found: FoundDocuments | undefined;
  readonly state: IndexFound;
  /** Keys of which the index has something else than the namespace. */
  readonly stale: readonly string[];
}

async function searchIndex(
  { documents, index, now }: KvParts,
  name: string,
  words: readonly string[],
  maxDocuments: number,
): Promise<IndexSearch> {
  const wanted = maxDocuments + SPARE_HITS;
  for (let round = 1; ; round += 1) {
    const state = await answeredBy(name, index.find(words, wanted + 1, now()));
    const { sweptMs, hits } = state;
    if (sweptMs === null) return { found: undefined, state, stale: [] };
    const asked = hits.slice(0, wanted);
    const { fresh, stale } = await readAgain(documents, asked, words);
    const more = hits.length > wanted || fresh.length > maxDocuments;
    // Enough, or all there is: what is stale is mended behind the answer. Otherwise at once, and the index is asked again.
    if (fresh.length >= maxDocuments || hits.length <= wanted || round === MAX_ROUNDS) {
      const ageSeconds = Math.max(0, Math.round((now() - sweptMs) / 1000));
      return { found: { documents: fresh.slice(0, maxDocuments).map(governDocument), more, ageSeconds }, state, stale };
    }
    await answeredBy(name, indexAgain(documents, index, stale));
  }
}

/** The hits as they are now, without those that hold none of the words any more. */
async function readAgain(
  documents: KvDocuments,
  hits: IndexFound["hits"],
  words: readonly string[],
): Promise<{ readonly fresh: readonly DocumentContent[]; readonly stale: readonly string[] }> {
  const read = new Map((await documents.read(hits.map(({ key }) => key))).map((one) => [one.key, one]));
  const fresh: DocumentContent[] = [];
  const stale: string[] = [];
  for (const { key, hash } of hits) {
    const document = read.get(key);
    const now = document === undefined ? undefined : await toIndexed(document);
    if (now?.hash !== hash) stale.push(key);
    if (document !== undefined && (now?.hash === hash || hasAny(words, `${key} ${document.title}\n${document.text}`)))
      fresh.push(document);
  }
  return { fresh, stale };
}

/** The first documents one by one: what there is to do before the first sweep has ended. */
async function searchAll(documents: KvDocuments, words: readonly string[]): Promise<FoundDocuments> {
  const { keys, cursor } = await documents.list({ limit: MAX_UNINDEXED });
  const read = await documents.read(keys);
  const found = read.filter(({ key, title, text }) => hasAny(words, `${key} ${title}\n${text}`));
  return { documents: found.map(governDocument), more: false, ...(cursor === null ? {} : { lookedAt: keys.length }) };
}

async function answeredBy<T>(name: string, answer: Promise<T>): Promise<T> {
  return answer.catch((cause: unknown) => {
    if (cause instanceof AppError) throw cause;
    const message = `The index of ${name} does not answer at the moment. Try again in a minute.`;
    throw new AppError("source_unavailable", message, { cause });
  });
}

/** The decision in hand must be the one on this dataset: a mix-up is a defect, not a refusal. */
function requireDecision(decision: AllowedDecision, dataset: DocumentDataset): void {
  if (decision.dataset.id !== dataset.id)
    throw new TypeError(`a decision on ${decision.dataset.id} does not open ${dataset.id}`);
}
