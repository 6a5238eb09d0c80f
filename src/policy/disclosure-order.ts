// Which form of a value can be computed from which other: what coverage of kept results rests on. A partial order, unlike the ranks
// by which a row with several grants chooses its form. Held against the SQL of the masks by test/policy/disclosure-order.test.ts.
import { disclosureName } from "./masks.ts";
import type { Disclosure } from "./model.ts";

/**
 * Whether `finer` shows all that `coarser` shows of any value: equal forms of the first mean equal forms of the second. Every pair that
 * is not known to be so is not. A hidden column does not exist, so that it shows nothing, not even that it is there.
 */
export function determines(finer: Disclosure, coarser: Disclosure): boolean {
  if (coarser.kind === "hidden" || finer.kind === "clear") return true;
  if (finer.kind === "hidden") return false;
  if (disclosureName(finer) === disclosureName(coarser)) return true;
  switch (coarser.kind) {
    case "null":
      return true;
    case "redact":
      // Null exactly where the value is. Masks of numbers and dates are also null on values that they do not understand.
      return finer.kind === "token" || finer.kind === "last" || finer.kind === "email";
    case "bucket":
      return finer.kind === "bucket" && coarser.size % finer.size === 0;
    case "round":
      // The edges lie halfway between multiples of the step: those of 30 are edges of 10, those of 20 are not.
      return finer.kind === "round" && coarser.step % finer.step === 0 && (coarser.step / finer.step) % 2 === 1;
    case "year":
      return finer.kind === "month";
    case "last":
      // Text that is too short for the longer end, and so redacted, may be long enough for the shorter one.
      return false;
    case "token":
    case "month":
    case "email":
    case "clear":
      return false;
  }
}
