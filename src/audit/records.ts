// The audit records of one ledger: the hash chain, the leases that reserve room for running calls, and the budgets. The functions
// do not open a transaction and do not read the clock; their callers do.
import * as z from "zod";
import { byteLength } from "../lib/bytes.ts";
import { createRandomBytes } from "../lib/crypto.ts";
import { createBudgets } from "./budgets.ts";
import type { BudgetLimits, BudgetState, Usage } from "./budget-limits.ts";
import { createSalts, hashRecord } from "./record-chain.ts";
import { INTERRUPTED_OUTCOME } from "./audit-record.ts";
import type {
  Attempt,
  BeginRefusal,
  CommitResult,
  LedgerRecord,
  AppendResult,
  Outcome,
  RecordPriority,
  ResultTicket,
  SettledCalls,
} from "./audit-record.ts";
import { MAX_OUTCOME_BYTES, boundAttempt, boundOutcome } from "./record-size.ts";
import type { ResultNumbers } from "./result-numbers.ts";

/** The limits of one ledger's records. */
export interface RecordLimits extends BudgetLimits {
  /** The most bytes of records that were not sent. Calls may fill three quarters of them. */
  readonly maxAuditBytes: number;
  /** The longest time between begin and commit of a call; later the call counts as interrupted. */
  readonly leaseSeconds: number;
}

/** Stores the records of one ledger. */
export interface Records {
  /**
   * Reserves room for a call's record, rows of the day, and the number of a result when the call may store one. Returns the refusal when
   * there is no room. Records calls that outlived their lease as interrupted. The attempt must be bounded.
   */
  reserve(attempt: Attempt, reservation: Reservation, nowMs: number): BeginRefusal | ReservedCall;
  /** Writes the record of a call that has a lease. Repeating it with the same outcome changes nothing. */
  commit(call: string, outcome: Outcome, nowMs: number): CommitResult;
  /**
   * Records calls that outlived their lease as interrupted. Returns when the next lease ends, in milliseconds since the epoch; undefined
   * when no call runs.
   */
  endExpired(nowMs: number): number | undefined;
  /** Writes the record of an event that happened at `atMs` in another object. Repeating it changes nothing. */
  appendEvent(attempt: Attempt, outcome: Outcome, atMs: number, nowMs: number): AppendResult;
  /** Says what became of calls with results, and ends those that outlived their lease. */
  settleResults(calls: readonly string[], nowMs: number): SettledCalls;
  /** Writes the record that a committed call failed after all, even when the ledger is full. */
  appendUnstored(call: string, subjectId: string, nowMs: number): void;
  /** Finds the attempt of a call that has a lease. */
  findRunning(call: string): Attempt | undefined;
  /** Counts the running calls but one. */
  countOthers(call: string, nowMs: number): number;
  /** Ends all running calls but one, as when they outlive their lease: nothing of them can be committed any more. */
  interruptOthers(call: string, nowMs: number): void;
  /** Writes a record of the ledger itself, even when the ledger is full. Repeating it changes nothing. */
  appendAlways(attempt: Attempt, outcome: Outcome, nowMs: number): void;
  /** Returns the bytes of the records that were not sent. */
  readStoredBytes(): number;
  /** Lists at most `limit` records after `afterSeq`, in order. */
  list(afterSeq: number, limit: number): readonly LedgerRecord[];
}

/** What a call reserves until it ends. */
interface Reservation {
  readonly rows: number;
  readonly reveals: number;
  readonly priority: RecordPriority;
  readonly mayStoreResult: boolean;
}

/** A call that has begun. */
interface ReservedCall {
  readonly ok: true;
  readonly results: ResultTicket;
  /** The limits of the day that the owner has nearly reached. */
  readonly nearLimits: readonly BudgetState[];
}

/** The share of `maxAuditBytes` that records of each priority may fill. */
const FILL_SHARES: Readonly<Record<RecordPriority, number>> = {
  call: 3 / 4,
  event: 7 / 8,
  listing: 15 / 16,
  revocation: 1,
};
/** The share at which the operator is warned. */
const HALF_FULL_SHARE = 1 / 2;

interface Lease {
  readonly call: string;
  readonly attempt: string;
  readonly beganMs: number;
  readonly reveals: number;
  /** 1, or 0 for a record without a call of the owner. */
  readonly calls: number;
}

/** A stored record, whose parts are parsed by those who need them: an earlier version may have written other ones. */
const bodySchema = z.object({ attempt: z.unknown(), outcome: z.unknown() });
const attemptSchema = z.object({
  call: z.string(),
  subjectId: z.string(),
  owner: z.string().nullable(),
  clientId: z.string(),
  operation: z.string(),
  asked: z.string(),
});
/** An attempt of a record, in which fields may be erased. */
const recordedAttemptSchema = attemptSchema.extend({ clientId: z.string().nullable(), asked: z.unknown() });
const outcomeSchema = z.object({ roles: z.array(z.string()).nullable(), kept: z.string().nullable() });

/** The call id of the record that a committed call failed after all. */
const buildUnstoredId = (call: string): string => `${call} unstored`;

/** What the records report, in the transaction in which it happens. */
interface RecordEvents {
  /** The stored bytes have reached half of the limit. */
  readonly onHalfFull: (bytes: number) => void;
  /** A record was appended. */
  readonly onAppend: () => void;
}

/** Creates the records in the SQLite database of a ledger. */
export function createRecords(
  sql: SqlStorage,
  limits: RecordLimits,
  resultNumbers: ResultNumbers,
  { onHalfFull, onAppend }: RecordEvents,
): Records {
  const { maxAuditBytes, leaseSeconds } = limits;
  const budgets = createBudgets(sql, limits);
  const listLeases = (where: string, value: string | number): readonly Lease[] =>
    sql
      .exec<{ call: string; attempt: string; beganMs: number; reveals: number; calls: number }>(
        `SELECT call, attempt, began_ms AS beganMs, reveals, 1 AS calls FROM lease WHERE ${where}`,
        value,
      )
      .toArray();

  function appendRecord(lease: Lease, outcome: Outcome, nowMs: number): number {
    const head = sql.exec<{ seq: number; hash: string; bytes: number }>("SELECT seq, hash, bytes FROM head").one();
    const seq = head.seq + 1;
    const attempt: unknown = JSON.parse(lease.attempt);
    const times = { began: new Date(lease.beganMs).toISOString(), ended: new Date(nowMs).toISOString() };
    const body = JSON.stringify({ attempt, outcome: boundOutcome(outcome), ...times });
    const salts = createSalts(body, createRandomBytes);
    const hash = hashRecord(head, body, salts);
    const saltsText = JSON.stringify(salts);
    sql.exec(
      "INSERT INTO record (seq, call, body, salts, hash) VALUES (?, ?, ?, ?, ?)",
      seq,
      lease.call,
      body,
      saltsText,
      hash,
    );
    const bytes = head.bytes + byteLength(body) + saltsText.length;
    sql.exec("UPDATE head SET seq = ?, hash = ?, bytes = ?", seq, hash, bytes);
    if (head.bytes < maxAuditBytes * HALF_FULL_SHARE && bytes >= maxAuditBytes * HALF_FULL_SHARE) onHalfFull(bytes);
    sql.exec("DELETE FROM lease WHERE call = ?", lease.call);
    resultNumbers.settle(lease.call, outcome);
    const { rows, bytes: answerBytes = 0 } = outcome;
    budgets.add({ rows, bytes: answerBytes, calls: lease.calls, reveals: lease.reveals }, nowMs);
    onAppend();
    return seq;
  }

  /** A call that outlived its lease, for example because its process died, was not answered. Its attempt must be recorded anyway. */
  const endExpired = (nowMs: number): void => {
    // A lease that ends later is from before the clock moved back. It would hold its rows until the clock is there again.
    sql.exec("UPDATE lease SET deadline_ms = ?1 WHERE deadline_ms > ?1", nowMs + leaseSeconds * 1000);
    for (const lease of listLeases("deadline_ms <= ?", nowMs)) appendRecord(lease, INTERRUPTED_OUTCOME, nowMs);
  };

  const appendNew = (attempt: Attempt, outcome: Outcome, atMs: number, nowMs: number): number =>
    appendRecord(
      { call: attempt.call, attempt: JSON.stringify(boundAttempt(attempt)), beganMs: atMs, reveals: 0, calls: 0 },
      outcome,
      nowMs,
    );

  /** Finds the number of a call's record. */
  const findSeq = (call: string): number | undefined =>
    sql.exec<{ seq: number }>("SELECT seq FROM record WHERE call = ?", call).toArray()[0]?.seq;

  const readBody = (seq: number): z.output<typeof bodySchema> =>
    bodySchema.parse(JSON.parse(sql.exec<{ body: string }>("SELECT body FROM record WHERE seq = ?", seq).one().body));

  function repeatCommit(seq: number, outcome: Outcome): CommitResult {
    const { outcome: recordedOutcome } = readBody(seq);
    return JSON.stringify(recordedOutcome) === JSON.stringify(boundOutcome(outcome)) ? { ok: true, seq } : NO_LEASE;
  }

  /** Whether a call was committed with a result, and did not fail afterwards. */
  function isResultCommitted(call: string): boolean {
    const seq = findSeq(call);
    if (seq === undefined || findSeq(buildUnstoredId(call)) !== undefined) return false;
    return typeof outcomeSchema.safeParse(readBody(seq).outcome).data?.kept === "string";
  }

  const hasRoom = (bytes: number, priority: RecordPriority): boolean => {
    const reservedBytes = sql
      .exec<{ bytes: number }>("SELECT (SELECT bytes FROM head) + (SELECT coalesce(sum(bytes), 0) FROM lease) AS bytes")
      .one().bytes;
    return reservedBytes + bytes <= maxAuditBytes * FILL_SHARES[priority];
  };

  return {
    endExpired(nowMs) {
      endExpired(nowMs);
      return sql.exec<{ next: number | null }>("SELECT min(deadline_ms) AS next FROM lease").one().next ?? undefined;
    },
    reserve(attempt, { rows: reservedRows, reveals, priority, mayStoreResult }, nowMs) {
      endExpired(nowMs);
      const body = JSON.stringify(attempt);
      const bytes = byteLength(body) + MAX_OUTCOME_BYTES;
      if (!hasRoom(bytes, priority)) return { ok: false, reason: "record_full" };
      const reserved: Usage = { rows: reservedRows, bytes: 1, calls: 1, reveals };
      const { spent, near } = budgets.check(reserved, nowMs);
      // What takes access away is never refused.
      if (spent !== undefined && priority === "call") return { ok: false, reason: "budget_spent", budget: spent };
      const results = resultNumbers.issue(attempt, mayStoreResult);
      sql.exec(
        "INSERT INTO lease (call, attempt, began_ms, deadline_ms, rows, bytes, reveals) VALUES (?, ?, ?, ?, ?, ?, ?)",
        attempt.call,
        body,
        nowMs,
        nowMs + leaseSeconds * 1000,
        reservedRows,
        bytes,
        reveals,
      );
      return { ok: true, results, nearLimits: near };
    },
    commit(call, outcome, nowMs) {
      const [lease] = listLeases("call = ?", call);
      if (lease !== undefined) return { ok: true, seq: appendRecord(lease, outcome, nowMs) };
      // The call was already recorded: as interrupted, or by an earlier attempt of this commit.
      const recordedSeq = findSeq(call);
      return recordedSeq === undefined ? NO_LEASE : repeatCommit(recordedSeq, outcome);
    },
    appendEvent(attempt, outcome, atMs, nowMs) {
      if (findSeq(attempt.call) !== undefined) return { ok: true };
      if (!hasRoom(byteLength(JSON.stringify(boundAttempt(attempt))) + MAX_OUTCOME_BYTES, "event"))
        return { ok: false, reason: "record_full" };
      appendNew(attempt, outcome, atMs, nowMs);
      return { ok: true };
    },
    settleResults(calls, nowMs) {
      // A workspace that got an answer deletes the result, so no commit may follow.
      endExpired(nowMs);
      const running = calls.filter((call) => listLeases("call = ?", call).length > 0);
      return { committed: calls.filter(isResultCommitted), running };
    },
    appendUnstored(call, subjectId, nowMs) {
      resultNumbers.forgetCall(subjectId, call);
      const seq = findSeq(call);
      const unstoredId = buildUnstoredId(call);
      if (seq === undefined || findSeq(unstoredId) !== undefined) return;
      const body = readBody(seq);
      const attempt = recordedAttemptSchema.safeParse(body.attempt).data;
      const outcome = outcomeSchema.safeParse(body.outcome).data;
      if (attempt === undefined || outcome === undefined) return;
      const requestText = `the result ${outcome.kept} of call ${call} could not be stored; its answer was not returned`;
      const failed: Outcome = {
        ...INTERRUPTED_OUTCOME,
        result: "failed",
        code: "source_unavailable",
        roles: outcome.roles ?? [],
      };
      const { clientId } = attempt;
      appendNew({ ...attempt, call: unstoredId, clientId: clientId ?? "", asked: requestText }, failed, nowMs, nowMs);
    },
    findRunning: (call) =>
      listLeases("call = ?", call).map(({ attempt }) => attemptSchema.parse(JSON.parse(attempt)))[0],
    countOthers: (call, nowMs) => listLeases("deadline_ms > ?", nowMs).filter((lease) => lease.call !== call).length,
    interruptOthers(call, nowMs) {
      for (const lease of listLeases("call <> ?", call)) appendRecord(lease, INTERRUPTED_OUTCOME, nowMs);
    },
    appendAlways(attempt, outcome, nowMs) {
      if (findSeq(attempt.call) === undefined) appendNew(attempt, outcome, nowMs, nowMs);
    },
    readStoredBytes: () => sql.exec<{ bytes: number }>("SELECT bytes FROM head").one().bytes,
    list: (afterSeq, limit) =>
      sql
        .exec<{ seq: number; body: string; salts: string | null; hash: string }>(
          "SELECT seq, body, salts, hash FROM record WHERE seq > ? ORDER BY seq LIMIT ?",
          afterSeq,
          limit,
        )
        .toArray(),
  };
}

const NO_LEASE = { ok: false, reason: "no_lease" } as const;
