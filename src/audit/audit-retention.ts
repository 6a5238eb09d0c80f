// Removes records from GATEHOUSE_DB that are older than the operator keeps them, from the beginning of each chain. A signed checkpoint
// stands for what was removed: the number and the hash of the last removed record, with which the chain still verifies. Only records that
// fit their chain are removed: otherwise the signature would cover a forgery.
import { byteLength } from "../lib/bytes.ts";
import type { AuditRecordStore, RecordTerm, StoredRecord } from "./audit-record-store.ts";
import type { CheckpointStore, SignedCheckpoint } from "./checkpoint-store.ts";
import { formatCheckpoint, verifySignature } from "./head-signature.ts";
import type { SigningKey } from "./head-signature.ts";
import { GENESIS } from "./record-chain.ts";
import type { ChainHead } from "./record-chain.ts";
import { followRecord } from "./verify-chain.ts";

/** What the removal needs. */
export interface RetentionDependencies {
  readonly checkpoints: CheckpointStore;
  readonly records: Pick<AuditRecordStore, "listChain">;
  readonly key: SigningKey;
  /** The highest id of a record that may be removed, for example because the archive has it. */
  readonly maxId: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Called for a ledger of which nothing more can be removed: its next record, or its checkpoint, is not what Gatehouse wrote. */
  readonly onUnsound: (
    ledger: string,
    unsound: { readonly what: "record" | "checkpoint"; readonly seq: number },
  ) => void;
  /** Called for a ledger whose records could not be read or removed; the others go on. */
  readonly onError: (error: unknown) => void;
}

const DAY_MS = 86_400_000;
/** Records of one transaction, and transactions of one run; the next run continues. */
const PAGE_RECORDS = 200;
const MAX_PAGES = 50;
/** The most bytes of terms of one transaction: D1 takes at most 2 MB as one value. */
const MAX_TERM_BYTES = 1_000_000;

/** Removes records that ended more than `retentionDays` ago. Returns how many. */
export async function removeOldRecords(dependencies: RetentionDependencies, retentionDays: number): Promise<number> {
  const { checkpoints, maxId, now, onError } = dependencies;
  const untilMs = now() - retentionDays * DAY_MS;
  if (!(await checkpoints.hasRecordsBefore(untilMs))) return 0;
  let removed = 0;
  let pages = 0;
  for (const ledger of await checkpoints.listLedgersBefore(untilMs, maxId))
    for (let hasMore = true; hasMore;) {
      if (pages === MAX_PAGES) return removed;
      const page = await removePage(dependencies, ledger, untilMs).catch((error: unknown) => {
        onError(error);
        return { count: 0, hasMore: false };
      });
      // A ledger of which nothing can be removed must not stop the others.
      if (page.count > 0) pages += 1;
      removed += page.count;
      ({ hasMore } = page);
    }
  return removed;
}

/** Removes the first records of a ledger up to the first one that is kept. */
async function removePage(
  dependencies: RetentionDependencies,
  ledger: string,
  untilMs: number,
): Promise<{ readonly count: number; readonly hasMore: boolean }> {
  const { checkpoints, records, key, maxId, now, onUnsound } = dependencies;
  const page = await records.listChain(ledger, 0, PAGE_RECORDS);
  const checkpointBefore = await checkpoints.find(ledger);
  if (checkpointBefore !== null && !(await isOwn(key, checkpointBefore))) {
    onUnsound(ledger, { what: "checkpoint", seq: checkpointBefore.seq });
    return { count: 0, hasMore: false };
  }
  const isOld = ({ endedMs, id }: StoredRecord): boolean => endedMs < untilMs && id <= maxId;
  const { old, terms, hasMore, unsoundSeq } = takeOld(page, checkpointBefore ?? GENESIS, isOld, ledger);
  if (unsoundSeq !== undefined) onUnsound(ledger, { what: "record", seq: unsoundSeq });
  const last = old.at(-1);
  if (last === undefined) return { count: 0, hasMore: false };
  const checkpoint = { ledger, seq: last.seq, hash: last.hash, untilMs, madeMs: now() };
  const signature = await key.sign(formatCheckpoint(checkpoint));
  await checkpoints.remove({ ...checkpoint, signature, key: key.publicKey }, { records: old, terms });
  return { count: old.length, hasMore };
}

/** The records of a page to remove. */
interface OldRecords {
  readonly old: readonly StoredRecord[];
  readonly terms: readonly RecordTerm[];
  /** Whether there may be others after them. */
  readonly hasMore: boolean;
  /** The first record that does not fit the chain. */
  readonly unsoundSeq?: number | undefined;
}

function takeOld(
  page: readonly StoredRecord[],
  start: ChainHead,
  isOld: (record: StoredRecord) => boolean,
  ledger: string,
): OldRecords {
  const old: StoredRecord[] = [];
  const terms: RecordTerm[] = [];
  let last = start;
  let termBytes = 0;
  for (const record of page) {
    if (!isOld(record)) return { old, terms, hasMore: false };
    const next = followRecord(ledger, last, record);
    if (next === null) return { old, terms, hasMore: false, unsoundSeq: record.seq };
    termBytes += byteLength(JSON.stringify(next.terms));
    if (termBytes > MAX_TERM_BYTES && old.length > 0) return { old, terms, hasMore: true };
    old.push(record);
    terms.push(...next.terms);
    last = next.head;
  }
  return { old, terms, hasMore: page.length === PAGE_RECORDS };
}

/** Whether this key signed the checkpoint. */
async function isOwn(key: SigningKey, checkpoint: SignedCheckpoint): Promise<boolean> {
  return verifySignature(key.publicKey, formatCheckpoint(checkpoint), checkpoint.signature);
}
