// Reads the reason that an operator gives for a change.
import { describeInvisible, firstInvisible } from "../../src/lib/visible-text.ts";
import { MAX_ERASURE_REASON } from "../../src/audit/erasure.ts";
import { usageError } from "./cli-error.ts";

const MAX_REASON = MAX_ERASURE_REASON;

/** Reads a reason. Throws the error for wrong usage for one that is too long or has invisible characters. */
export function readReason(text: string): string {
  if (text.length > MAX_REASON) throw usageError(`The reason is longer than ${MAX_REASON} characters.`);
  const codePoint = firstInvisible(text);
  if (codePoint !== undefined) throw usageError(`The reason ${describeInvisible(codePoint)}.`);
  return text.trim();
}
