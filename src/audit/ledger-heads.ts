// What the Worker does for the proof of the audit log: it answers requests for the heads of ledgers, and makes the signed daily list.
import { digestHeads, formatHead, formatList, verifySignature } from "./head-signature.ts";
import type { LedgerHead, SigningKey } from "./head-signature.ts";
import type { AuditHeadStore, SignedHead } from "./audit-head-store.ts";
import type { ChainHead } from "./record-chain.ts";

/** What proving needs. */
export interface HeadDependencies {
  readonly store: AuditHeadStore;
  readonly key: SigningKey;
  /** Asks the ledger of a user up to which record it has sent its chain. */
  readonly readHead: (ledger: string) => Promise<ChainHead>;
  /** Has the ledger of a user send again what it still has of the records after one. */
  readonly sendAgain: (ledger: string, afterSeq: number) => Promise<void>;
  /** Returns milliseconds since the epoch. */
  readonly now: () => number;
  /** Called when a ledger does not answer. */
  readonly onError: (error: unknown) => void;
}

/** How many ledgers are asked at the same time, and the most requests that one run answers. */
const BATCH_SIZE = 50;
const MAX_ANSWERS = 5000;

/** How the nonce of a request begins after whose answer a ledger sends again what is not stored. */
export const SEND_AGAIN = "send again ";

/**
 * Answers the open requests for heads. A ledger that does not answer, or a crash, leaves its request to the next run. A request
 * whose nonce begins with `SEND_AGAIN` also has the ledgers send again what is not stored.
 */
export async function answerHeadRequests(dependencies: HeadDependencies): Promise<void> {
  const { store, key, readHead, onError } = dependencies;
  const failed = new Set<string>();
  for (let answered = 0; answered < MAX_ANSWERS; answered += BATCH_SIZE) {
    const requests = (await store.listOpen(BATCH_SIZE + failed.size)).filter(({ ledger }) => !failed.has(ledger));
    if (requests.length === 0) return;
    for (const [nonce, group] of Map.groupBy(requests, (request) => request.nonce)) {
      const settled = await Promise.all(
        group.map(async ({ ledger }): Promise<SignedHead | null> => {
          try {
            const head = { ledger, ...(await readHead(ledger)) };
            return { ...head, signature: await key.sign(formatHead(nonce, head)), key: key.publicKey };
          } catch (error) {
            onError(error);
            failed.add(ledger);
            return null;
          }
        }),
      );
      const heads = settled.filter((head) => head !== null);
      await store.answer(nonce, heads);
      if (nonce.startsWith(SEND_AGAIN)) await sendLost(dependencies, heads);
    }
  }
}

/**
 * Makes the list of the day before, unless it is made: the heads of all ledgers, as they say them now. Heads that
 * GATEHOUSE_DB has are not signed, because whoever can write there could have put them there. A list that this key has not signed is
 * replaced.
 */
export async function makeDailyList(dependencies: HeadDependencies): Promise<void> {
  const { store, key, readHead, now } = dependencies;
  const day = formatDay(now() - 86_400_000);
  const stored = await store.findList(day);
  if (stored !== null && (await verifySignature(key.publicKey, formatList(stored), stored.signature))) return;
  const ledgers = await store.listLedgers();
  const heads: LedgerHead[] = [];
  for (let at = 0; at < ledgers.length; at += BATCH_SIZE)
    heads.push(
      ...(await Promise.all(
        ledgers.slice(at, at + BATCH_SIZE).map(async (ledger) => ({ ledger, ...(await readHead(ledger)) })),
      )),
    );
  const list = {
    day,
    madeMs: now(),
    ledgers: heads.length,
    records: heads.reduce((sum, { seq }) => sum + seq, 0),
    digest: await digestHeads(heads),
  };
  await store.replaceList({ ...list, signature: await key.sign(formatList(list)), key: key.publicKey }, heads);
  await sendLost(dependencies, heads);
}

/** Has the ledgers send again whose end is not stored. */
async function sendLost({ store, sendAgain, onError }: HeadDependencies, heads: readonly LedgerHead[]): Promise<void> {
  for (const { ledger, storedSeq } of await store.listLost(heads)) await sendAgain(ledger, storedSeq).catch(onError);
}

/** Formats the UTC day: `2026-11-21`. */
function formatDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
