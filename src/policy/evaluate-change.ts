// The policy decision point for changes: which changes of a dataset a subject may ask for. Pure: no clock and no I/O. Whether one change
// is among them is decided in change-plan.ts.
import { listConditionColumns } from "./conditions.ts";
import { bindCondition, evaluate } from "./evaluate.ts";
import { getDisclosure } from "./guard-view.ts";
import { withoutSavedOnlyRoles } from "./saved-query.ts";
import type { AllowChangeRule, ChangeDecision, ChangeGrant } from "./change-model.ts";
import type { AllowedDecision, DenyReason, Grant, Policy, Subject, TableDataset } from "./model.ts";

/**
 * Decides which changes of a dataset a subject may ask for.
 *
 * Rules:
 * - Default deny, and deny overrides allow, as for reads. A deny rule with columns takes these columns out of every grant.
 * - A subject changes only what it may read.
 * - A rule whose row rule reads a column that the subject does not see in clear on every row grants nothing: its refusals would tell the
 *   column's value.
 * - Roles that are `savedOnly` allow and deny nothing: no saved query changes rows.
 */
export function evaluateChange(policy: Policy, subject: Subject, dataset: TableDataset): ChangeDecision {
  const deny = (reason: DenyReason, rules: readonly string[]): ChangeDecision => ({
    allowed: false,
    dataset: dataset.id,
    reason,
    rules,
  });
  const activeSubject = withoutSavedOnlyRoles(policy, subject);
  const read = evaluate(policy, activeSubject, dataset, "read");
  if (!read.allowed) return deny(read.reason, read.rules);
  const matchingRules = policy.changeRules.filter(
    ({ role, dataset: id }) => activeSubject.roles.includes(role) && id === dataset.id,
  );
  const denyRules = matchingRules.filter((rule) => rule.effect === "deny");
  const fullDenyIds = denyRules.filter(({ columns }) => columns.length === 0).map(({ id }) => id);
  if (fullDenyIds.length > 0) return deny("denied_by_rule", fullDenyIds);
  const allowRules = matchingRules.filter((rule) => rule.effect === "allow");
  const denyIds = denyRules.map(({ id }) => id);
  const ruleIds = allowRules.map(({ id }) => id);
  if (allowRules.length === 0) return deny("no_rule", []);
  const deniedColumns = new Set(denyRules.flatMap(({ columns }) => columns));
  const remaining = allowRules.flatMap((rule) => withoutColumns(rule, deniedColumns));
  if (remaining.length === 0) return deny("denied_by_rule", [...denyIds, ...ruleIds]);
  const bound = remaining.flatMap((rule) => bindGrant(rule, activeSubject, dataset));
  if (bound.length === 0) return deny("missing_attribute", ruleIds);
  const clearColumns = listClearColumns(read, dataset);
  const grants = bound.filter(
    ({ rows }) => rows === null || listConditionColumns(rows).every((name) => clearColumns.has(name)),
  );
  if (grants.length === 0) return deny("unclear_row_rule", ruleIds);
  return { allowed: true, dataset, read, grants, rules: [...denyIds, ...grants.map(({ rule }) => rule)] };
}

/** Takes columns out of a rule. Without any, the rule allows at most the delete. */
function withoutColumns(rule: AllowChangeRule, deniedColumns: ReadonlySet<string>): readonly AllowChangeRule[] {
  const columns = Object.fromEntries(Object.entries(rule.columns).filter(([name]) => !deniedColumns.has(name)));
  const isEmpty = Object.keys(columns).length === 0;
  const operations = rule.operations.filter((operation) => operation === "delete" || !isEmpty);
  return operations.length === 0 ? [] : [{ ...rule, columns, operations }];
}

function bindGrant(rule: AllowChangeRule, subject: Subject, dataset: TableDataset): readonly ChangeGrant[] {
  const rows = rule.rows === null ? null : bindCondition(rule.rows, subject, dataset);
  if (rows === undefined) return [];
  const { id, operations, columns, maxRows, approval, reviewers, formClients, mayLeaveSight } = rule;
  return [{ rule: id, rows, operations, columns, maxRows, approval, reviewers, formClients, mayLeaveSight }];
}

/** Lists the columns that a subject sees in clear on every row: by a grant of all rows, or by each of the grants. */
export function listClearColumns({ grants }: AllowedDecision, dataset: TableDataset): ReadonlySet<string> {
  const clearColumns = dataset.columns.filter((column) => {
    const isClear = (grant: Grant): boolean => getDisclosure(grant, column).kind === "clear";
    return grants.some((grant) => grant.rows === null && isClear(grant)) || grants.every(isClear);
  });
  return new Set(clearColumns.map(({ name }) => name));
}
