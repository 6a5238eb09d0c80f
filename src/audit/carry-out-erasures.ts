// Carries out the erasures of GATEHOUSE_DB: first in the ledger, which records it, then in the copies of its records here. An erasure stays
// pending until all copies that its ledger sent before are erased, so a crash leaves none half done. Each step can be repeated.
import { byteLength } from "../lib/bytes.ts";
import type { AuditRecordStore, RecordTerm, StoredRecord } from "./audit-record-store.ts";
import { eraseRecord, formatErasureCall } from "./erasure.ts";
import type { ErasableField, ErasedLedger, ErasureLedger } from "./erasure.ts";
import type { ErasedRecord, ErasureStore, StoredErasure } from "./erasure-store.ts";
import { listTerms, readEntryForList } from "./record-entry.ts";
import { settleAll } from "../lib/settle-all.ts";

/** What carrying out needs. */
export interface ErasureDependencies {
  readonly erasures: ErasureStore;
  readonly records: Pick<AuditRecordStore, "listChain" | "findCall">;
  readonly openLedger: (ledger: string) => ErasureLedger;
  readonly openWorkspace: (subjectId: string) => { clear(lastNumber: number): Promise<void> };
  readonly sessions: {
    /** Ends the sessions of the 2025 era of a user, whose events hold answers. Their clients can open new ones. */
    endSessions(subjectId: string): Promise<void>;
  };
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

/** How many erasures one run carries out, and at most how many pages of records for all of them; the next run continues. */
const BATCH_SIZE = 100;
const MAX_PAGES = 500;
const PAGE_RECORDS = 200;
/** The most bytes of one transaction: D1 takes at most 2 MB as one value. */
const MAX_PAGE_BYTES = 800_000;

/** What is left of a run. */
interface Run extends ErasureDependencies {
  pages: number;
}

/** Carries out pending erasures, one after the other: two may take values out of one record. One that fails stays pending. */
export async function carryOutErasures(dependencies: ErasureDependencies): Promise<void> {
  const { erasures, onError } = dependencies;
  const run: Run = { ...dependencies, pages: MAX_PAGES };
  for (const erasure of await erasures.listPending(BATCH_SIZE, onError)) await carryOut(run, erasure).catch(onError);
}

async function carryOut(run: Run, erasure: StoredErasure): Promise<void> {
  const { erasures, records, now } = run;
  const { untilSeq, recordedSeq } =
    erasure.untilSeq === null || erasure.recordedSeq === null
      ? await eraseInLedger(run, erasure)
      : { untilSeq: erasure.untilSeq, recordedSeq: erasure.recordedSeq };
  // Values leave GATEHOUSE_DB once the record that allows it is there. What the ledger sent before it has then arrived too.
  const isRecorded = (await records.findCall(formatErasureCall(erasure.id))).some(
    ({ ledger, seq }) => ledger === erasure.ledger && seq === recordedSeq,
  );
  if (!isRecorded) return;
  const doneSeq = await eraseCopies(run, erasure, untilSeq);
  if (doneSeq >= untilSeq) await erasures.markDone(erasure.id, now());
}

async function eraseInLedger(run: Run, erasure: StoredErasure): Promise<ErasedLedger> {
  const { erasures, openLedger, openWorkspace, sessions } = run;
  const { id, ledger } = erasure;
  const erased = await openLedger(ledger).eraseRecords(erasure);
  if (erasure.ranges === null) {
    // An earlier version numbered results in the workspace, so the ledger may not know the user's own.
    const workspaces = [{ subjectId: ledger, last: 0 }, ...erased.results];
    await settleAll(workspaces, async ({ subjectId, last }) => openWorkspace(subjectId).clear(last));
    await sessions.endSessions(ledger);
    if (await erasures.forgetAddress(ledger)) await openLedger(ledger).forgetAddress();
  }
  await erasures.setRecorded(id, erased);
  return erased;
}

/** Erases the stored copies of the records up to `lastSeq`. Returns how far it came. */
async function eraseCopies(
  run: Run,
  { id, ledger, fields, ranges, doneSeq: startSeq }: StoredErasure,
  lastSeq: number,
): Promise<number> {
  let doneSeq = startSeq;
  for (const [first, last] of ranges ?? [[1, lastSeq] as const]) {
    for (const end = Math.min(last, lastSeq); Math.max(doneSeq, first - 1) < end;) {
      if ((run.pages -= 1) < 0) return doneSeq;
      const page = await run.records.listChain(ledger, Math.max(doneSeq, first - 1), PAGE_RECORDS);
      // Records that are no longer stored, or not yet, are missing in a page.
      const covered = page.filter(({ seq }) => seq <= end);
      const erased = eraseFirst(covered, fields);
      doneSeq = erased.count === covered.length && covered.length < PAGE_RECORDS ? end : erased.doneSeq;
      await run.erasures.replace(id, { ...erased, doneSeq });
    }
  }
  return doneSeq;
}

/** The first records of a page without the erased values, as many as one transaction takes. */
interface ErasedRecords {
  readonly records: readonly ErasedRecord[];
  readonly lostTerms: readonly RecordTerm[];
  /** How many records were looked at, and the last of them. */
  readonly count: number;
  readonly doneSeq: number;
  /** How many of them keep their values. */
  readonly kept: number;
}

function eraseFirst(page: readonly StoredRecord[], fields: readonly ErasableField[]): ErasedRecords {
  const records: ErasedRecord[] = [];
  const lostTerms: RecordTerm[] = [];
  let [count, doneSeq, kept, bytes] = [0, 0, 0, 0];
  for (const record of page) {
    const { id, hash, salts } = record;
    const erased = eraseOrKeep(record, fields);
    if (erased === "kept") kept += 1;
    else if (erased !== null) {
      const terms = listLostTerms(record, erased);
      bytes += byteLength(JSON.stringify([erased, terms]));
      if (bytes > MAX_PAGE_BYTES && count > 0) break;
      records.push({ id, hash, body: erased.body, salts: erased.salts, readSalts: salts ?? "" });
      lostTerms.push(...terms);
    }
    count += 1;
    doneSeq = record.seq;
  }
  return { records, lostTerms, count, doneSeq, kept };
}

/** `kept`: an earlier version hashed the record as a whole, or its text was edited and cannot be read. */
function eraseOrKeep(record: StoredRecord, fields: readonly ErasableField[]) {
  try {
    const erased = eraseRecord(record, fields);
    return erased === "whole" ? "kept" : erased;
  } catch {
    // The verification reports the record.
    return "kept";
  }
}

function listLostTerms(record: StoredRecord, erased: StoredRecord): readonly RecordTerm[] {
  const { ledger, endedMs, id: recordId } = record;
  const terms = new Set(listTerms(readEntryForList(ledger, erased)));
  return listTerms(readEntryForList(ledger, record)).flatMap((term) =>
    terms.has(term) ? [] : [{ term, endedMs, recordId }],
  );
}
