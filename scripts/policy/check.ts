// `npm run policy -- check`: who sees what, and what in the policy has no effect.
import { attributeProblems, describeProblem } from "../../src/policy/attributes.ts";
import { subjectValuesOf } from "../../src/policy/conditions.ts";
import type { Policy, Rule } from "../../src/policy/model.ts";
import { disclosureText, roleView, rowsText } from "./words.ts";

/** A table for each dataset: a line for its rows and for each column, a cell for each role. */
export function matrixOf(policy: Policy): readonly string[] {
  const roles = policy.roles.map(({ name }) => name);
  return policy.datasets.flatMap((dataset) => {
    const views = roles.map((role) => roleView(policy, role, dataset.id));
    const rows = views.map((view) => {
      if (view.kind === "rows") return rowsText(view.rows);
      return view.kind === "documents" ? "all" : "–";
    });
    const columns = dataset.kind === "documents" ? [] : dataset.columns.map(({ name }) => name);
    const lines = columns.map((column) => [
      column,
      ...views.map((view) => (view.kind === "rows" ? disclosureText(view.columns.get(column)) : "–")),
    ]);
    return [
      ...aligned([[dataset.id, ...roles], [dataset.kind === "documents" ? "documents" : "rows", ...rows], ...lines]),
      "",
    ];
  });
}

/** Cells below each other; the first line is the head. */
function aligned(lines: readonly (readonly string[])[]): readonly string[] {
  const widths = (lines[0] ?? []).map((_cell, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  return lines.map((line, index) => {
    const text = line
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
    return index === 0 ? text : `  ${text}`;
  });
}

/** What has no effect, or not the one that was meant, each with what to do. */
export function warningsOf(policy: Policy): readonly string[] {
  const { datasets, rules, members, groups, roles } = policy;
  const held = new Set([...members, ...groups].flatMap((one) => one.roles));
  const read = new Set(rules.filter(({ effect }) => effect === "allow").map(({ dataset }) => dataset));
  return [
    ...datasets
      .filter(({ id }) => !read.has(id))
      .map(({ id }) => `${id}: no rule lets anybody read it. Write one, or remove it.`),
    ...datasets.flatMap((dataset) =>
      dataset.kind === "table" && dataset.hidden && read.has(dataset.id)
        ? [`${dataset.id}: rules name it, but nobody has opened it. Remove its "hidden": true, or leave it closed.`]
        : [],
    ),
    ...roles
      .filter(({ name }) => !held.has(name) && rules.some(({ role }) => role === name))
      .map(
        ({ name }) =>
          `roles.${name}: no member of this file and no group holds it, so its rules reach only whom the members table names.`,
      ),
    ...(roles.length > 0 && !roles.some(({ administers }) => administers)
      ? [
          "roles: none has administers: true, so members can be added by npm run member alone, and no set-up code works.",
        ]
      : []),
    ...members
      .filter((member) => member.roles.length === 0)
      .map(({ email }) => `${email}: holds no role and sees nothing.`),
    ...members.flatMap(({ email, attributes }) =>
      attributeProblems(policy, attributes).map(
        (problem) => `${email}: the attribute ${problem.attribute} ${describeProblem(problem)}`,
      ),
    ),
    ...rules.flatMap((rule) => warningsOfRule(rule, policy)),
  ];
}

function warningsOfRule(rule: Rule, { rules, members }: Policy): readonly string[] {
  const holders = members.filter(({ roles }) => roles.includes(rule.role));
  const needed = rule.rows === null ? [] : subjectValuesOf(rule.rows).filter((name) => !["id", "email"].includes(name));
  const lacking = holders.filter(({ attributes }) => needed.some((name) => !Object.hasOwn(attributes, name)));
  const allowed = rules.some(({ effect, dataset }) => effect === "allow" && dataset === rule.dataset);
  return [
    ...(rule.effect === "deny" && !allowed ? [`${rule.id}: denies what no rule allows. Remove it.`] : []),
    ...lacking.map(
      ({ email }) => `${rule.id}: ${email} lacks ${needed.join(" or ")}, so the rule grants them nothing.`,
    ),
  ];
}
