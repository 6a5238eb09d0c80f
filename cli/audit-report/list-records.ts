// `audit list`: the records that match filters, newest first.
import { matchRow, nameEntry } from "../../src/audit-reading/named-entry.ts";
import { readNames } from "../../src/audit-reading/record-names.ts";
import { searchRecords } from "../../src/audit-reading/search-records.ts";
import { createFilter, formatCursor, parseCursor } from "../../src/audit/record-filter.ts";
import { usageError } from "../kit/cli-error.ts";
import type { Output } from "../kit/output.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";
import { describeEntry } from "./record-line.ts";
import { withRecordedRead } from "./recorded-read.ts";
import { describeFilters, readSearch } from "./search-options.ts";
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
  const limit = readLimit(options.limit, "; export has all records");
  const names = await readNames(database);
  const search = await readSearch(database, names, options, nowMs);
  const { row } = search;
  const filter = createFilter(search);
  const start = readCursor(options.after);
  const filters = { ...describeFilters(options), limit: options.limit, after: options.after };
  const { records, next } = await withRecordedRead(database, "list", filters, async () => {
    const result = await searchRecords(database.auditRecords, { filter, start, limit });
    return { result, rows: result.records.length };
  });
  const entries = records.map((record) => {
    const entry = nameEntry(record, names);
    return { ...entry, ...(row === undefined ? {} : { showsRow: matchRow(entry, row) }) };
  });
  return {
    lines: [
      ...entries.map(
        (entry) => `${describeEntry(entry, names)}${entry.showsRow === "possible" ? "  possibly this row" : ""}`,
      ),
      ...(entries.length === 0 ? [await describeNothing(database, options.after !== undefined)] : []),
      ...(next === null ? [] : [`There may be more: add --after ${formatCursor(next)} to the same command.`]),
    ],
    data: { records: entries, next: next === null ? null : formatCursor(next) },
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

/** Reads how many entries to print. `more` says how to get more. */
export function readLimit(text: string, more = ""): number {
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw usageError(`--limit is ${text}. It takes a number from 1 to ${MAX_LIMIT}${more}.`);
}

function readCursor(text: string | undefined): ReturnType<typeof parseCursor> {
  if (text === undefined) return null;
  const cursor = parseCursor(text);
  if (cursor === null) throw usageError(`--after is ${text}. Give it what the page before printed.`);
  return cursor;
}
