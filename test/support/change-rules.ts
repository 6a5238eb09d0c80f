// Builds rules about changes for the policies of tests, and decides what a member may change under them.
import { AppError } from "../../src/errors.ts";
import { evaluateChange } from "../../src/policy/evaluate-change.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import { planChange } from "../../src/policy/change-plan.ts";
import type { ChangePlan, ChangeRequest } from "../../src/policy/change-plan.ts";
import type { AllowedChange, ChangeDecision } from "../../src/policy/change-model.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import type { Policy, TableDataset } from "../../src/policy/model.ts";
import type { ChangeRuleInput } from "../../src/policy/policy-schema.ts";
import type { Rule } from "./policy-builder.ts";

/** Creates a rule that allows updates after the requester has confirmed, unless the options say otherwise. */
export function allowChange(
  datasets: string | readonly string[],
  options: Partial<Omit<ChangeRuleInput, "effect" | "action" | "datasets">>,
): Rule {
  return {
    action: "change",
    datasets: [datasets].flat(),
    operations: ["update"],
    approval: "requester",
    ...options,
  };
}

/** Creates a rule that denies changes of these datasets, or only setting these columns of them. */
export function denyChange(datasets: string | readonly string[], columns?: readonly string[]): Rule {
  const denied = { effect: "deny", action: "change", datasets: [datasets].flat() } as const;
  return columns === undefined ? denied : { ...denied, columns: [...columns] };
}

/** Finds a table of a policy by its id. */
export function requireTable({ datasets }: Policy, id: string): TableDataset {
  const dataset = datasets.find((candidate) => candidate.id === id);
  if (dataset?.kind !== "table") throw new TypeError(`there is no table ${id}`);
  return dataset;
}

/** Decides what an account of `buildPolicy` may change; `patRoles` are the roles of its personal access token. */
export function decideChange(
  policy: Policy,
  account: string,
  dataset: string,
  patRoles?: readonly string[],
): ChangeDecision {
  const token = patRoles === undefined ? {} : { token: { id: "t", ownerId: "owner", roles: patRoles } };
  const identity = { subjectId: "user", email: `${account}@harbor.example`, groups: [], ...token };
  return evaluateChange(policy, resolveSubject(policy, identity, NO_MEMBER_RECORD), requireTable(policy, dataset));
}

/** As `decideChange`, where the test needs a decision that allows. */
export function requireAllowedChange(policy: Policy, account: string, dataset: string): AllowedChange {
  const decision = decideChange(policy, account, dataset);
  if (!decision.allowed) throw new TypeError(`${account} may not change ${dataset}: ${decision.reason}`);
  return decision;
}

/** Plans a change, or gives its refusal as code and message. */
export function tryPlan(decision: AllowedChange, request: Partial<ChangeRequest>): ChangePlan | string {
  try {
    return planChange(decision, { operation: "update", where: {}, values: {}, ...request });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return `${error.code}: ${error.publicMessage}`;
  }
}
