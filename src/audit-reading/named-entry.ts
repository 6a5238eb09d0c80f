// Audit records with the names that are known now.
import type { ListedRecord } from "../audit/audit-record-store.ts";
import { nameExported } from "../audit/export-fields.ts";
import type { NamedEntry } from "../audit/export-fields.ts";
import { readEntryForList } from "../audit/record-entry.ts";
import type { AuditEntry } from "../audit/record-entry.ts";
import type { RowName } from "../audit/record-filter.ts";
import { formatRecordedKey } from "../audit/record-keys.ts";
import { displayName } from "../lib/visible-text.ts";
import { addClientNames } from "./record-names.ts";
import type { ClientNames, RecordNames } from "./record-names.ts";

/** Adds names to a record. */
export function nameEntry(record: ListedRecord, names: RecordNames): NamedEntry {
  return addNames(readEntryForList(record.ledger, record), names);
}

/** Adds names to records, with those under which clients registered themselves. */
export async function nameEntries(
  records: readonly ListedRecord[],
  names: RecordNames,
  findClientNames: (clientIds: readonly string[]) => Promise<ClientNames>,
): Promise<readonly NamedEntry[]> {
  const entries = records.map((record) => readEntryForList(record.ledger, record));
  const allNames = addClientNames(names, await findClientNames(entries.flatMap(({ client }) => client ?? [])));
  return entries.map((entry) => addNames(entry, allNames));
}

function addNames(entry: AuditEntry, names: RecordNames): NamedEntry {
  const clientName = names.findClientName(entry.client);
  return nameExported(entry, {
    user: names.findEmail(entry.ledger),
    clientName: clientName === null ? null : displayName(clientName),
  });
}

/** Whether a record that the search for a row found shows it: it is `possible` where the record does not name all rows. */
export type RowMatch = "certain" | "possible";

/** Says whether a found record shows the row. */
export function matchRow({ keys }: NamedEntry, { dataset, key }: RowName): RowMatch {
  return keys?.[dataset]?.values.includes(formatRecordedKey(key)) === true ? "certain" : "possible";
}
