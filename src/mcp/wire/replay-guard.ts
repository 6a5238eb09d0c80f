// The interface that the runtime consults before it delivers a stored answer again: since the first delivery, a role may
// have been revoked, an attribute changed or a policy deployed. Both eras store answers. The implementation, which knows
// what grants are and how a replay is audited, lives outside the protocol runtime.
import type { AuthInfo } from "@modelcontextprotocol/server";
import type { AnswerGrants } from "../../lib/answer-grants.ts";

/** A stored answer that is about to be delivered again. */
export interface StoredAnswer {
  /** Describes the answer for the audit record, for example `stream 3` or `outcome of NAME`. */
  readonly what: string;
  /** The grants under which the answer was produced; empty when they are unknown. */
  readonly grants: readonly AnswerGrants[];
}

/** Why an answer is withheld. `changed`: the caller's grants differ now. `unchecked`: the guard could not compare or record them. */
export type WithheldReason = "changed" | "unchecked";
/** Whether an answer may be delivered again: `current`, or the reason why not. */
export type ReplayVerdict = "current" | WithheldReason;

/** Decides whether a stored answer may be delivered again. */
export interface ReplayGuard {
  /**
   * Compares the grants of an answer with the caller's current grants, and records whether the answer is delivered or
   * withheld. Never throws. Unknown grants match no current grants.
   */
  authorize(authInfo: AuthInfo, answer: StoredAnswer): Promise<ReplayVerdict>;
}

/** The error messages that replace a withheld answer. */
export const WITHHELD: Readonly<Record<WithheldReason, string>> = {
  changed: "Your permissions have changed since this answer was produced. Call the tool again.",
  unchecked: "The server could not check that your permissions still allow this answer. Call the tool again.",
};
