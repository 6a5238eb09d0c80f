// The replay operation: decides whether a stored answer may be delivered again, and only if the grants are still the same. Each
// decision is a call in the audit record, so no second delivery goes unrecorded.
import { AppError } from "../errors.ts";
import type { AnswerGrants } from "../lib/answer-grants.ts";
import type { Caller } from "../lib/identity.ts";
import { DeniedError } from "../audit/audit.ts";
import type { WithAudit } from "../audit/audit.ts";

/** An answer that was stored for another delivery. */
export interface StoredAnswer {
  /** How it is delivered again, as the audit record names it. */
  readonly what: string;
  /** The grants of every call behind the answer; empty if they are unknown. */
  readonly grants: readonly AnswerGrants[];
}

/**
 * Whether the grants of every call behind the answer equal the caller's grants today. Rows count against the budget only in the
 * call that read them. Errors: those of `WithAudit`.
 */
export async function mayReplayAnswer(
  withAudit: WithAudit,
  { identity, clientId, grant }: Caller,
  { what, grants }: StoredAnswer,
): Promise<boolean> {
  const calls = [...new Set(grants.map(({ call }) => call))];
  const requestText = `${what}: ${calls.length === 0 ? "of an unknown call" : `of call ${calls.join(", ")}`}`;
  try {
    return await withAudit(
      { identity, clientId, grant },
      { operation: "replay", requestText, reservedRows: 0, lockedSource: null },
      async (call) => {
        const currentDigest = call.grantsDigest();
        if (grants.length === 0) throw createWithheldDenial("grants_unknown");
        if (grants.some(({ digest }) => digest !== currentDigest)) throw createWithheldDenial("grants_changed");
        return { answer: true, datasets: [], rules: [] };
      },
    );
  } catch (error) {
    if (error instanceof DeniedError) return false;
    throw error;
  }
}

function createWithheldDenial(reason: string): DeniedError {
  return new DeniedError(
    new AppError("not_allowed", "The grants have changed since this answer was stored."),
    [`replay: ${reason}`],
    [],
  );
}
