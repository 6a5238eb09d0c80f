// Records that a ledger writes about its owner by itself, without a call of theirs.
import { newId } from "../lib/ids.ts";
import type { MemberRecord } from "../policy/model.ts";
import { EVENT_OUTCOME, INTERRUPTED_OUTCOME } from "./audit-record.ts";
import type { Attempt } from "./audit-record.ts";
import type { BudgetState } from "./budget-limits.ts";
import type { Records } from "./records.ts";

/** Writes them. */
export interface OwnRecords {
  /** Records a change of the owner's roles or attributes, whoever made it. */
  memberChanged(changedBy: string, member: MemberRecord): void;
  /** Records that the owner has reached a limit. Returns false when this is recorded for the limit's window already. */
  limitReached(budget: BudgetState): boolean;
}

/** Creates them over the table `flag` and the records of a ledger. */
export function createOwnRecords(sql: SqlStorage, records: Records, subjectId: string, now: () => number): OwnRecords {
  const buildAttempt = (operation: string, requestText: string): Attempt => ({
    call: newId(),
    subjectId,
    owner: null,
    clientId: "",
    operation,
    asked: requestText,
  });
  return {
    memberChanged(changedBy, { roles, attributes }) {
      const requestText = JSON.stringify({ by: changedBy, roles, attributes: Object.keys(attributes) });
      const outcome = { ...EVENT_OUTCOME, roles } as const;
      records.appendAlways(buildAttempt("member changed", requestText), outcome, now());
    },
    limitReached({ limit, most, resetMs }) {
      const first = sql.exec(
        `INSERT INTO flag (name, at_ms) VALUES (?1, ?2)
          ON CONFLICT (name) DO UPDATE SET at_ms = ?2 WHERE at_ms <> ?2 RETURNING name`,
        `spent ${limit}`,
        resetMs,
      );
      if (first.toArray().length === 0) return false;
      const outcome = { ...INTERRUPTED_OUTCOME, result: "denied", code: "limit_reached" } as const;
      records.appendAlways(buildAttempt("reach limit", `limits.${limit} (${most})`), outcome, now());
      return true;
    },
  };
}
