// The output of `npm run policy -- diff <revision>`: what a change of the policy opens and closes, by role and by member.
import { rankDisclosure } from "../../src/policy/masks.ts";
import type { Disclosure, Policy } from "../../src/policy/model.ts";
import { diffChangeRules } from "./change-diff.ts";
import { disclosureText, roleView, rowsText } from "./words.ts";
import type { RoleView } from "./words.ts";

/** The differences between two policies, one line each. */
interface PolicyDiff {
  readonly opens: readonly string[];
  readonly closes: readonly string[];
  /** Changes that may open or close access, such as another row condition. */
  readonly changes: readonly string[];
}

/** Compares two policies by what each role may change and sees, and by which roles members and groups have. Changes of rows come first. */
export function diffPolicies(before: Policy, after: Policy): PolicyDiff {
  const diff = { opens: [] as string[], closes: [] as string[], changes: [] as string[] };
  const roles = distinct([before, after].flatMap((policy) => policy.roles.map(({ name }) => name)));
  const datasets = distinct([before, after].flatMap((policy) => policy.datasets.map(({ id }) => id)));
  for (const role of roles)
    for (const dataset of datasets)
      compareViews(`${role} on ${dataset}`, roleView(before, role, dataset), roleView(after, role, dataset), diff);
  const emails = distinct([before, after].flatMap((policy) => policy.members.map(({ email }) => email)));
  for (const email of emails) {
    const [oldMember, newMember] = [before, after].map(({ members }) =>
      members.find((member) => member.email === email),
    );
    const [oldRoles, newRoles] = [oldMember?.roles ?? [], newMember?.roles ?? []];
    diff.opens.push(...missing(oldRoles, newRoles).map((role) => `${email} gets the role ${role}`));
    diff.closes.push(...missing(newRoles, oldRoles).map((role) => `${email} loses the role ${role}`));
    const [oldAttributes, newAttributes] = [oldMember, newMember].map((member) =>
      JSON.stringify(member?.attributes ?? {}),
    );
    if (oldAttributes !== newAttributes)
      diff.changes.push(`${email} has the attributes ${newAttributes}, previously ${oldAttributes}`);
  }
  compareGroups(before, after, diff);
  const changes = diffChangeRules(before, after);
  return {
    opens: [...changes.opens, ...diff.opens],
    closes: [...changes.closes, ...diff.closes],
    changes: [...changes.changes, ...diff.changes],
  };
}

function compareGroups(before: Policy, after: Policy, { opens, closes }: Lists): void {
  const listGrants = ({ groups }: Policy, verb: string): readonly string[] =>
    groups.flatMap(({ group, roles }) =>
      roles.map((role) => `the group ${JSON.stringify(group)} ${verb} the role ${role}`),
    );
  opens.push(...missing(listGrants(before, "gives"), listGrants(after, "gives")));
  closes.push(...missing(listGrants(after, "no longer gives"), listGrants(before, "no longer gives")));
  compareRoles(before, after, { opens, closes }, "add and remove members", ({ administers }) => administers);
  compareRoles(before, after, { opens, closes }, "read the audit log", ({ audits }) => audits !== false);
  compareRoles(
    before,
    after,
    { opens, closes },
    "read in the audit log what users have asked",
    ({ audits }) => audits === "with arguments",
  );
}

/** Compares which roles may do something besides reading data. */
function compareRoles(
  before: Policy,
  after: Policy,
  { opens, closes }: Pick<Lists, "opens" | "closes">,
  action: string,
  may: (role: Policy["roles"][number]) => boolean,
): void {
  const list = ({ roles }: Policy): readonly string[] => roles.filter(may).map(({ name }) => name);
  const [oldRoles, newRoles] = [list(before), list(after)];
  opens.push(...missing(oldRoles, newRoles).map((role) => `${role} may ${action}`));
  closes.push(...missing(newRoles, oldRoles).map((role) => `${role} may no longer ${action}`));
}

interface Lists {
  readonly opens: string[];
  readonly closes: string[];
  readonly changes: string[];
}

function compareViews(subject: string, before: RoleView, after: RoleView, { opens, closes, changes }: Lists): void {
  if (before.kind === "nothing" && after.kind === "nothing") return;
  if (before.kind === "nothing") return void opens.push(`${subject}: ${summaryOf(after)}`);
  if (after.kind === "nothing") return void closes.push(`${subject}: no longer readable (${after.reason})`);
  if (before.kind !== "rows" || after.kind !== "rows") return;
  if (JSON.stringify(before.rows) !== JSON.stringify(after.rows)) {
    const list = after.rows === null ? opens : before.rows === null ? closes : changes;
    list.push(`${subject}: rows ${rowsText(after.rows)}, previously ${rowsText(before.rows)}`);
  }
  for (const column of distinct([...before.columns.keys(), ...after.columns.keys()])) {
    const [old, current] = [before.columns.get(column), after.columns.get(column)];
    const list = rankOf(current) > rankOf(old) ? opens : rankOf(current) < rankOf(old) ? closes : undefined;
    list?.push(`${subject}.${column}: ${disclosureText(current)}, previously ${disclosureText(old)}`);
  }
  const [oldReveal, newReveal] = [before.reveal, after.reveal];
  opens.push(...missing(oldReveal, newReveal).map((column) => `${subject}.${column}: masking tokens may be exchanged`));
  closes.push(
    ...missing(newReveal, oldReveal).map((column) => `${subject}.${column}: masking tokens may no longer be exchanged`),
  );
}

function summaryOf(view: RoleView): string {
  if (view.kind !== "rows") return "all documents";
  const shown = [...view.columns].filter(([, disclosure]) => disclosure.kind !== "hidden");
  return `rows ${rowsText(view.rows)}; ${shown.map(([name, disclosure]) => `${name} ${disclosureText(disclosure)}`).join(", ")}`;
}

function rankOf(disclosure: Disclosure | undefined): number {
  return rankDisclosure(disclosure ?? { kind: "hidden" });
}

/** The items of `items` that are not in `present`. */
function missing(present: readonly string[], items: readonly string[]): readonly string[] {
  return items.filter((item) => !present.includes(item));
}

function distinct(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}
