// The output of `npm run policy -- check`: a table of what each role sees, and warnings about parts of the policy without effect.
import { quoteArgument } from "../kit/shell.ts";
import { BUILT_IN_VALUES, findAttributeProblems, describeAttributeProblem } from "../../src/policy/attributes.ts";
import { listRowRules, listSubjectValues } from "../../src/policy/conditions.ts";
import type { RuleWithRows } from "../../src/policy/conditions.ts";
import type { Dataset, Policy, Rule } from "../../src/policy/model.ts";
import { describeChangeRules } from "./change-words.ts";
import type { DescribedChangeRule } from "./change-words.ts";
import { warningsOfChanges } from "./change-warnings.ts";
import { disclosureText, listRecordedKey, readsAnything, roleView, rowsText } from "./words.ts";
import type { RoleView } from "./words.ts";

/** Builds a table for each dataset: a line for its rows and for each column, with a cell for all roles that see the same. */
export function matrixOf(policy: Policy): readonly string[] {
  return policy.datasets.flatMap((dataset) => {
    const columns = dataset.kind === "documents" ? [] : dataset.columns.map(({ name }) => name);
    const listCells = (role: string): readonly string[] => {
      const view = roleView(policy, role, dataset.id);
      if (view.kind === "rows")
        return [rowsText(view.rows), ...columns.map((column) => disclosureText(view.columns.get(column)))];
      return [view.kind === "documents" ? "all" : "–", ...columns.map(() => "–")];
    };
    const shown = policy.roles.map(({ name }) => ({ role: name, cells: listCells(name) }));
    const groups = [...Map.groupBy(shown, ({ cells }) => JSON.stringify(cells)).values()];
    const headings = groups.map((group) => group.map(({ role }) => role).join(", "));
    const titles = [dataset.kind === "documents" ? "documents" : "rows", ...columns];
    const lines = titles.map((title, line) => [title, ...groups.map(([first]) => first?.cells[line] ?? "–")]);
    const keys = listRecordedKey(dataset);
    return [
      ...aligned([[dataset.id, ...headings], ...lines]),
      ...describeChangeRules(policy, dataset.id).map(({ role, text }) => `  Changes by ${role}: ${text}.`),
      ...(keys.length === 0 ? [] : [`  Audit records name the returned rows by ${keys.join(", ")}.`]),
      "",
    ];
  });
}

/** What a role sees of a dataset, for a program: null when it sees nothing. */
interface RoleAccess {
  readonly rows: string;
  /** Each column's mask, `clear` or `hidden`; empty for documents. */
  readonly columns: Readonly<Record<string, string>>;
}

/** Describes what each role sees of each dataset, with the same content as `matrixOf`. */
export function describeDatasets(policy: Policy): readonly {
  readonly dataset: string;
  readonly kind: string;
  readonly roles: Readonly<Record<string, RoleAccess | null>>;
  /** The columns by which audit records name its rows; empty if they do not. */
  readonly recordedKey: readonly string[];
  readonly changes: readonly DescribedChangeRule[];
}[] {
  return policy.datasets.map((dataset) => ({
    dataset: dataset.id,
    kind: dataset.kind,
    roles: Object.fromEntries(
      policy.roles.map(({ name }) => [name, describeAccess(roleView(policy, name, dataset.id))]),
    ),
    recordedKey: listRecordedKey(dataset),
    changes: describeChangeRules(policy, dataset.id),
  }));
}

function describeAccess(view: RoleView): RoleAccess | null {
  switch (view.kind) {
    case "nothing":
      return null;
    case "documents":
      return { rows: "all", columns: {} };
    case "rows": {
      const shown = [...view.columns].map(([name, disclosure]) => [
        name,
        disclosure.kind === "hidden" ? "hidden" : disclosureText(disclosure),
      ]);
      return { rows: rowsText(view.rows), columns: Object.fromEntries(shown) };
    }
  }
}

/** Aligns cells in columns; the first line is the heading. */
function aligned(lines: readonly (readonly string[])[]): readonly string[] {
  const widths = (lines[0] ?? []).map((_cell, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  return lines.map((line, index) => {
    const text = line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
    return index === 0 ? text : `  ${text}`;
  });
}

/** Lists what has no effect or probably not the intended one, each with what to do. */
export function warningsOf(policy: Policy): readonly string[] {
  const { datasets, rules, changeRules, members, groups, roles } = policy;
  const heldRoles = new Set([...members, ...groups].flatMap((holder) => holder.roles));
  const readable = new Set(rules.filter(({ effect }) => effect === "allow").map(({ dataset }) => dataset));
  return [
    ...warningsOfUnread(datasets.filter(({ id }) => !readable.has(id)).map(({ id }) => id)),
    ...warningsOfHidden(listHidden(datasets).filter((id) => readable.has(id))),
    ...roles
      .filter(({ name }) => !heldRoles.has(name) && [...rules, ...changeRules].some(({ role }) => role === name))
      .map(
        ({ name }) =>
          `roles.${name}: no member or group in the policy file has it, so only the members table can give it.`,
      ),
    ...roles
      .filter(({ name, queries }) => queries.length > 0 && !readsAnything(policy, name))
      .map(
        ({ name, queries }) =>
          `roles.${name}: may run ${queries.join(", ")}, but no rule lets it read anything, so alone it gets an error. Write a rule, or remove its queries.`,
      ),
    ...(roles.length > 0 && !roles.some(({ administers }) => administers)
      ? ["roles: none has administers: true, so only npm run member can add members, and no setup code works."]
      : []),
    ...members
      .filter((member) => member.roles.length === 0)
      .map(({ email }) => `${email}: has no role and sees nothing.`),
    ...members.flatMap(({ email, attributes }) =>
      findAttributeProblems(policy, attributes).map(
        (problem) => `${email}: the attribute ${problem.attribute} ${describeAttributeProblem(problem)}`,
      ),
    ),
    ...listRowRules(policy).flatMap((rule) => warningsOfLacking(rule, policy)),
    ...rules.flatMap((rule) => warningsOfDenial(rule, policy)),
    ...warningsOfChanges(policy),
  ];
}

function listHidden(datasets: readonly Dataset[]): readonly string[] {
  return datasets.flatMap((dataset) => (dataset.kind === "table" && dataset.hidden ? [dataset.id] : []));
}

function warningsOfUnread(ids: readonly string[]): readonly string[] {
  if (ids.length === 0) return [];
  const isOne = ids.length === 1;
  const remedy = isOne ? "it. Write a rule, or remove the dataset." : "them. Write rules, or remove the datasets.";
  return [`${nameSome(ids)}: no rule allows reading ${remedy}`];
}

function warningsOfHidden(ids: readonly string[]): readonly string[] {
  const [first] = ids;
  if (first === undefined) return [];
  const command = `npm run gatehouse -- open ${quoteArgument(first)}`;
  const isOne = ids.length === 1;
  const claim = isOne
    ? "reading it, but it is hidden. Open it, or leave it hidden"
    : "reading them, but they are hidden. Open those that users need";
  return [`${nameSome(ids)}: rules allow ${claim}: ${command}${isOne ? "" : " …"}`];
}

/** Most names in one warning. */
const MAX_NAMED = 4;

function nameSome(ids: readonly string[]): string {
  // A count in place of one name would be no shorter.
  const named = ids.length <= MAX_NAMED + 1 ? ids : ids.slice(0, MAX_NAMED);
  return `${named.join(", ")}${named.length < ids.length ? ` and ${ids.length - named.length} more` : ""}`;
}

function warningsOfDenial({ id, effect, dataset }: Rule, { rules }: Policy): readonly string[] {
  const isAllowed = rules.some((rule) => rule.effect === "allow" && rule.dataset === dataset);
  return effect === "deny" && !isAllowed ? [`${id}: denies a dataset that no rule allows. Remove the rule.`] : [];
}

function warningsOfLacking({ id, role, rows }: RuleWithRows, { members }: Policy): readonly string[] {
  const neededAttributes = listSubjectValues(rows).filter((name) => !BUILT_IN_VALUES.includes(name));
  return members
    .filter(({ roles }) => roles.includes(role))
    .filter(({ attributes }) => neededAttributes.some((name) => !Object.hasOwn(attributes, name)))
    .map(
      ({ email }) =>
        `${id}: ${email} lacks the attribute ${neededAttributes.join(" or ")}, so the rule grants them nothing.`,
    );
}
