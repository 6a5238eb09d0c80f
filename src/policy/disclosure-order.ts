// Defines which disclosures can be computed from which others: a partial order, unlike `rankDisclosure`. The coverage check of stored
// results depends on it. test/policy/disclosure-order.test.ts compares it with the SQL of the masks.
import { formatDisclosure } from "./masks.ts";
import type { Disclosure } from "./model.ts";

/**
 * Whether `coarser` is a function of `finer`: values that look equal under `finer` also look equal under `coarser`. Returns false for
 * every pair that is not known to be so. A hidden column shows nothing, not even that it exists, so every disclosure determines it.
 *
 * For doubles beyond 2^53 this holds for the exact multiples. What is shown is the double next to one, so a coarser form that was stored
 * earlier can add which of two adjacent doubles a value is.
 */
export function determines(finer: Disclosure, coarser: Disclosure): boolean {
  if (coarser.kind === "hidden" || finer.kind === "clear") return true;
  if (finer.kind === "hidden") return false;
  if (formatDisclosure(finer) === formatDisclosure(coarser)) return true;
  switch (coarser.kind) {
    case "null":
      return true;
    case "redact":
      // These are null exactly where the value is null. Masks of numbers and dates are also null on text of an unexpected form.
      return finer.kind === "token" || finer.kind === "last" || finer.kind === "email";
    case "bucket":
      return finer.kind === "bucket" && coarser.size % finer.size === 0;
    case "round":
      // The edges of a rounding lie halfway between multiples of its step. All edges of step 30 are edges of step 10; those of 20 are not.
      return finer.kind === "round" && coarser.step % finer.step === 0 && (coarser.step / finer.step) % 2 === 1;
    case "year":
      return finer.kind === "month";
    case "last":
      // Text that is too short for the longer ending, and therefore redacted, may be long enough for the shorter one.
      return false;
    case "token":
    case "month":
    case "email":
    case "clear":
      return false;
  }
}
