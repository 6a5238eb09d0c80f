// Audit records as lines of a list.
import { countOf } from "../../src/lib/count-of.ts";
import type { NamedEntry } from "../../src/audit/export-fields.ts";
import type { RecordNames } from "../../src/audit-reading/record-names.ts";
import type { AuditEntry } from "../../src/audit/record-entry.ts";

/** How much of a ledger's id a list shows. */
const SHOWN_LEDGER = 12;
const SHOWN_RESOURCE = 60;

/** Writes who called: the address, or the subject id, and the name of the client or personal access token through which they did. */
function describeCaller({ user, ledger, client, clientName }: NamedEntry, names: RecordNames): string {
  const isPat = names.findPatName(client) !== null;
  return `${user ?? ledger}  ${isPat ? `token ${clientName}` : (clientName ?? (client || "-"))}`;
}

/** Writes the id in the short form of lists. */
export function shortId({ ledger, seq }: Pick<AuditEntry, "ledger" | "seq">): string {
  return `${ledger.slice(0, SHOWN_LEDGER)}/${seq}`;
}

/** Writes what became of the call: `allowed`, `denied (not_allowed)`, `none (query_refused)`. */
export function describeDecision({ decision, code, outcome }: AuditEntry): string {
  const reason = code ?? (decision === "none" ? outcome : null);
  return reason === null ? decision : `${decision} (${reason})`;
}

/** Writes a record as one line of the list. */
export function describeEntry(entry: NamedEntry, names: RecordNames): string {
  const { ended, action, rows } = entry;
  const resource = entry.resource ?? "-";
  return [
    ended?.replace(/\.\d+Z$/, "Z") ?? "unknown time",
    describeCaller(entry, names),
    action ?? "-",
    resource.length > SHOWN_RESOURCE ? `${resource.slice(0, SHOWN_RESOURCE)}…` : resource || "-",
    describeDecision(entry),
    rows === null ? "-" : countOf(rows, "row"),
    shortId(entry),
  ].join("  ");
}
