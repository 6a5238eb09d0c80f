// What stands between an answer that is stored and its second delivery: in the meantime a role may be gone, an attribute other, a
// policy deployed. Both eras store answers; what grants are, and how a replay is recorded, is known outside the protocol runtime.
import type { AuthInfo } from "@modelcontextprotocol/server";
import type { AnswerGrants } from "../lib/answer-grants.ts";

/** An answer that is to be delivered again. */
export interface StoredAnswer {
  /** By which way, for the record: `stream`, or the outcome of a question. */
  readonly what: string;
  /** Under which it was made; empty when that is not known. */
  readonly grants: readonly AnswerGrants[];
}

/** `changed`: today's grants are others. `unchecked`: they could not be compared, or the replay not be recorded. */
export type ReplayVerdict = "current" | "changed" | "unchecked";

export interface ReplayGuard {
  /**
   * Compares the grants of an answer with those of its caller now, and records that it is delivered again or withheld. Never
   * throws. Unknown grants equal none.
   */
  authorize(authInfo: AuthInfo, answer: StoredAnswer): Promise<ReplayVerdict>;
}

/** What a client reads in the place of an answer that is withheld. */
export const WITHHELD: Readonly<Record<Exclude<ReplayVerdict, "current">, string>> = {
  changed: "Your permissions have changed since this answer was made; call the tool again.",
  unchecked: "Your permissions could not be compared with those under which this answer was made; call the tool again.",
};
