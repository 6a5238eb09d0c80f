// Compares the rules about changes of two policies, by role and dataset: which changes the newer one opens and closes.
import { APPROVALS } from "../../src/policy/change-model.ts";
import type { AllowChangeRule, Approval, ChangeRule } from "../../src/policy/change-model.ts";
import type { Policy } from "../../src/policy/model.ts";
import { describeValues } from "../../src/policy/change-values.ts";
import { approvalText, changeText, denialText } from "./change-words.ts";
import { rowsText } from "./words.ts";

/** The differences, one line each. */
interface ChangeDiff {
  /** The one with the mildest approval first. */
  readonly opens: readonly string[];
  readonly closes: readonly string[];
  readonly changes: readonly string[];
}

/** A difference, with the approval of the newer rule for those that open something. */
interface Difference {
  readonly kind: keyof ChangeDiff;
  readonly line: string;
  readonly approval: Approval;
}

/** Compares each rule with the one of the same id. */
export function diffChangeRules(before: Policy, after: Policy): ChangeDiff {
  const ids = new Set([...before.changeRules, ...after.changeRules].map(({ id }) => id));
  const differences = [...ids].flatMap((id) => {
    const [old, current] = [before, after].map(({ changeRules }) => changeRules.find((rule) => rule.id === id));
    return compareRules(old, current, after);
  });
  const list = (kind: keyof ChangeDiff): readonly string[] =>
    differences
      .filter((difference) => difference.kind === kind)
      .toSorted((left, right) => APPROVALS.indexOf(left.approval) - APPROVALS.indexOf(right.approval))
      .map(({ line }) => line);
  return { opens: list("opens"), closes: list("closes"), changes: list("changes") };
}

function compareRules(
  old: ChangeRule | undefined,
  current: ChangeRule | undefined,
  after: Policy,
): readonly Difference[] {
  const rule = current ?? old;
  if (rule === undefined) return [];
  const subject = `${rule.role} on ${rule.dataset}`;
  if (rule.effect === "deny") return compareDenials(subject, old, current);
  const terms = { subject, approval: rule.approval };
  if (old?.effect !== "allow") return [differ(terms, "opens", `may change: ${changeText(rule)}`)];
  if (current?.effect !== "allow") return [differ(terms, "closes", `may no longer change: ${changeText(rule)}`)];
  return [
    ...compareApproval(terms, old, current),
    ...compareLists(
      terms,
      old.formClients,
      current.formClients,
      (client) => `approve its changes in a form of the client ${client}`,
    ),
    ...compareLists(terms, old.operations, current.operations, (operation) => `${operation} rows`),
    ...compareRows(terms, old, current),
    ...compareLists(terms, Object.keys(old.columns), Object.keys(current.columns), (column) => `set ${column}`),
    ...compareValues(terms, old, current, after),
  ];
}

interface Terms {
  readonly subject: string;
  readonly approval: Approval;
}

function differ({ subject, approval }: Terms, kind: keyof ChangeDiff, text: string): Difference {
  return { kind, line: `${subject}: ${text}`, approval };
}

function compareDenials(
  subject: string,
  old: ChangeRule | undefined,
  current: ChangeRule | undefined,
): readonly Difference[] {
  const [oldText, newText] = [old, current].map((rule) => (rule?.effect === "deny" ? denialText(rule) : undefined));
  const terms = { subject, approval: "none" } as const;
  if (oldText === newText) return [];
  if (oldText === undefined) return [differ(terms, "closes", String(newText))];
  if (newText === undefined) return [differ(terms, "opens", `no longer ${oldText}`)];
  return [differ(terms, "changes", `${newText}, previously ${oldText}`)];
}

function compareApproval(terms: Terms, old: AllowChangeRule, current: AllowChangeRule): readonly Difference[] {
  const [oldText, newText] = [approvalText(old), approvalText(current)];
  if (oldText === newText) return [];
  const step = APPROVALS.indexOf(current.approval) - APPROVALS.indexOf(old.approval);
  const kind = step < 0 ? "opens" : step > 0 ? "closes" : "changes";
  return [differ(terms, kind, `${newText}, previously ${oldText}`)];
}

function compareRows(terms: Terms, old: AllowChangeRule, current: AllowChangeRule): readonly Difference[] {
  const [oldRows, newRows] = [rowsText(old.rows), rowsText(current.rows)];
  const rowsKind = current.rows === null ? "opens" : old.rows === null ? "closes" : "changes";
  const countKind = current.maxRows > old.maxRows ? "opens" : "closes";
  const sightKind = current.mayLeaveSight ? "opens" : "closes";
  const sight = current.mayLeaveSight ? "rows may leave the user's sight" : "rows may no longer leave the user's sight";
  return [
    ...(oldRows === newRows ? [] : [differ(terms, rowsKind, `changes rows ${newRows}, previously ${oldRows}`)]),
    ...(old.maxRows === current.maxRows
      ? []
      : [differ(terms, countKind, `changes at most ${current.maxRows} rows at once, previously ${old.maxRows}`)]),
    ...(old.mayLeaveSight === current.mayLeaveSight ? [] : [differ(terms, sightKind, sight)]),
  ];
}

function compareLists(
  terms: Terms,
  old: readonly string[],
  current: readonly string[],
  describe: (name: string) => string,
): readonly Difference[] {
  return [
    ...current.filter((name) => !old.includes(name)).map((name) => differ(terms, "opens", `may ${describe(name)}`)),
    ...old
      .filter((name) => !current.includes(name))
      .map((name) => differ(terms, "closes", `may no longer ${describe(name)}`)),
  ];
}

/** Compares the values of the columns that both rules set. Whether another text opens or closes is for the reviewer. */
function compareValues(
  terms: Terms,
  old: AllowChangeRule,
  current: AllowChangeRule,
  { datasets }: Policy,
): readonly Difference[] {
  const dataset = datasets.find(({ id }) => id === current.dataset);
  return Object.entries(current.columns).flatMap(([name, schema]) => {
    const column = dataset?.kind === "table" ? dataset.columns.find((declared) => declared.name === name) : undefined;
    const oldSchema = Object.hasOwn(old.columns, name) ? old.columns[name] : undefined;
    if (column === undefined || oldSchema === undefined) return [];
    const [oldText, newText] = [describeValues(column.type, oldSchema), describeValues(column.type, schema)];
    return oldText === newText
      ? []
      : [differ(terms, "changes", `may set ${name} to ${newText}, previously ${oldText}`)];
  });
}
