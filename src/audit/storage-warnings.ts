// Warns the operator about the size of a ledger: when it is half full, before any call is refused, and when it is full.

/** What a warning says: the ledger is half full, or full, so that calls of its owner and their personal access tokens are refused. */
type LedgerWarning = "ledger_half_full" | "ledger_full";

/** Logs a warning. `code` is stable, so that alerts can match it. */
export type WarnOperator = (code: LedgerWarning, message: string) => void;

/** Warns about one ledger. */
export interface FillWarnings {
  /** Warns that the records have reached half of the limit. */
  readonly warnHalfFull: (bytes: number) => void;
  /** Warns that a call or an event found no room, at most once a day. */
  warnFull(bytes: number, nowMs: number): void;
}

/** How often a ledger that stays full is reported: a client that keeps retrying must not fill the operator's log. */
const FULL_WARNING_INTERVAL_MS = 86_400_000;

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
  return {
    warnHalfFull: (bytes) =>
      warn(
        "ledger_half_full",
        `${describeFill(bytes)}; calls are refused at three quarters of it. Raise the limit before then.`,
      ),
    warnFull(bytes, nowMs) {
      const reported = sql.exec(
        `INSERT INTO flag (name, at_ms) VALUES ('ledger_full', ?1)
          ON CONFLICT (name) DO UPDATE SET at_ms = ?1 WHERE at_ms <= ?2 RETURNING at_ms`,
        nowMs,
        nowMs - FULL_WARNING_INTERVAL_MS,
      );
      if (reported.toArray().length === 0) return;
      warn(
        "ledger_full",
        `${describeFill(bytes)}: calls of this user and their personal access tokens are refused until you raise it.`,
      );
    },
  };
}
