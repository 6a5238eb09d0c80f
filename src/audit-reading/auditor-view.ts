// What an auditor sees of a record. Without the right to see arguments, it shows no text that a user typed: no SQL, search texts, keys of
// rows, or names that the policy does not declare.
import { OPERATOR_LEDGER } from "../audit/operator-ledger.ts";
import { PAUSE_KINDS } from "../audit/pause-model.ts";
import type { Policy } from "../policy/model.ts";
import type { NamedEntry } from "../audit/export-fields.ts";
import { READ_LOG_ACTION } from "./operator-reads.ts";

/** How an auditor without arguments sees a field. A new field must be placed here before the code compiles. */
const FIELDS: Readonly<Record<keyof NamedEntry, "shown" | "hidden" | "only declared names">> = {
  id: "shown",
  user: "shown",
  clientName: "shown",
  ledger: "shown",
  seq: "shown",
  began: "shown",
  ended: "shown",
  call: "shown",
  subject: "shown",
  owner: "shown",
  client: "shown",
  era: "shown",
  session: "shown",
  trace: "shown",
  action: "shown",
  resource: "only declared names",
  arguments: "hidden",
  decision: "shown",
  outcome: "shown",
  code: "shown",
  roles: "shown",
  rules: "shown",
  denials: "only declared names",
  datasets: "shown",
  columns: "shown",
  masked: "shown",
  untrusted: "shown",
  rows: "shown",
  bytes: "shown",
  cut: "shown",
  result: "shown",
  approver: "shown",
  hash: "shown",
  // Keys of rows may be personal data.
  keys: "hidden",
};

/** Removes from a record what an auditor may not see. */
export type AuditorView = (entry: NamedEntry) => NamedEntry;

/** What a denial may name besides datasets and columns. */
const DENIED_PARTS: readonly string[] = ["members", "audit", "set-up", "replay", ...PAUSE_KINDS];

/** Creates the view of auditors who may not see arguments. */
export function createAuditorView({ sources, datasets, queries, roles }: Policy): AuditorView {
  const declared = new Set([
    ...sources.map(({ name }) => name),
    ...datasets.map(({ id }) => id),
    ...queries.map(({ name }) => name),
    "workspace",
  ]);
  const deniable = new Set([
    ...declared,
    ...datasets.flatMap((dataset) =>
      dataset.kind === "table" ? dataset.columns.map(({ name }) => `${dataset.id}.${name}`) : [],
    ),
    ...roles.map(({ name }) => name),
    ...DENIED_PARTS,
  ]);
  const showDenial = (denial: string): string => {
    // The last one: a user may have typed others.
    const at = denial.lastIndexOf(": ");
    if (at < 0) return deniable.has(denial) ? denial : "undeclared name";
    return deniable.has(denial.slice(0, at)) ? denial : `undeclared name${denial.slice(at)}`;
  };
  return (entry) => {
    const { ledger, resource, denials, action, decision } = entry;
    const hidden = Object.entries(FIELDS).flatMap(([name, form]) => (form === "hidden" ? [[name, null]] : []));
    // The filters of another auditor are shown, so that auditors can watch each other, but not the row that one searched for.
    const isAllowed = decision === "allowed" || ledger === OPERATOR_LEDGER;
    const isRead = action === READ_LOG_ACTION && isAllowed && resource !== null && !hasKey(resource);
    return {
      ...entry,
      ...Object.fromEntries(hidden),
      resource: resource !== null && (isRead || declared.has(resource)) ? resource : null,
      denials: denials?.map(showDenial) ?? null,
    };
  };
}

/** Whether the filters of a read name a row. */
function hasKey(filters: string): boolean {
  return /"key":/.test(filters);
}
