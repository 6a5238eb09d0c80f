// The replay operation: whether an answer that was made and stored earlier may be delivered again. It is a call of its own in the
// record, delivered or withheld, so that nothing leaves twice unseen.
import { AppError } from "../errors.ts";
import type { AnswerGrants } from "../lib/answer-grants.ts";
import type { Caller } from "../lib/identity.ts";
import { Denied } from "./recorded.ts";
import type { Recorder } from "./recorded.ts";

export interface MadeAnswer {
  /** How it is delivered again, as the record names it. */
  readonly what: string;
  /** Of every call behind it; empty when they are not known. */
  readonly grants: readonly AnswerGrants[];
}

/**
 * Whether all grants of then equal those of now. Rows count once, with the call that read them: an answer delivered again
 * tells nothing new. Errors: those of the recorder.
 */
export async function replay(
  record: Recorder,
  { identity, clientId }: Caller,
  { what, grants }: MadeAnswer,
): Promise<boolean> {
  const calls = [...new Set(grants.map(({ call }) => call))];
  const asked = `${what}: ${calls.length === 0 ? "of an unknown call" : `of call ${calls.join(", ")}`}`;
  try {
    return await record(
      { identity, clientId },
      { operation: "replay", asked, maxRows: 0, slot: null },
      async (call) => {
        const now = call.grantsDigest();
        if (grants.length === 0) throw withheld("grants_unknown");
        if (grants.some(({ digest }) => digest !== now)) throw withheld("grants_changed");
        return { answer: true, datasets: [], rules: [] };
      },
    );
  } catch (error) {
    if (error instanceof Denied) return false;
    throw error;
  }
}

function withheld(reason: string): Denied {
  return new Denied(new AppError("not_allowed", "The grants are not those of the answer."), [`replay: ${reason}`], []);
}
