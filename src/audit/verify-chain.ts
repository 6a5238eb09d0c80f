// Verifies one ledger's chain as GATEHOUSE_DB has it, and names the first bad record. It reads nothing itself: the records come in as
// pages, so that a command and the Worker can use it over chains of any length.
import type { RecordTerm, StoredRecord } from "./audit-record-store.ts";
import { createErasureCheck } from "./erasure.ts";
import { GENESIS, followChain, listErasedPaths } from "./record-chain.ts";
import type { ChainHead } from "./record-chain.ts";
import { formatTerm, listTerms, readEndedMs, readEntry } from "./record-entry.ts";
import type { AuditEntry } from "./record-entry.ts";

/** What is wrong with the first bad record of a chain. */
export type ChainFault =
  /** The chain begins later than its ledger, or records are missing between two others, or at its end. `toSeq` is the last missing one. */
  | { readonly kind: "cut_head" | "missing" | "cut_tail"; readonly seq: number; readonly toSeq: number }
  /** It was written in another place of the chain. */
  | { readonly kind: "moved"; readonly seq: number; readonly writtenSeq: number }
  /** It does not fit its hash and the record before it. */
  | { readonly kind: "changed"; readonly seq: number }
  | { readonly kind: "unreadable"; readonly seq: number }
  /** The ledger has sent no such record. */
  | { readonly kind: "invented"; readonly seq: number }
  /** A value was taken out of the record, and no erasure in the chain after it says so. */
  | { readonly kind: "erased"; readonly seq: number; readonly path: string }
  /** The checkpoint says that it was removed. */
  | { readonly kind: "removed"; readonly seq: number }
  /** It is a record of another user. */
  | { readonly kind: "other_user"; readonly seq: number; readonly user: string | null }
  /** The time by which it is found is not its own, so a search for its time does not find it. */
  | { readonly kind: "wrong_time"; readonly seq: number; readonly storedMs: number; readonly endedMs: number }
  /** Searches by these terms do not find it. */
  | { readonly kind: "hidden"; readonly seq: number; readonly terms: readonly string[] }
  /** The ledger has another record in its place: the chain was computed anew. */
  | { readonly kind: "other_head"; readonly seq: number };

/** Some records of a chain, in order, and which of their terms are not stored. */
export interface ChainPage {
  readonly records: readonly StoredRecord[];
  readonly missingTerms: readonly RecordTerm[];
}

/** A chain, or the part of it that is verified. */
export interface UnverifiedChain {
  readonly ledger: string;
  /** What is before the first record: `GENESIS`, a checkpoint, or the record before the part. */
  readonly start: ChainHead | StoredRecord;
  readonly pages: AsyncIterable<ChainPage>;
  /** What the ledger itself says its last record is. Give it only when the part ends with the chain. */
  readonly head?: ChainHead | undefined;
}

/** The result for one chain. */
export interface ChainVerdict {
  readonly ledger: string;
  /** How many records fit. */
  readonly records: number;
  /** Null when all fit. */
  readonly fault: ChainFault | null;
}

/** How far from its place a moved record is looked for, on both sides. */
const NEARBY_RECORDS = 50;

/** Verifies a chain up to its first bad record. */
export async function verifyChain({ ledger, start, pages, head }: UnverifiedChain): Promise<ChainVerdict> {
  let last: ChainHead = { seq: start.seq, hash: start.hash };
  let records = 0;
  let before: readonly StoredRecord[] = [];
  const erasures = createErasureCheck();
  const startFault = "body" in start ? findFaultInBody(ledger, start, []) : null;
  if (startFault !== null) return { ledger, records, fault: startFault };
  for await (const { records: page, missingTerms } of pages) {
    const termsOf = Map.groupBy(missingTerms, ({ recordId }) => recordId);
    for (const [index, record] of page.entries()) {
      const next = followChain(last, record);
      const fault =
        typeof next === "string"
          ? describeBreak(ledger, last, record, [
              ...before.slice(-NEARBY_RECORDS),
              ...page.slice(Math.max(0, index - NEARBY_RECORDS), index + NEARBY_RECORDS),
            ])
          : (findFaultInBody(ledger, record, termsOf.get(record.id) ?? []) ??
            (head?.seq === record.seq && head.hash !== record.hash
              ? ({ kind: "other_head", seq: record.seq } as const)
              : null));
      if (fault !== null || typeof next === "string") return { ledger, records, fault };
      if (!erasures.addRecord(record, listErasedPaths(record)))
        return { ledger, records, fault: { kind: "unreadable", seq: record.seq } };
      last = next;
      records += 1;
    }
    before = page;
  }
  if (head !== undefined && last.seq < head.seq)
    return { ledger, records, fault: { kind: "cut_tail", seq: last.seq + 1, toSeq: head.seq } };
  const uncovered = erasures.findUncovered();
  return { ledger, records, fault: uncovered === null ? null : { kind: "erased", ...uncovered } };
}

/** A record that fits its chain, and the terms that it must have. */
export interface FollowedRecord {
  readonly head: ChainHead;
  readonly terms: readonly RecordTerm[];
}

/** Follows a chain over its next record. Returns null when the record does not fit, or is not one of this ledger and time. */
export function followRecord(ledger: string, last: ChainHead, record: StoredRecord): FollowedRecord | null {
  const head = followChain(last, record);
  const entry = readEntryOrNull(record);
  if (typeof head === "string" || entry === null || findFaultInEntry(ledger, record, entry) !== null) return null;
  return { head, terms: listRecordTerms(record, entry) };
}

/** A term that a record must have, or with `isForeign` must not have. */
export interface CheckedTerm extends RecordTerm {
  readonly isForeign?: boolean;
}

/** Lists the terms that records must have. A record that cannot be read has none; `verifyChain` reports it. */
export function listExpectedTerms(records: readonly StoredRecord[]): readonly CheckedTerm[] {
  return records.flatMap((record) => {
    const entry = readEntryOrNull(record);
    return entry === null ? [] : listRecordTerms(record, entry);
  });
}

function listRecordTerms({ endedMs, id: recordId }: StoredRecord, entry: AuditEntry): readonly RecordTerm[] {
  return listTerms(entry).map((term) => ({ term, endedMs, recordId }));
}

/** Lists the terms of decisions that answered calls must not have. */
export function listForeignDecisions(records: readonly StoredRecord[]): readonly CheckedTerm[] {
  return records.flatMap((record) => {
    if (readEntryOrNull(record)?.decision !== "allowed") return [];
    return ["denied", "none"].map((decision) => ({
      term: formatTerm("decision", decision),
      endedMs: record.endedMs,
      recordId: record.id,
      isForeign: true,
    }));
  });
}

/** Finds what the hash does not cover: whose ledger it is, and by what the record is found. */
function findFaultInBody(ledger: string, record: StoredRecord, missing: readonly RecordTerm[]): ChainFault | null {
  const { seq } = record;
  const entry = readEntryOrNull(record);
  if (entry === null) return { kind: "unreadable", seq };
  const fault = findFaultInEntry(ledger, record, entry);
  if (fault !== null || missing.length === 0) return fault;
  return { kind: "hidden", seq, terms: missing.map(({ term }) => term) };
}

function findFaultInEntry(
  ledger: string,
  { seq, endedMs: storedMs }: StoredRecord,
  entry: AuditEntry,
): ChainFault | null {
  const user = entry.owner ?? entry.subject;
  if (user !== ledger) return { kind: "other_user", seq, user };
  const endedMs = readEndedMs(entry);
  return endedMs === storedMs ? null : { kind: "wrong_time", seq, storedMs, endedMs };
}

/** Says why a record does not fit the one before it. `nearby`: records that may tell where it comes from. */
function describeBreak(
  ledger: string,
  last: ChainHead,
  record: StoredRecord,
  nearby: readonly StoredRecord[],
): ChainFault {
  const { seq } = record;
  if (seq > last.seq + 1) {
    const kind = last.seq === GENESIS.seq ? "cut_head" : "missing";
    return { kind, seq: last.seq + 1, toSeq: seq - 1 };
  }
  const entry = readEntryOrNull(record);
  if (entry === null || followChain(last, record) === "unreadable") return { kind: "unreadable", seq };
  const user = entry.owner ?? entry.subject;
  if (user !== null && user !== ledger) return { kind: "other_user", seq, user };
  const writtenSeq = findWrittenSeq(record, nearby);
  return writtenSeq === null ? { kind: "changed", seq } : { kind: "moved", seq, writtenSeq };
}

/** Finds the place that a record was written in: where its hash fits. Its neighbours may have been moved by one place, too. */
function findWrittenSeq(record: StoredRecord, nearby: readonly StoredRecord[]): number | null {
  for (const { seq, hash } of [GENESIS, ...nearby])
    for (const beforeSeq of [seq, seq - 1, seq + 1]) {
      const written = followChain({ seq: beforeSeq, hash }, { ...record, seq: beforeSeq + 1 });
      if (typeof written !== "string") return written.seq;
    }
  return null;
}

function readEntryOrNull(record: StoredRecord): AuditEntry | null {
  try {
    return readEntry(record.ledger, record);
  } catch {
    // Neither JSON nor an object: the text was edited.
    return null;
  }
}
