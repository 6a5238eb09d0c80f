// Whether what a person is granted today covers what they were granted once: then what they got then may still be used.
// Sound, not complete: where it cannot tell, the answer is no.
import { disclosureName, disclosureRank } from "./masks.ts";
import type { BoundCondition, Decision, Disclosure, Grant, Scalar } from "./model.ts";

type Allowed = Extract<Decision, { allowed: true }>;

/** Each grant of then must be covered by one of today's: all its rows, and every column shown at least as much. */
export function covers(today: Allowed, then: readonly Grant[]): boolean {
  return then.every((grant) => today.grants.some((candidate) => grantCovers(candidate, grant)));
}

function grantCovers(today: Grant, then: Grant): boolean {
  return (
    rowsCover(today.rows, then.rows) &&
    Object.entries(then.columns).every(([name, disclosure]) => {
      const now = Object.hasOwn(today.columns, name) ? today.columns[name] : undefined;
      return disclosureCovers(now ?? { kind: "hidden" }, disclosure);
    })
  );
}

function disclosureCovers(today: Disclosure, then: Disclosure): boolean {
  const [now, before] = [disclosureRank(today), disclosureRank(then)];
  return now > before || (now === before && disclosureName(today) === disclosureName(then));
}

function rowsCover(today: BoundCondition | null, then: BoundCondition | null): boolean {
  return today === null || (then !== null && follows(today, then));
}

/** Whether every row of `given` is one of `wanted`. */
function follows(wanted: BoundCondition, given: BoundCondition): boolean {
  if (JSON.stringify(wanted) === JSON.stringify(given)) return true;
  if ("all" in wanted) return wanted.all.every((part) => follows(part, given));
  if ("any" in given) return given.any.every((part) => follows(wanted, part));
  if ("any" in wanted && wanted.any.some((part) => follows(part, given))) return true;
  if ("all" in given) return given.all.some((part) => follows(wanted, part));
  return "op" in wanted && "op" in given && wanted.column === given.column && listCovers(wanted, given);
}

type Comparison = Extract<BoundCondition, { op: string }>;

/** `=` is a list of one. */
function listCovers(wanted: Comparison, given: Comparison): boolean {
  const [more, less] = [listOf(wanted), listOf(given)];
  return more !== undefined && less !== undefined && less.every((value) => more.includes(value));
}

function listOf(comparison: Comparison): readonly Scalar[] | undefined {
  if (comparison.op === "in") return comparison.value;
  return comparison.op === "=" ? [comparison.value] : undefined;
}
