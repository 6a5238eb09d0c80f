// Decides whether today's grants cover past grants, so that a result that was read under the past grants may still be used. The
// check is sound but not complete: in doubt it answers no.
import { listConditionColumns } from "../policy/conditions.ts";
import { determines } from "../policy/disclosure-order.ts";
import { formatDisclosure, rankDisclosure } from "../policy/masks.ts";
import type { AllowedDecision, BoundComparison, BoundCondition, Disclosure, Grant, Scalar } from "../policy/model.ts";
import { getDisclosure } from "../policy/guard-view.ts";

/**
 * Whether the rows shown under the past grants can be computed from the rows shown today. Either the grants are unchanged, or one of
 * today's grants covers each past grant: its rows, its columns, and the fact which rows it showed.
 */
export function covers(today: AllowedDecision, pastGrants: readonly Grant[]): boolean {
  return (
    isUnchanged(today.grants, pastGrants) ||
    pastGrants.every(
      (pastGrant) =>
        revealsGrantedRows(today, pastGrant) &&
        today.grants.some((currentGrant) => grantCovers(today, currentGrant, pastGrant)),
    )
  );
}

/**
 * Whether a user could match a past masking token with the value that today's grants show in its place. That would reveal the value
 * behind the same masking token in other columns; `domains` are the domains whose masking tokens the user still sees there. Unchanged
 * grants are accepted: the user could have saved both answers, though a row that moved between grants then resolves its masking token.
 */
export function resolvesMaskingTokens(
  today: AllowedDecision,
  pastGrants: readonly Grant[],
  domains: ReadonlySet<string>,
): boolean {
  if (isUnchanged(today.grants, pastGrants)) return false;
  return pastGrants.some(({ columns }) =>
    Object.entries(columns).some(
      ([name, disclosure]) =>
        disclosure.kind === "token" &&
        domains.has(disclosure.domain) &&
        today.grants.some((currentGrant) => getDisclosure(currentGrant, { name }).kind === "clear"),
    ),
  );
}

/** Whether both lists grant the same rows and the same disclosures of the past columns. Duplicate grants do not matter. */
function isUnchanged(currentGrants: readonly Grant[], pastGrants: readonly Grant[]): boolean {
  const isSame = (currentGrant: Grant, pastGrant: Grant): boolean =>
    isSameCondition(currentGrant.rows, pastGrant.rows) &&
    Object.entries(pastGrant.columns).every(
      ([name, disclosure]) => formatDisclosure(getDisclosure(currentGrant, { name })) === formatDisclosure(disclosure),
    );
  return (
    pastGrants.every((pastGrant) => currentGrants.some((currentGrant) => isSame(currentGrant, pastGrant))) &&
    currentGrants.every((currentGrant) => pastGrants.some((pastGrant) => isSame(currentGrant, pastGrant)))
  );
}

/**
 * Whether today's grants reveal which rows a past grant showed. A list of the customers in the north reveals the region of each one.
 * If today's grants show all customers and hide the region, the old list would reveal more than they do.
 */
function revealsGrantedRows(today: AllowedDecision, { rows: pastRows }: Grant): boolean {
  if (pastRows === null) return true;
  const coversEveryRow = today.grants.every(({ rows }) => rows !== null && isImpliedBy(pastRows, rows));
  const isClear = (name: string): boolean =>
    today.grants.every((currentGrant) => getDisclosure(currentGrant, { name }).kind === "clear");
  return coversEveryRow || listConditionColumns(pastRows).every(isClear);
}

function grantCovers(today: AllowedDecision, currentGrant: Grant, pastGrant: Grant): boolean {
  return (
    rowsCover(currentGrant.rows, pastGrant.rows) &&
    Object.entries(pastGrant.columns).every(([name, disclosure]) =>
      listShownDisclosures(today, currentGrant, name).every((shown) => determines(shown, disclosure)),
    )
  );
}

/** Lists how today's rows of a grant may show a column: in the grant's own form, or in a higher-ranked form of another grant. */
function listShownDisclosures({ grants }: AllowedDecision, currentGrant: Grant, name: string): readonly Disclosure[] {
  const rank = rankDisclosure(getDisclosure(currentGrant, { name }));
  return grants.map((grant) => getDisclosure(grant, { name })).filter((shown) => rankDisclosure(shown) >= rank);
}

function rowsCover(currentRows: BoundCondition | null, pastRows: BoundCondition | null): boolean {
  return currentRows === null || (pastRows !== null && isImpliedBy(currentRows, pastRows));
}

function isSameCondition(left: BoundCondition | null, right: BoundCondition | null): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

/** Whether every row that satisfies `given` also satisfies `wanted`. */
function isImpliedBy(wanted: BoundCondition, given: BoundCondition): boolean {
  if (isSameCondition(wanted, given)) return true;
  if ("all" in wanted) return wanted.all.every((part) => isImpliedBy(part, given));
  if ("any" in given) return given.any.every((part) => isImpliedBy(wanted, part));
  if ("any" in wanted && wanted.any.some((part) => isImpliedBy(part, given))) return true;
  if ("all" in given) return given.all.some((part) => isImpliedBy(wanted, part));
  return "op" in wanted && "op" in given && wanted.column === given.column && valuesCover(wanted, given);
}

/** Whether an `=` or `in` comparison allows every value that another one allows. */
function valuesCover(wanted: BoundComparison, given: BoundComparison): boolean {
  const [wantedValues, givenValues] = [listAllowedValues(wanted), listAllowedValues(given)];
  return (
    wantedValues !== undefined &&
    givenValues !== undefined &&
    givenValues.every((value) => wantedValues.includes(value))
  );
}

function listAllowedValues(comparison: BoundComparison): readonly Scalar[] | undefined {
  if (comparison.op === "in") return comparison.value;
  return comparison.op === "=" ? [comparison.value] : undefined;
}
