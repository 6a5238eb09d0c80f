// Audit records in the form of the list, the export and `--json`.
import type { ListedRecord } from "../../src/audit/audit-record-store.ts";
import { readEntryForList } from "../../src/audit/record-entry.ts";
import type { AuditEntry } from "../../src/audit/record-entry.ts";
import type { Names } from "./names.ts";

/** A record with the names that are known now. docs/audit.md lists the fields. */
export interface NamedEntry extends AuditEntry {
  /** `ledger/seq`, which `audit show` takes. */
  readonly id: string;
  /** The address of the user; null when it is not known. */
  readonly user: string | null;
}

/** How much of a ledger's id a list shows. */
const SHOWN_LEDGER = 12;
const SHOWN_RESOURCE = 60;

/** Adds names to a record. */
export function nameEntry(record: ListedRecord, names: Names): NamedEntry {
  const { ledger, seq } = record;
  return { id: `${ledger}/${seq}`, user: names.findEmail(ledger), ...readEntryForList(ledger, record) };
}

/** Writes who called: the address, or the subject id, and the personal access token through which they did. */
export function describeCaller({ user, ledger, client }: NamedEntry, names: Names): string {
  const patName = names.findPatName(client);
  return `${user ?? ledger}  ${patName === null ? client || "-" : `token ${patName}`}`;
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
export function describeEntry(entry: NamedEntry, names: Names): string {
  const { ended, action, rows } = entry;
  const resource = entry.resource ?? "-";
  return [
    ended?.replace(/\.\d+Z$/, "Z") ?? "unknown time",
    describeCaller(entry, names),
    action ?? "-",
    resource.length > SHOWN_RESOURCE ? `${resource.slice(0, SHOWN_RESOURCE)}…` : resource || "-",
    describeDecision(entry),
    rows === null ? "-" : rows === 1 ? "1 row" : `${rows} rows`,
    shortId(entry),
  ].join("  ");
}
