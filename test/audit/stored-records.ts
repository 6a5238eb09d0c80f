// Audit records for tests, in GATEHOUSE_DB: chains with real hashes, as a ledger would have sent them.
import { INTERRUPTED_OUTCOME } from "../../src/audit/audit-record.ts";
import type { Attempt, Outcome } from "../../src/audit/audit-record.ts";
import type { AuditRecordStore, SentRecord } from "../../src/audit/audit-record-store.ts";
import { GENESIS, createSalts, hashRecord } from "../../src/audit/record-chain.ts";
import type { ChainHead } from "../../src/audit/record-chain.ts";
import { listTerms, readEntry } from "../../src/audit/record-entry.ts";
import { newId } from "../../src/lib/ids.ts";

/** What a test says of a record; the rest is the same for all. */
export interface CallOptions {
  readonly attempt?: Partial<Attempt>;
  readonly outcome?: Partial<Outcome>;
  /** When the call ended. */
  readonly endedMs?: number;
}

/** When the calls of a chain ended unless a test says it: one each minute from here on. */
export const FIRST_MS = Date.parse("2026-11-27T10:00:00Z");
const ANSWERED: Outcome = {
  ...INTERRUPTED_OUTCOME,
  result: "answered",
  code: null,
  datasets: ["shop.orders"],
  rows: 3,
};

/** Seals the next record of a chain. */
export function sealRecord(ledger: string, head: ChainHead, options: CallOptions = {}): SentRecord {
  const { attempt, outcome, endedMs = FIRST_MS + head.seq * 60_000 } = options;
  const time = new Date(endedMs).toISOString();
  const common = {
    call: newId(),
    subjectId: ledger,
    owner: null,
    clientId: "c",
    operation: "query",
    asked: "SELECT ?",
  };
  const body = JSON.stringify({
    attempt: { ...common, ...attempt },
    outcome: { ...ANSWERED, ...outcome },
    began: time,
    ended: time,
  });
  const salts = createSalts(body, (count) => crypto.getRandomValues(new Uint8Array(count)));
  const record = { seq: head.seq + 1, body, salts: JSON.stringify(salts), hash: hashRecord(head, body, salts) };
  return { ...record, endedMs, terms: listTerms(readEntry(ledger, record)) };
}

/** Seals the chain of these calls. */
export function sealChain(ledger: string, calls: readonly CallOptions[]): readonly SentRecord[] {
  const records: SentRecord[] = [];
  for (const call of calls) records.push(sealRecord(ledger, records.at(-1) ?? GENESIS, call));
  return records;
}

/** Stores a new ledger with these calls, and returns its id. */
export async function storeChain(store: AuditRecordStore, calls: readonly CallOptions[]): Promise<string> {
  const ledger = newId();
  await store.append(ledger, sealChain(ledger, calls));
  return ledger;
}
