// Searches the audit log part by part, newest first.
import type { AuditRecordStore, ListedRecord, RecordCursor, RecordFilter } from "../audit/audit-record-store.ts";

/** What to search for. */
interface RecordSearchRequest {
  readonly filter: RecordFilter;
  /** Where the page before ended; null for the first page. */
  readonly start: RecordCursor | null;
  readonly limit: number;
  /** How many parts of the log to search, each of which has a limited number of records; all of them without it. */
  readonly maxParts?: number;
}

/** Reads parts of the log until there are enough records. `next` is null at the end of the log. */
export async function searchRecords(
  store: Pick<AuditRecordStore, "list">,
  { filter, start, limit, maxParts = Infinity }: RecordSearchRequest,
): Promise<{ readonly records: readonly ListedRecord[]; readonly next: RecordCursor | null }> {
  const records: ListedRecord[] = [];
  let cursor = start;
  for (let part = 0; part < maxParts; part += 1) {
    const page = await store.list(filter, { order: "newest first", cursor, limit: limit - records.length });
    records.push(...page.records);
    cursor = page.next;
    if (cursor === null || records.length >= limit) break;
  }
  return { records, next: cursor };
}
