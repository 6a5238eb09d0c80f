// Whether what a user is granted today covers what they were granted once: then what they got then may still be used.
// Sound, not complete: where it cannot tell, the answer is no.
import { columnsOf } from "./conditions.ts";
import { determines } from "./disclosure-order.ts";
import { disclosureName, disclosureRank } from "./masks.ts";
import type { BoundCondition, Decision, Disclosure, Grant, Scalar } from "./model.ts";
import { disclosureOf } from "./views.ts";

type Allowed = Extract<Decision, { allowed: true }>;

/**
 * Whether the rows as they were shown then can be computed from the rows as they are shown today. Either nothing has changed, or
 * each grant of then is covered by one of today's: all its rows, every column, and which rows it was that it showed.
 */
export function covers(today: Allowed, then: readonly Grant[]): boolean {
  return (
    isUnchanged(today.grants, then) ||
    then.every((grant) => showsRowsOf(today, grant) && today.grants.some((now) => grantCovers(today, now, grant)))
  );
}

/**
 * Whether a masking token from then could be matched with the value that today's grants show in its place. That would give away
 * the tokens of its domain in other columns, which the user sees as tokens today: `domains` names those domains. While the grants
 * are the same, the user could have kept both answers; a row that has since moved from one grant to another resolves its token.
 */
export function resolvesTokens(today: Allowed, then: readonly Grant[], domains: ReadonlySet<string>): boolean {
  if (isUnchanged(today.grants, then)) return false;
  return then.some(({ columns }) =>
    Object.entries(columns).some(
      ([name, disclosure]) =>
        disclosure.kind === "token" &&
        domains.has(disclosure.domain) &&
        today.grants.some((now) => disclosureOf(now, { name }).kind === "clear"),
    ),
  );
}

/** Whether the columns of then are granted in the same forms on the same rows, by as many rules or more that say the same. */
function isUnchanged(today: readonly Grant[], then: readonly Grant[]): boolean {
  const isSame = (now: Grant, grant: Grant): boolean =>
    isSameCondition(now.rows, grant.rows) &&
    Object.entries(grant.columns).every(
      ([name, disclosure]) => disclosureName(disclosureOf(now, { name })) === disclosureName(disclosure),
    );
  return (
    then.every((grant) => today.some((now) => isSame(now, grant))) &&
    today.every((now) => then.some((grant) => isSame(now, grant)))
  );
}

/**
 * Whether today's rows tell which of them a grant of then showed. A list of the customers in the north gives away the region of each,
 * and so does a name that is masked in other rows: with more rows and a hidden region, that is more than is shown today.
 */
function showsRowsOf(today: Allowed, { rows: then }: Grant): boolean {
  if (then === null) return true;
  const isEveryRow = today.grants.every(({ rows }) => rows !== null && follows(then, rows));
  const isClear = (name: string): boolean => today.grants.every((now) => disclosureOf(now, { name }).kind === "clear");
  return isEveryRow || columnsOf(then).every(isClear);
}

function grantCovers(today: Allowed, now: Grant, then: Grant): boolean {
  return (
    rowsCover(now.rows, then.rows) &&
    Object.entries(then.columns).every(([name, disclosure]) =>
      formsOn(today, now, name).every((form) => determines(form, disclosure)),
    )
  );
}

/** What the rows of a grant may show of a column today: its own form, or one of another grant that comes before it. */
function formsOn({ grants }: Allowed, now: Grant, name: string): readonly Disclosure[] {
  const rank = disclosureRank(disclosureOf(now, { name }));
  return grants.map((grant) => disclosureOf(grant, { name })).filter((form) => disclosureRank(form) >= rank);
}

function rowsCover(today: BoundCondition | null, then: BoundCondition | null): boolean {
  return today === null || (then !== null && follows(today, then));
}

function isSameCondition(one: BoundCondition | null, other: BoundCondition | null): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Whether every row of `given` is one of `wanted`. */
function follows(wanted: BoundCondition, given: BoundCondition): boolean {
  if (isSameCondition(wanted, given)) return true;
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
