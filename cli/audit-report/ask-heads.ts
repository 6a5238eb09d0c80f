// Asks the ledgers, through the running server, up to which record they have sent their chains. Without that, records that are
// missing at the end of a chain do not show. The question and the signed answers are stored in GATEHOUSE_DB.
import { formatHead, verifySignature } from "../../src/audit/head-signature.ts";
import { SEND_AGAIN } from "../../src/audit/ledger-heads.ts";
import type { ChainHead } from "../../src/audit/record-chain.ts";
import { newId } from "../../src/lib/ids.ts";
import { CliError } from "../kit/cli-error.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";

/** The answers. */
export interface AskedHeads {
  readonly heads: ReadonlyMap<string, ChainHead>;
  /** The public keys that verify the answers: one, unless the key was changed meanwhile. */
  readonly keys: readonly string[];
  /** How many ledgers did not answer: all of them when the server does not run or has no key. */
  readonly unanswered: number;
}

/** Has these ledgers send again what GATEHOUSE_DB lacks and they still have. */
export async function askToSendAgain(database: OwnDatabase, ledgers: readonly string[]): Promise<void> {
  const { auditHeads } = database;
  for (let at = 0; at < ledgers.length; at += MAX_ASKED) {
    const nonce = SEND_AGAIN + newId();
    await auditHeads.request(nonce, ledgers.slice(at, at + MAX_ASKED), Date.now());
    await database.tell();
    await auditHeads.deleteRequests(nonce);
  }
}

/** How many ledgers are asked at once. */
const MAX_ASKED = 1000;

/**
 * Asks these ledgers. `key` is the public key that the operator noted. Throws `CliError` when an answer has another key or a wrong
 * signature.
 */
export async function askHeads(
  database: OwnDatabase,
  ledgers: readonly string[],
  key: string | undefined,
): Promise<AskedHeads> {
  const { auditHeads } = database;
  const heads = new Map<string, ChainHead>();
  const keys = new Set<string>();
  for (let at = 0; at < ledgers.length; at += MAX_ASKED) {
    const asked = ledgers.slice(at, at + MAX_ASKED);
    const nonce = newId();
    await auditHeads.request(nonce, asked, Date.now());
    try {
      await database.tell();
      for (const answer of await auditHeads.listAnswers(nonce)) {
        const isSigned = await verifySignature(key ?? answer.key, formatHead(nonce, answer), answer.signature);
        if (!isSigned)
          throw new CliError(
            `The answer of the ledger ${answer.ledger} was not signed with the key ${key ?? answer.key}.`,
            {
              hint: "Either the key of the deployment was changed, or the answer was forged.",
            },
          );
        // The answer counts for a ledger that was asked, and for no other.
        if (!asked.includes(answer.ledger)) continue;
        keys.add(answer.key);
        heads.set(answer.ledger, { seq: answer.seq, hash: answer.hash });
      }
    } finally {
      await auditHeads.deleteRequests(nonce);
    }
    if (heads.size === 0) break;
  }
  return { heads, keys: [...keys], unanswered: ledgers.filter((ledger) => !heads.has(ledger)).length };
}
