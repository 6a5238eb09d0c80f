// What the Worker does for the proof of the audit log: it answers requests for the heads of ledgers, and makes the signed daily list.
import { digestHeads, formatHead, formatList } from "./head-signature.ts";
import type { LedgerHead, SigningKey } from "./head-signature.ts";
import type { AuditHeadStore, SignedHead } from "./audit-head-store.ts";
import type { ChainHead } from "./record-chain.ts";

/** What proving needs. */
export interface HeadDependencies {
  readonly store: AuditHeadStore;
  readonly key: SigningKey;
  /** Asks the ledger of a user up to which record it has sent its chain. */
  readonly readHead: (ledger: string) => Promise<ChainHead>;
  /** Returns milliseconds since the epoch. */
  readonly now: () => number;
}

/** How many ledgers are asked at the same time, and the most requests that one run answers. */
const BATCH_SIZE = 50;
const MAX_ANSWERS = 5000;

/** Answers the open requests for heads. A request that a crash left open is answered by the next run. */
export async function answerHeadRequests({ store, key, readHead }: HeadDependencies): Promise<void> {
  for (let answered = 0; answered < MAX_ANSWERS; answered += BATCH_SIZE) {
    const requests = await store.listOpen(BATCH_SIZE);
    if (requests.length === 0) return;
    for (const [nonce, group] of Map.groupBy(requests, (request) => request.nonce)) {
      const heads = await readHeads(
        group.map(({ ledger }) => ledger),
        readHead,
      );
      const signed = heads.map(async (head): Promise<SignedHead> => ({
        ...head,
        signature: await key.sign(formatHead(nonce, head)),
        key: key.publicKey,
      }));
      await store.answer(nonce, await Promise.all(signed));
    }
  }
}

/**
 * Makes the list of the day before, if it is not made yet: the heads of all ledgers that have sent records. Heads that were stored before a
 * crash stay as they were.
 */
export async function makeDailyList({ store, key, readHead, now }: HeadDependencies): Promise<void> {
  const day = formatDay(now() - 86_400_000);
  const newest = await store.findNewestList();
  if (newest !== null && newest.day >= day) return;
  for (;;) {
    const ledgers = await store.listMissingLedgers(day, BATCH_SIZE);
    if (ledgers.length === 0) break;
    await store.addHeads(day, await readHeads(ledgers, readHead));
  }
  const heads = await store.listHeads(day);
  const list = {
    day,
    madeMs: now(),
    ledgers: heads.length,
    records: heads.reduce((sum, { seq }) => sum + seq, 0),
    digest: await digestHeads(heads),
  };
  await store.addList({ ...list, signature: await key.sign(formatList(list)), key: key.publicKey });
}

async function readHeads(
  ledgers: readonly string[],
  readHead: HeadDependencies["readHead"],
): Promise<readonly LedgerHead[]> {
  return Promise.all(ledgers.map(async (ledger) => ({ ledger, ...(await readHead(ledger)) })));
}

/** Formats the UTC day: `2026-11-21`. */
function formatDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
