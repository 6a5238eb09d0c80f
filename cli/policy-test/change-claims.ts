// Decides claims about changes by the Worker's policy modules: whether some change of some row can be asked for, and who approves it.
import { AppError } from "../../src/errors.ts";
import { APPROVALS } from "../../src/policy/change-model.ts";
import type { ChangeGrant } from "../../src/policy/change-model.ts";
import { listSettableColumns } from "../../src/policy/change-plan.ts";
import { findValueProblem, holdsMaskingToken, parseChangeLiteral } from "../../src/policy/change-values.ts";
import { evaluateChange } from "../../src/policy/evaluate-change.ts";
import type { Column, Policy, Subject } from "../../src/policy/model.ts";
import { changeText } from "../policy-report/change-words.ts";
import { REASONS } from "../policy-report/explain.ts";
import type { ChangeClaim } from "./case.ts";

/** The claimed and the actual decision, as text. The claim holds when both texts are equal. */
interface DecidedChange {
  readonly expected: string;
  readonly actual: string;
  readonly decidedBy: readonly string[];
  /** The subject lacks an attribute that every rule needs, so the claim is undecided. */
  readonly lacksAttribute: boolean;
}

/** Decides a claim. A row rule is not looked at: a change that is allowed for some rows counts as allowed. */
export function decideChangeClaim(policy: Policy, subject: Subject, claim: ChangeClaim): DecidedChange {
  const decision = evaluateChange(policy, subject, claim.dataset);
  const expected = describe(claim.isAllowed, claim.approval);
  if (!decision.allowed) {
    const { rules, reason } = decision;
    const lacksAttribute = reason === "missing_attribute";
    return { expected, actual: describe(false, null), decidedBy: [...rules, REASONS[reason]], lacksAttribute };
  }
  const { dataset, grants } = decision;
  const column = dataset.columns.find(({ name }) => name === claim.column);
  const isSettable = column === undefined || listSettableColumns(decision, grants).includes(column);
  const fitting = grants.filter((grant) => isSettable && covers(grant, claim, column));
  const [mildest] = APPROVALS.filter((approval) => fitting.some((grant) => grant.approval === approval));
  const shownApproval = claim.approval === null ? null : (mildest ?? null);
  const grantIds = grants.map(({ rule }) => rule);
  return {
    expected,
    actual: describe(fitting.length > 0, shownApproval),
    decidedBy: [
      ...grants.map((grant) => `${grant.rule} (${changeText(grant)})`),
      ...decision.rules.filter((rule) => !grantIds.includes(rule)),
    ],
    lacksAttribute: false,
  };
}

function describe(isAllowed: boolean, approval: string | null): string {
  if (!isAllowed) return "not allowed";
  return approval === null ? "allowed" : `allowed with approval ${approval}`;
}

function covers(grant: ChangeGrant, { operation, value }: ChangeClaim, column: Column | undefined): boolean {
  if (operation !== "any" && !grant.operations.includes(operation)) return false;
  if (column === undefined) return true;
  const schema = Object.hasOwn(grant.columns, column.name) ? grant.columns[column.name] : undefined;
  if (schema === undefined) return false;
  return value === undefined || fits(column, value, schema);
}

function fits(column: Column, value: unknown, schema: ChangeGrant["columns"][string]): boolean {
  if (holdsMaskingToken(value)) return false;
  try {
    return findValueProblem(column, parseChangeLiteral(column, value, column.name), schema) === undefined;
  } catch (error) {
    // A literal of another type is one that a change cannot set.
    if (error instanceof AppError) return false;
    throw error;
  }
}
