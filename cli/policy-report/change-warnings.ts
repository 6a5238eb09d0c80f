// Warns of rules about changes that let more happen than an operator may expect, or less: see `warningsOf` in check.ts.
import { listConditionColumns, listRowRules } from "../../src/policy/conditions.ts";
import type { AllowChangeRule, ChangeRule } from "../../src/policy/change-model.ts";
import type { Policy } from "../../src/policy/model.ts";
import { roleView } from "./words.ts";

/** Lists warnings of all rules about changes, each with what to do. */
export function warningsOfChanges(policy: Policy): readonly string[] {
  return policy.changeRules.flatMap((rule) =>
    (rule.effect === "deny" ? warnOfDenial(rule, policy) : warnOfTerms(rule, policy)).map(
      (text) => `${rule.id}: ${text}`,
    ),
  );
}

function warnOfDenial({ dataset }: ChangeRule, { changeRules }: Policy): readonly string[] {
  const isAllowed = changeRules.some((rule) => rule.effect === "allow" && rule.dataset === dataset);
  return isAllowed ? [] : ["denies changes that no rule allows. Remove the rule."];
}

function warnOfTerms(rule: AllowChangeRule, policy: Policy): readonly string[] {
  const { approval, operations, maxRows, reviewers, formClients, dataset } = rule;
  const blind = reviewers.filter((role) => roleView(policy, role, dataset).kind !== "rows");
  const unseen = listUnseenColumns(rule, policy);
  return [
    ...(approval === "none"
      ? ['approval is "none", so an assistant changes rows without a person. Keep it only where that is intended.']
      : []),
    ...(formClients.length > 0
      ? [
          `a form of the client ${formClients.join(" or ")} approves, so a program with its access token can. Name only clients that show forms to a person.`,
        ]
      : []),
    ...(operations.includes("delete")
      ? [
          `may delete ${maxRows === 1 ? "a row" : `${maxRows} rows`} at once. Prefer a column that marks rows as removed.`,
        ]
      : []),
    ...(blind.length > 0
      ? [
          `reviewers with the role ${blind.join(" or ")} do not read ${dataset}, so they cannot see what they approve. Let the role read it.`,
        ]
      : []),
    ...(unseen.length > 0
      ? [
          `sets ${unseen.join(", ")}, which the role does not see in clear, so alone it may not. Show the column, or remove it.`,
        ]
      : []),
    ...listDependentRules(rule, policy).map(
      ({ column, rules }) =>
        `sets ${column}, on which the rows of ${rules.join(", ")} depend, so a change can move rows between users. Limit its values, or remove it.`,
    ),
  ];
}

/** Lists the columns that the rule sets and that its own role neither sees in clear nor may reveal. */
function listUnseenColumns({ role, dataset, columns }: AllowChangeRule, policy: Policy): readonly string[] {
  const view = roleView(policy, role, dataset);
  if (view.kind !== "rows") return [];
  return Object.keys(columns).filter((name) => view.columns.get(name)?.kind !== "clear" && !view.reveal.includes(name));
}

/** Lists the columns that the rule sets and that row rules of the dataset read, with these rules. */
function listDependentRules(
  { dataset, columns }: AllowChangeRule,
  policy: Policy,
): readonly { readonly column: string; readonly rules: readonly string[] }[] {
  const rowRules = listRowRules(policy)
    .filter((rule) => rule.dataset === dataset)
    .map(({ id, rows }) => ({ id, columns: listConditionColumns(rows) }));
  return Object.keys(columns).flatMap((column) => {
    const readers = rowRules.filter((rule) => rule.columns.includes(column)).map(({ id }) => id);
    return readers.length === 0 ? [] : [{ column, rules: readers }];
  });
}
