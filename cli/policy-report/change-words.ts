// Writes rules about changes as text that people read: what may be changed, to which values, in which rows and after whose approval.
import type { ChangeGrant, DenyChangeRule, AllowChangeRule } from "../../src/policy/change-model.ts";
import type { Policy } from "../../src/policy/model.ts";
import { rowsText } from "./words.ts";

/** What a rule or a grant allows. */
type Terms = Omit<AllowChangeRule, "id" | "role" | "effect" | "dataset"> | Omit<ChangeGrant, "rule">;

/** Writes who approves, as a clause. */
export function approvalText({ approval, reviewers }: Terms): string {
  switch (approval) {
    case "none":
      return "no person approves it";
    case "requester":
      return "the user approves it on a page of this server";
    case "reviewer":
      return `another user with the role ${reviewers.join(" or ")} approves it`;
  }
}

/** Writes in whose forms the user may approve, as the rest of the clause about the approval. */
function formText({ formClients }: Terms): string {
  return formClients.length === 0 ? "" : `, or in a form of the client ${formClients.join(" or ")}`;
}

/** Writes what is allowed without the columns: `update or delete, rows region = 'north', at most 20 at once; …`. */
export function termsText(terms: Terms): string {
  const { operations, rows, maxRows, mayLeaveSight } = terms;
  const count = operations.every((operation) => operation === "insert")
    ? ""
    : `, at most ${maxRows} ${maxRows === 1 ? "row" : "rows"} at once`;
  const sight = mayLeaveSight ? "; rows may leave the user's sight" : "";
  return `${operations.join(" or ")}, rows ${rowsText(rows)}${count}; ${approvalText(terms)}${formText(terms)}${sight}`;
}

/** Writes a rule as one line. */
export function changeText(terms: Terms): string {
  const columns = Object.keys(terms.columns);
  return `${termsText(terms)}${columns.length === 0 ? "" : `; sets ${columns.join(", ")}`}`;
}

/** Writes what a rule denies. */
export function denialText({ columns }: DenyChangeRule): string {
  return columns.length === 0 ? "denies every change" : `denies setting ${columns.join(", ")}`;
}

/** A rule about changes for a program: its terms, or what it denies. */
export interface DescribedChangeRule {
  readonly rule: string;
  readonly role: string;
  readonly text: string;
}

/** Describes the rules about changes of a dataset, in the order of the policy. */
export function describeChangeRules({ changeRules }: Policy, dataset: string): readonly DescribedChangeRule[] {
  return changeRules
    .filter((rule) => rule.dataset === dataset)
    .map((rule) => ({
      rule: rule.id,
      role: rule.role,
      text: rule.effect === "deny" ? denialText(rule) : changeText(rule),
    }));
}
