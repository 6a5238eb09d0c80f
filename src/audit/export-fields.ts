// The fields of exported audit records, shared by the command line, the archive and the pipeline.
import { escapeJson } from "../lib/visible-text.ts";
import type { AuditEntry } from "./record-entry.ts";

/** A record as exports have it. docs/audit.md lists the fields. */
export interface NamedEntry extends AuditEntry {
  /** `ledger/seq`, which `audit show` takes. */
  readonly id: string;
  /** The address that the user has now; null when it is not known, and in the archive. */
  readonly user: string | null;
  /** The name of the client, in a form that is safe to show; null when it is not known, and in the archive. */
  readonly clientName: string | null;
}

/** The fields of an export, in the order of the columns. */
export const EXPORT_FIELDS = [
  "id",
  "ledger",
  "seq",
  "began",
  "ended",
  "user",
  "subject",
  "owner",
  "client",
  "era",
  "session",
  "trace",
  "call",
  "action",
  "resource",
  "arguments",
  "decision",
  "outcome",
  "code",
  "roles",
  "rules",
  "denials",
  "datasets",
  "columns",
  "masked",
  "untrusted",
  "rows",
  "bytes",
  "cut",
  "result",
  "approver",
  "hash",
  "keys",
  "clientName",
] as const satisfies readonly (keyof NamedEntry)[];

/** Adds names to an entry: null when they are not known or must not be written. */
export function nameExported(
  entry: AuditEntry,
  { user, clientName }: Pick<NamedEntry, "user" | "clientName">,
): NamedEntry {
  return { id: `${entry.ledger}/${entry.seq}`, user, ...entry, clientName };
}

/** Writes a record as a line of JSON Lines, in ASCII. */
export function formatExportLine(entry: NamedEntry): string {
  return `${escapeJson(JSON.stringify(Object.fromEntries(EXPORT_FIELDS.map((name) => [name, entry[name]]))))}\n`;
}
