// What people and programs search the audit log by: filters, times and cursors as text.
import type { RecordCursor, RecordFilter } from "./audit-record-store.ts";
import { UNLISTED_ACTION, formatTerm } from "./record-entry.ts";
import type { AuditEntry, TermKind } from "./record-entry.ts";
import { listTermsOfKey } from "./record-keys.ts";
import { parseDuration } from "../lib/duration.ts";

/** What to search for. A record must have all that is given. */
export interface RecordSearch {
  /** Subject ids of users, one of which is the record's. */
  readonly users?: readonly string[] | undefined;
  /** Ids of clients, one of which is the record's. */
  readonly clients?: readonly string[] | undefined;
  readonly action?: string | undefined;
  /** `source.table` */
  readonly dataset?: string | undefined;
  /** `source.table.column` */
  readonly column?: string | undefined;
  /** A row that the record shows, or may show. */
  readonly row?: RowName | undefined;
  readonly decision?: AuditEntry["decision"] | undefined;
  /** From this time on, and before that one, in milliseconds since the epoch. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

/** A row by its dataset and its key as in its id. */
export interface RowName {
  readonly dataset: string;
  readonly key: string;
}

/** Creates the filter of a search. */
export function createFilter(search: RecordSearch): RecordFilter {
  const {
    users,
    clients,
    action,
    dataset,
    column,
    row,
    decision,
    sinceMs = 0,
    untilMs = Number.MAX_SAFE_INTEGER,
  } = search;
  const list = (kind: TermKind, values: readonly string[] | undefined): readonly (readonly string[])[] =>
    values === undefined ? [] : [values.map((value) => formatTerm(kind, value))];
  const one = (value: string | undefined): readonly string[] | undefined => (value === undefined ? value : [value]);
  return {
    terms: [
      ...list("user", users),
      ...list("client", clients),
      ...list("action", one(action === UNLISTED_ACTION ? undefined : action)),
      ...list("dataset", one(dataset)),
      ...list("column", one(column)),
      ...list("key", row && listTermsOfKey(row.dataset, row.key)),
      ...list("decision", one(decision === "allowed" ? undefined : decision)),
    ],
    onlyAllowed: decision === "allowed",
    onlyQueries: action === UNLISTED_ACTION,
    sinceMs,
    untilMs,
  };
}

const DAY = /^\d{4}-\d\d-\d\d$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)?$/;

/**
 * Parses a time: a UTC day, a time in ISO 8601 (in UTC when it names no zone), or how long ago it was, such as `90m`, `24h` or `7d`.
 * Returns milliseconds since the epoch; null for any other text.
 */
export function parseTime(text: string, nowMs: number): number | null {
  const agoMs = parseDuration(text);
  if (agoMs !== null) return nowMs - agoMs;
  if (!DAY.test(text) && !TIME.test(text)) return null;
  const hasZone = DAY.test(text) || /(?:Z|[+-]\d\d:\d\d)$/.test(text);
  const ms = Date.parse(hasZone ? text : `${text}Z`);
  // Date.parse takes the 31st of February as a day in March.
  const day = text.slice(0, 10);
  const dayMs = Date.parse(`${day}T00:00:00Z`);
  const isDay = !Number.isNaN(dayMs) && new Date(dayMs).toISOString().startsWith(day);
  return isDay && !Number.isNaN(ms) ? ms : null;
}

/** Writes a cursor as text. */
export function formatCursor({ endedMs, id }: RecordCursor): string {
  return `${endedMs.toString(36)}.${id.toString(36)}`;
}

/** Parses the text of a cursor; null when it is none. */
export function parseCursor(text: string): RecordCursor | null {
  if (!/^[0-9a-z]{1,10}\.[0-9a-z]{1,10}$/.test(text)) return null;
  const [endedMs = NaN, id = NaN] = text.split(".").map((part) => parseInt(part, 36));
  return Number.isSafeInteger(endedMs) && Number.isSafeInteger(id) ? { endedMs, id } : null;
}
