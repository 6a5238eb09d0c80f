// The reads of the audit log by commands, which reach GATEHOUSE_DB alone: the Worker moves them from their table into a ledger of their
// own, so that the hash chain, the daily list and `audit verify` cover them like the calls of users.
import { EVENT_OUTCOME, INTERRUPTED_OUTCOME } from "../audit/audit-record.ts";
import type { EventLedger } from "../audit/audit-record.ts";
import type { AuditRecordStore } from "../audit/audit-record-store.ts";
import { OPERATOR_LEDGER } from "../audit/operator-ledger.ts";

/** The action of a record that says that the log was read. */
export const READ_LOG_ACTION = "read audit log";

/** A command that reads the log. */
export interface OperatorRead {
  /** Unguessable and new for each run; the id of the call in its record. */
  readonly id: string;
  /** Who ran it, as their machine says: `ann@laptop`. Nothing proves it. */
  readonly operator: string;
  /** The command and its filters, as JSON. */
  readonly request: string;
}

/** A run that hands out nothing more. */
export interface ClosedOperatorRead extends OperatorRead {
  readonly beganMs: number;
  /** How many records it was given. */
  readonly rows: number;
  readonly state: "ended" | "interrupted";
}

/** Stores runs until they are in the ledger. */
export interface OperatorReadStore {
  begin(read: OperatorRead, nowMs: number): Promise<void>;
  /** Counts records that are about to be printed. False when the run was closed meanwhile: then nothing may be printed. */
  addRows(id: string, rows: number, nowMs: number): Promise<boolean>;
  end(id: string): Promise<void>;
  /** Closes the runs that have counted nothing since `beforeMs`: their process has died. */
  interrupt(beforeMs: number): Promise<void>;
  /** Lists at most `limit` closed runs, oldest first. */
  listClosed(limit: number): Promise<readonly ClosedOperatorRead[]>;
  delete(id: string): Promise<void>;
}

/** What moving needs. */
interface MoveDependencies {
  readonly store: Pick<OperatorReadStore, "interrupt" | "listClosed" | "delete">;
  readonly records: Pick<AuditRecordStore, "findCall">;
  readonly ledger: EventLedger;
  /** Returns milliseconds since the epoch. */
  readonly now: () => number;
}

/** After this time without a page, a run counts as dead. */
const SILENT_MS = 3_600_000;
const BATCH_SIZE = 100;

/**
 * Moves closed runs into the ledger. A crash after a record was written leaves its run to the next time, which writes no second one: a
 * ledger knows the record of a call until it was sent, and then GATEHOUSE_DB has it. A full ledger leaves the runs where they are.
 */
export async function moveOperatorReads({ store, records, ledger, now }: MoveDependencies): Promise<void> {
  await store.interrupt(now() - SILENT_MS);
  for (;;) {
    const reads = await store.listClosed(BATCH_SIZE);
    for (const read of reads) {
      const isStored = (await records.findCall(read.id)).some((record) => record.ledger === OPERATOR_LEDGER);
      if (!isStored && !(await appendRead(ledger, read))) return;
      await store.delete(read.id);
    }
    if (reads.length < BATCH_SIZE) return;
  }
}

async function appendRead(
  ledger: EventLedger,
  { id, operator, request, beganMs, rows, state }: ClosedOperatorRead,
): Promise<boolean> {
  const attempt = {
    call: id,
    subjectId: OPERATOR_LEDGER,
    owner: null,
    clientId: `command-line ${operator}`,
    operation: READ_LOG_ACTION,
    asked: "",
    resource: request,
  };
  const outcome = state === "ended" ? EVENT_OUTCOME : INTERRUPTED_OUTCOME;
  return (await ledger.appendEvent(attempt, { ...outcome, rows }, beganMs)).ok;
}
