// `npm run policy -- diff <revision>`: what a change of the policy opens and closes, role by role and person by person.
import { disclosureRank } from "../../src/policy/masks.ts";
import type { Disclosure, Policy } from "../../src/policy/model.ts";
import { disclosureText, roleView, rowsText } from "./words.ts";
import type { RoleView } from "./words.ts";

export interface PolicyDiff {
  readonly opens: readonly string[];
  readonly closes: readonly string[];
  /** What shows other rows than before; which way, no rule on words can tell. */
  readonly changes: readonly string[];
}

export function diffPolicies(before: Policy, after: Policy): PolicyDiff {
  const diff = { opens: [] as string[], closes: [] as string[], changes: [] as string[] };
  const roles = distinct([before, after].flatMap((policy) => policy.roles.map(({ name }) => name)));
  const datasets = distinct([before, after].flatMap((policy) => policy.datasets.map(({ id }) => id)));
  for (const role of roles)
    for (const dataset of datasets)
      compareViews(`${role} on ${dataset}`, roleView(before, role, dataset), roleView(after, role, dataset), diff);
  const emails = distinct([before, after].flatMap((policy) => policy.members.map(({ email }) => email)));
  for (const email of emails) {
    const [had, has] = [before, after].map(
      (policy) => policy.members.find((member) => member.email === email)?.roles ?? [],
    );
    diff.opens.push(
      ...(has ?? []).filter((role) => !(had ?? []).includes(role)).map((role) => `${email} gets the role ${role}`),
    );
    diff.closes.push(
      ...(had ?? []).filter((role) => !(has ?? []).includes(role)).map((role) => `${email} loses the role ${role}`),
    );
    const [was, is] = [before, after].map((policy) =>
      JSON.stringify(policy.members.find((one) => one.email === email)?.attributes ?? {}),
    );
    if (was !== is) diff.changes.push(`${email} has the attributes ${is}, had ${was}`);
  }
  compareGroups(before, after, diff);
  return diff;
}

function compareGroups(before: Policy, after: Policy, { opens, closes }: Lists): void {
  const given = ({ groups }: Policy): readonly string[] =>
    groups.flatMap(({ group, roles }) => roles.map((role) => `${JSON.stringify(group)} the role ${role}`));
  opens.push(...missing(given(before), given(after)).map((one) => `the group ${one}: is given now`));
  closes.push(...missing(given(after), given(before)).map((one) => `the group ${one}: is not given any more`));
  const administer = ({ roles }: Policy): readonly string[] =>
    roles.filter(({ administers }) => administers).map(({ name }) => name);
  opens.push(...missing(administer(before), administer(after)).map((role) => `${role} may add and remove members`));
  closes.push(...missing(administer(after), administer(before)).map((role) => `${role} may not add members any more`));
}

interface Lists {
  readonly opens: string[];
  readonly closes: string[];
  readonly changes: string[];
}

function compareViews(what: string, before: RoleView, after: RoleView, { opens, closes, changes }: Lists): void {
  if (before.kind === "nothing" && after.kind === "nothing") return;
  if (before.kind === "nothing") return void opens.push(`${what}: ${summaryOf(after)}`);
  if (after.kind === "nothing") return void closes.push(`${what}: nothing any more (${after.reason})`);
  if (before.kind !== "rows" || after.kind !== "rows") return;
  if (JSON.stringify(before.rows) !== JSON.stringify(after.rows)) {
    const list = after.rows === null ? opens : before.rows === null ? closes : changes;
    list.push(`${what}: rows ${rowsText(after.rows)}, were ${rowsText(before.rows)}`);
  }
  for (const column of distinct([...before.columns.keys(), ...after.columns.keys()])) {
    const [was, is] = [before.columns.get(column), after.columns.get(column)];
    const list = rankOf(is) > rankOf(was) ? opens : rankOf(is) < rankOf(was) ? closes : undefined;
    list?.push(`${what}.${column}: ${disclosureText(is)}, was ${disclosureText(was)}`);
  }
  opens.push(...missing(before.reveal, after.reveal).map((column) => `${what}.${column}: tokens may be exchanged`));
  closes.push(
    ...missing(after.reveal, before.reveal).map((column) => `${what}.${column}: tokens may not be exchanged any more`),
  );
}

function summaryOf(view: RoleView): string {
  if (view.kind !== "rows") return "all documents";
  const shown = [...view.columns].filter(([, disclosure]) => disclosure.kind !== "hidden");
  return `rows ${rowsText(view.rows)}; ${shown.map(([name, disclosure]) => `${name} ${disclosureText(disclosure)}`).join(", ")}`;
}

function rankOf(disclosure: Disclosure | undefined): number {
  return disclosureRank(disclosure ?? { kind: "hidden" });
}

function missing(there: readonly string[], wanted: readonly string[]): readonly string[] {
  return wanted.filter((one) => !there.includes(one));
}

function distinct(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}
