// The hash chain over a subject's records: removing, reordering or changing one breaks every later hash. That the newest
// were cut off shows only against a head kept elsewhere.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { LedgerRecord } from "./record.ts";

/** The hash before the first record. */
export const GENESIS = "0".repeat(64);

/** The hash of a record: SHA-256 of the previous hash, a line feed and the body. Synchronous, so that no await can fall
 * between reading the chain's head and writing its next link. */
export function linkHash(previous: string, body: string): string {
  return bytesToHex(sha256(utf8ToBytes(`${previous}\n${body}`)));
}

/** The seq of the first record that does not fit the chain, or null when all do. Records start at seq 1. */
export function firstBrokenLink(records: readonly LedgerRecord[]): number | null {
  let previous = GENESIS;
  for (const [index, record] of records.entries()) {
    if (record.seq !== index + 1 || record.hash !== linkHash(previous, record.body)) return index + 1;
    previous = record.hash;
  }
  return null;
}
