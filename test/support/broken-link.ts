// Follows a whole chain of audit records.
import type { LedgerRecord } from "../../src/audit/audit-record.ts";
import { GENESIS, followChain } from "../../src/audit/record-chain.ts";

/**
 * Finds the first record that does not fit the chain; null when all fit. `records` start at seq 1, and the result is a seq.
 */
export function findBrokenLink(records: readonly LedgerRecord[]): number | null {
  let head = GENESIS;
  for (const record of records) {
    const next = followChain(head, record);
    if (typeof next === "string") return head.seq + 1;
    head = next;
  }
  return null;
}
