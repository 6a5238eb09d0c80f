// `audit list`: the records that match filters, newest first.
import type { ListedRecord } from "../../src/audit/audit-record-store.ts";
import { createFilter, formatCursor, parseCursor } from "../../src/audit/record-filter.ts";
import { usageError } from "../kit/cli-error.ts";
import type { Output } from "../kit/output.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";
import { readNames } from "./names.ts";
import { describeEntry, nameEntry } from "./record-line.ts";
import { readSearch } from "./search-options.ts";
import type { SearchOptions } from "./search-options.ts";

/** The options of the command. */
export interface ListOptions extends SearchOptions {
  readonly limit: string;
  /** The cursor that the page before printed. */
  readonly after?: string;
}

const MAX_LIMIT = 1000;

/** Lists one page of records. Throws the error for wrong usage for an option of another form. */
export async function listAuditRecords(database: OwnDatabase, options: ListOptions, nowMs: number): Promise<Output> {
  const limit = readLimit(options.limit);
  const names = await readNames(database);
  const filter = createFilter(await readSearch(database, names, options, nowMs));
  let cursor = readCursor(options.after);
  const records: ListedRecord[] = [];
  do {
    const page = await database.auditRecords.list(filter, {
      order: "newest first",
      cursor,
      limit: limit - records.length,
    });
    records.push(...page.records);
    cursor = page.next;
  } while (cursor !== null && records.length < limit);
  const entries = records.map((record) => nameEntry(record, names));
  const next = cursor === null ? null : formatCursor(cursor);
  return {
    lines: [
      ...entries.map((entry) => describeEntry(entry, names)),
      ...(entries.length === 0 ? [await describeNothing(database, options.after !== undefined)] : []),
      ...(next === null ? [] : [`There may be more: add --after ${next} to the same command.`]),
    ],
    data: { records: entries, next },
  };
}

/** Says what there is when nothing matches. */
export async function describeNothing({ auditRecords }: OwnDatabase, isLaterPage = false): Promise<string> {
  const arrival = "A record arrives here about ten seconds after its call.";
  const times = await auditRecords.readTimes();
  if (times === null) return `There are no audit records here yet. ${arrival}`;
  const [oldest, newest] = [times.oldestMs, times.newestMs].map((ms) => new Date(ms).toISOString());
  return `No ${isLaterPage ? "more records match" : "record matches"}. The log has records from ${oldest} to ${newest}. ${arrival}`;
}

function readLimit(text: string): number {
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw usageError(`--limit is ${text}. It takes a number from 1 to ${MAX_LIMIT}; export has all records.`);
}

function readCursor(text: string | undefined): ReturnType<typeof parseCursor> {
  if (text === undefined) return null;
  const cursor = parseCursor(text);
  if (cursor === null) throw usageError(`--after is ${text}. Give it what the page before printed.`);
  return cursor;
}
