// What a ledger tells the operator about its room: at half of it, before any call is refused, and when it is full.

/** A ledger fills half of its room; a ledger is full, and its person and their access tokens are refused. */
export type LedgerWarning = "ledger_half_full" | "ledger_full";

/** `code` is stable, so that alerts can match it. */
export type WarnOperator = (code: LedgerWarning, message: string) => void;

export interface FillWarnings {
  /** The records have come to fill half of the room. */
  readonly halfFull: (bytes: number) => void;
  /** A call or an event found no room. */
  full(bytes: number, nowMs: number): void;
}

/** How often a ledger that stays full is reported: a client that tries again and again must not fill the operator's log. */
const FULL_WARNING_MS = 86_400_000;

/** `owner` names the ledger. When it was last reported full stands in the table `mark`. */
export function createFillWarnings(
  sql: SqlStorage,
  { owner, outboxBytes, warn }: { readonly owner: string; readonly outboxBytes: number; readonly warn: WarnOperator },
): FillWarnings {
  const holds = (bytes: number): string =>
    `the ledger of subject ${owner} holds ${bytes} bytes of records, and limits.outboxBytes is ${outboxBytes}`;
  return {
    halfFull: (bytes) =>
      warn("ledger_half_full", `${holds(bytes)}; calls are refused at three quarters of it. Raise it before that.`),
    full(bytes, nowMs) {
      const reported = sql.exec(
        `INSERT INTO mark (name, at_ms) VALUES ('ledger_full', ?1)
 ON CONFLICT (name) DO UPDATE SET at_ms = ?1 WHERE at_ms <= ?2 RETURNING at_ms`,
        nowMs,
        nowMs - FULL_WARNING_MS,
      );
      if (reported.toArray().length === 0) return;
      warn(
        "ledger_full",
        `${holds(bytes)}: calls of this person and their access tokens are refused until it is raised.`,
      );
    },
  };
}
