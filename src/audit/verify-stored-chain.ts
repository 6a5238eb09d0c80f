// Reads a ledger's chain from GATEHOUSE_DB page by page, for `verifyChain`.
import type { AuditRecordStore, ChainSpan, RecordTerm, StoredRecord } from "./audit-record-store.ts";
import { GENESIS } from "./record-chain.ts";
import type { ChainHead } from "./record-chain.ts";
import { formatTerm } from "./record-entry.ts";
import { listExpectedTerms, listForeignDecisions, verifyChain } from "./verify-chain.ts";
import type { ChainPage, ChainVerdict } from "./verify-chain.ts";

const PAGE_RECORDS = 500;
/** How many terms are looked up at once: D1 takes at most 2 MB as one value. */
const PAGE_TERMS = 2000;

/** How many chains are read at the same time. */
const CONCURRENT_CHAINS = 4;

/** What the ledgers themselves say their last records are, by ledger. Without it, records that are missing at the end do not show. */
export type LedgerHeads = ReadonlyMap<string, ChainHead>;

/** The reading side of the store. */
type ChainStore = Pick<AuditRecordStore, "find" | "listChain" | "listStoredTerms">;

/** What verifying takes besides the chains. */
interface VerifyOptions {
  readonly heads?: LedgerHeads | undefined;
  /** The last removed record of each ledger with a checkpoint, whose signature the caller has verified. */
  readonly checkpoints?: LedgerHeads | undefined;
  /** Called with the number of records of each page. */
  readonly onPage?: (count: number) => Promise<void>;
}

/** Verifies parts of chains as they are stored. The verdicts come in no order. */
export async function verifyStoredChains(
  store: ChainStore,
  spans: readonly ChainSpan[],
  options: VerifyOptions = {},
): Promise<readonly ChainVerdict[]> {
  const waiting = [...spans];
  const verdicts: ChainVerdict[] = [];
  const work = async (): Promise<void> => {
    for (let span = waiting.shift(); span !== undefined; span = waiting.shift())
      verdicts.push(await verifyStoredChain(store, span, options));
  };
  await Promise.all(Array.from({ length: CONCURRENT_CHAINS }, work));
  return verdicts;
}

async function verifyStoredChain(store: ChainStore, span: ChainSpan, options: VerifyOptions): Promise<ChainVerdict> {
  const checkpoint = options.checkpoints?.get(span.ledger);
  const verdict = await verifySpan(store, span, checkpoint, options);
  // The record of the erasure comes later than the part, so everything up to it must fit as well.
  if (verdict.fault?.kind !== "erased") return verdict;
  return verifySpan(store, { ...span, endSeq: Infinity }, checkpoint, options);
}

async function verifySpan(
  store: ChainStore,
  { ledger, startSeq, endSeq }: ChainSpan,
  checkpoint: ChainHead | undefined,
  { heads, onPage }: VerifyOptions,
): Promise<ChainVerdict> {
  const head = heads?.get(ledger);
  if (checkpoint !== undefined && head !== undefined && contradicts(checkpoint, head))
    return { ledger, records: 0, fault: { kind: "other_head", seq: checkpoint.seq } };
  const start = await findStart(store, ledger, startSeq, checkpoint);
  if (start === null) return { ledger, records: 0, fault: { kind: "missing", seq: startSeq, toSeq: startSeq } };
  const [first] = checkpoint === undefined ? [] : await store.listChain(ledger, 0, 1);
  if (first !== undefined && checkpoint !== undefined && first.seq <= checkpoint.seq)
    return { ledger, records: 0, fault: { kind: "removed", seq: first.seq } };
  async function* readPages(): AsyncGenerator<ChainPage> {
    for (let afterSeq = start?.seq ?? 0; afterSeq < endSeq;) {
      const records = await store.listChain(ledger, afterSeq, Math.min(PAGE_RECORDS, endSeq - afterSeq));
      const last = records.at(-1);
      if (last === undefined) return;
      yield { records, missingTerms: await listMissing(store, records) };
      await onPage?.(Math.min(last.seq, endSeq) - afterSeq);
      afterSeq = last.seq;
    }
  }
  // The head is that of the whole chain: a part that ends before it says nothing about it.
  const isWhole = head !== undefined && (endSeq >= head.seq || (await store.listChain(ledger, endSeq, 1)).length === 0);
  return verifyChain({ ledger, start, pages: readPages(), head: isWhole ? head : undefined });
}

/** Whether a checkpoint removed records that the ledger has not sent, or another last record. */
export function contradicts(checkpoint: ChainHead, head: ChainHead): boolean {
  return checkpoint.seq > head.seq || (checkpoint.seq === head.seq && checkpoint.hash !== head.hash);
}

/** Finds the record before a part: stored, or the last one that was removed. */
async function findStart(
  store: ChainStore,
  ledger: string,
  startSeq: number,
  checkpoint: ChainHead = GENESIS,
): Promise<ChainHead | StoredRecord | null> {
  return startSeq <= checkpoint.seq ? checkpoint : store.find(ledger, startSeq);
}

/**
 * Lists the terms by which searches do not find these records although they should. A term of another decision hides an answered call from
 * searches for allowed ones.
 */
async function listMissing(store: ChainStore, records: readonly StoredRecord[]): Promise<readonly RecordTerm[]> {
  const terms = [...listExpectedTerms(records), ...listForeignDecisions(records)];
  const missing: RecordTerm[] = [];
  for (let at = 0; at < terms.length; at += PAGE_TERMS) {
    const page = terms.slice(at, at + PAGE_TERMS);
    const stored = new Set((await store.listStoredTerms(page)).map(formatKey));
    for (const { isForeign = false, ...term } of page)
      if (stored.has(formatKey(term)) === isForeign)
        missing.push(isForeign ? { ...term, term: formatTerm("decision", "allowed") } : term);
  }
  return missing;
}

const formatKey = ({ term, recordId }: RecordTerm): string => `${recordId} ${term}`;
