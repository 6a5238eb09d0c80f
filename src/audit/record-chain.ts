// The hash chain over a subject's audit records: removing, reordering or changing a record breaks every later hash. Removing the newest
// records shows only when the head of the chain is compared with a copy that is stored elsewhere.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { LedgerRecord } from "./audit-record.ts";

/** The previous hash of the first record. */
export const GENESIS_HASH = "0".repeat(64);

/**
 * Computes the hash of a record: SHA-256 of the previous hash, a line feed and the body. It is synchronous, so that no await can
 * interleave between reading the head of the chain and writing its next link.
 */
export function hashLink(previous: string, body: string): string {
  return bytesToHex(sha256(utf8ToBytes(`${previous}\n${body}`)));
}

/**
 * Finds the first record that does not fit the chain; null when all fit. For the command that will verify the audit chain; today only
 * tests use it. `records` start at seq 1, and the result is a seq.
 */
export function findBrokenLink(records: readonly LedgerRecord[]): number | null {
  let previous = GENESIS_HASH;
  for (const [index, record] of records.entries()) {
    if (record.seq !== index + 1 || record.hash !== hashLink(previous, record.body)) return index + 1;
    previous = record.hash;
  }
  return null;
}
