// Warns the operator about the size of a ledger: when it is half full, before any call is refused, and when it is full.
import { countOf } from "../lib/count-of.ts";
import type { BudgetState } from "./budget-limits.ts";
import type { HeldRecord } from "./sent-records.ts";

/**
 * What a warning says: the owner has reached a limit; the ledger is half full; it is full, so that calls of its owner and their personal
 * access tokens are refused; its records wait to be sent; GATEHOUSE_DB does not take some of them.
 */
type LedgerWarning = "ledger_half_full" | "ledger_full" | "audit_delayed" | "audit_held" | "budget_spent";

/** Logs a warning. `code` is stable, so that alerts can match it. */
export type WarnOperator = (code: LedgerWarning, message: string) => void;

/** Warns about one ledger. */
export interface FillWarnings {
  /** Warns that the records have reached half of the limit. */
  readonly warnHalfFull: (bytes: number) => void;
  /** Warns that a call or an event found no room, at most once a day. */
  warnFull(bytes: number, nowMs: number): void;
  /**
   * Warns that records could not be sent, once the oldest has waited for a minute, and at most once in ten minutes. Returns whether it
   * warned.
   */
  warnDelayed(bytes: number, oldestMs: number, nowMs: number): boolean;
  /** Warns that the owner has reached a limit. */
  warnSpent(budget: BudgetState): void;
  /** Warns that GATEHOUSE_DB did not take some records. */
  readonly warnHeld: (held: readonly HeldRecord[]) => void;
}

/** How often a ledger that stays full is reported: a client that keeps retrying must not fill the operator's log. */
const FULL_WARNING_INTERVAL_MS = 86_400_000;
/** How long records may wait before this is reported: a short outage needs no operator. */
const DELAY_WARNING_AGE_MS = 60_000;
/** How often a ledger whose records wait is reported. */
const DELAY_WARNING_INTERVAL_MS = 600_000;

const describeHeld = ({ seq, reason, cause }: HeldRecord): string =>
  `${seq} (${cause instanceof Error ? `${reason}: ${cause.message}` : reason})`;

/** Creates the warnings of one ledger. The table `flag` holds when it was last reported as full. */
export function createFillWarnings(
  sql: SqlStorage,
  {
    subjectId,
    maxAuditBytes,
    warn,
  }: { readonly subjectId: string; readonly maxAuditBytes: number; readonly warn: WarnOperator },
): FillWarnings {
  const describeFill = (bytes: number): string =>
    `the ledger of subject ${subjectId} holds ${bytes} bytes of records, and limits.maxAuditBytes is ${maxAuditBytes}`;
  /** Whether a warning was not given within the interval; notes that it is given now. */
  const isNew = (name: string, nowMs: number, intervalMs: number): boolean =>
    sql
      .exec(
        `INSERT INTO flag (name, at_ms) VALUES (?1, ?2)
          ON CONFLICT (name) DO UPDATE SET at_ms = ?2 WHERE at_ms <= ?3 OR at_ms > ?2 RETURNING at_ms`,
        name,
        nowMs,
        nowMs - intervalMs,
      )
      .toArray().length > 0;
  return {
    warnHalfFull: (bytes) =>
      warn(
        "ledger_half_full",
        `${describeFill(bytes)}; calls are refused at three quarters of it. Raise the limit before then.`,
      ),
    warnFull(bytes, nowMs) {
      if (!isNew("ledger_full", nowMs, FULL_WARNING_INTERVAL_MS)) return;
      warn(
        "ledger_full",
        `${describeFill(bytes)}: calls of this user and their personal access tokens are refused until it empties or you raise it.`,
      );
    },
    warnDelayed(bytes, oldestMs, nowMs) {
      // A record from the future is from before the clock moved back.
      if (Math.abs(nowMs - oldestMs) < DELAY_WARNING_AGE_MS) return false;
      if (!isNew("audit_delayed", nowMs, DELAY_WARNING_INTERVAL_MS)) return false;
      const since = new Date(oldestMs).toISOString();
      warn(
        "audit_delayed",
        `${describeFill(bytes)}; since ${since} they wait for GATEHOUSE_DB and are sent when it answers.`,
      );
      return true;
    },
    warnSpent: ({ limit, most }) =>
      warn("budget_spent", `subject ${subjectId} has reached limits.${limit}, which is ${most}.`),
    warnHeld: (held) =>
      warn(
        "audit_held",
        [
          `GATEHOUSE_DB did not take ${countOf(held.length, "record")} of the ledger of subject ${subjectId},`,
          "which keeps what was not taken:",
          `${held.map(describeHeld).join(", ")}.`,
          "A conflict means that another record is stored under the same number: run npm run gatehouse -- audit verify.",
        ].join(" "),
      ),
  };
}
