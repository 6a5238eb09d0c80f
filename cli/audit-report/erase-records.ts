// `audit erase`: takes values out of records that match filters, or everything of a user. Only the running server reaches the ledgers, so
// the command stores what to erase, and says what became of it.
import { setTimeout } from "node:timers/promises";
import { countOf } from "../../src/lib/count-of.ts";
import { ERASABLE_FIELDS, MAX_ERASED_RANGES, joinRanges } from "../../src/audit/erasure.ts";
import type { ErasableField } from "../../src/audit/erasure.ts";
import type { ErasureRequest, StoredErasure } from "../../src/audit/erasure-store.ts";
import { createFilter } from "../../src/audit/record-filter.ts";
import { newId } from "../../src/lib/ids.ts";
import { CliError, usageError } from "../kit/cli-error.ts";
import { createProgress } from "../kit/progress.ts";
import { readReason } from "../kit/reason-argument.ts";
import { OPERATOR, requireReady } from "../own-database/own-database.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";
import { readNames } from "../../src/audit-reading/record-names.ts";
import { withRecordedRead } from "./recorded-read.ts";
import { describeFilters, readSearch, readUser } from "./search-options.ts";
import type { SearchOptions } from "./search-options.ts";
import { findShownRecords } from "./show-record.ts";

/** The options of the command. */
export interface EraseOptions extends SearchOptions {
  /** The id of one record, or of a call. */
  readonly record?: string;
  /** The names of fields, with commas. */
  readonly fields?: string;
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** What to erase in one ledger. Null: everything. */
type Ranges = ErasureRequest["ranges"];

/** Fields that may hold values of the organisation's data, or of a user's text. */
const DEFAULT_FIELDS: readonly ErasableField[] = ["arguments", "resource", "keys"];
const PAGE_RECORDS = 500;
/** How often the server is asked to go on, and how many times although nothing has changed. */
const RETRY_MS = 500;
const MAX_WAITS = 20;

/**
 * Erases fields of the selected records, or with `dryRun` only reports what it would erase. Throws a usage error for an option that it
 * cannot parse, and `CliError` when `yes` is missing.
 */
export async function eraseAuditRecords(
  database: OwnDatabase,
  options: EraseOptions,
  nowMs: number,
): Promise<readonly string[]> {
  const { dryRun = false, yes = false, reason: reasonText = "", user, record, fields: fieldText } = options;
  const reason = readReason(reasonText);
  await requireReady(database.erasures, "erase");
  const otherFilters = describeFilters({ ...options, user: undefined });
  const hasFilter = Object.values(otherFilters).some((value) => value !== undefined);
  if (record !== undefined && (hasFilter || user !== undefined)) throw usageError("--record goes without filters.");
  const isWholeUser = user !== undefined && !hasFilter && fieldText === undefined;
  const fields = isWholeUser ? ERASABLE_FIELDS : readFields(fieldText);
  const found = isWholeUser
    ? new Map((await readUser(database, user)).map((ledger): [string, Ranges] => [ledger, null]))
    : await withRecordedRead(database, "erase", { ...describeFilters(options), record }, async (touch) => {
        const result = await findRecords(database, options, nowMs, touch);
        return { result, rows: [...result.values()].reduce((sum, ranges) => sum + countRecords(ranges), 0) };
      });
  if (found.size === 0) return ["No record matches, so nothing was erased."];
  const what = describe(found, fields);
  if (dryRun) return [`This would erase ${what}.`];
  if (!yes) throw new CliError(`This erases ${what}, for good.`, { hint: "Run the command again with --yes." });
  const requests = [...found].flatMap(([ledger, ranges]) =>
    splitRanges(ranges).map((part) => ({ id: newId(), ledger, fields, ranges: part, reason, by: OPERATOR, nowMs })),
  );
  await database.erasures.request(requests);
  const ids = requests.map(({ id }) => id);
  return describeOutcome(...(await carryOut(database, ids)), fields);
}

/**
 * Has the server carry them out. It erases in GATEHOUSE_DB once the ledgers have sent the records of the erasure, which takes a moment, and
 * it works through many of them in several runs.
 */
async function carryOut(
  database: OwnDatabase,
  ids: readonly string[],
): Promise<readonly [stored: readonly StoredErasure[], effect: string]> {
  let before = "";
  for (let waits = 0; ;) {
    const effect = await database.tell();
    const stored = await database.erasures.list(ids);
    const now = JSON.stringify(stored);
    waits = now === before ? waits + 1 : 0;
    const isStarted = stored.some(({ untilSeq }) => untilSeq !== null);
    if (stored.every(({ isDone }) => isDone) || !isStarted || waits === MAX_WAITS) return [stored, effect];
    before = now;
    await setTimeout(RETRY_MS);
  }
}

function readFields(text: string | undefined): readonly ErasableField[] {
  if (text === undefined) return DEFAULT_FIELDS;
  return text.split(",").map((name) => {
    const field = ERASABLE_FIELDS.find((known) => known === name.trim());
    if (field === undefined)
      throw usageError(`--fields has ${name.trim()}. Fields that can be erased: ${ERASABLE_FIELDS.join(", ")}.`);
    return field;
  });
}

async function findRecords(
  database: OwnDatabase,
  options: EraseOptions,
  nowMs: number,
  touch: () => Promise<void>,
): Promise<ReadonlyMap<string, Ranges>> {
  const seqs = new Map<string, number[]>();
  const add = (records: readonly { readonly ledger: string; readonly seq: number }[]): void => {
    for (const { ledger, seq } of records) {
      const list = seqs.get(ledger) ?? [];
      list.push(seq);
      seqs.set(ledger, list);
    }
  };
  if (options.record === undefined)
    await searchAll(database, options, nowMs, async (records) => {
      add(records);
      await touch();
    });
  else add(await findShownRecords(database, options.record));
  return new Map([...seqs].map(([ledger, list]) => [ledger, joinRanges(list)]));
}

async function searchAll(
  database: OwnDatabase,
  options: EraseOptions,
  nowMs: number,
  onFound: (records: readonly { readonly ledger: string; readonly seq: number }[]) => Promise<void>,
): Promise<void> {
  const filter = createFilter(await readSearch(database, await readNames(database), options, nowMs));
  if (filter.terms.length === 0 && !filter.onlyAllowed && !filter.onlyQueries && options.until === undefined)
    throw usageError("Say which records: with --user, --record or another filter.");
  const progress = createProgress({ verb: "Finding", unit: "records", total: null });
  try {
    let cursor = null;
    do {
      const page = await database.auditRecords.list(filter, { order: "oldest first", cursor, limit: PAGE_RECORDS });
      await onFound(page.records);
      progress.add("records", page.records.length);
      cursor = page.next;
    } while (cursor !== null);
  } finally {
    progress.finish();
  }
}

function splitRanges(ranges: Ranges): readonly Ranges[] {
  if (ranges === null) return [null];
  return Array.from({ length: Math.ceil(ranges.length / MAX_ERASED_RANGES) }, (_, part) =>
    ranges.slice(part * MAX_ERASED_RANGES, (part + 1) * MAX_ERASED_RANGES),
  );
}

function describe(found: ReadonlyMap<string, Ranges>, fields: readonly ErasableField[]): string {
  const ranges = [...found.values()].flatMap((value) => value ?? []);
  const count = countRecords(ranges);
  const names = joinNames(fields);
  return ranges.length === 0
    ? `the fields ${names} of all records of this user, their results, the stored answers of their sessions, and unanswered questions`
    : `the fields ${names} of ${countOf(count, "record")} in ${countOf(found.size, "ledger")}`;
}

const countRecords = (ranges: Ranges): number =>
  (ranges ?? []).reduce((sum, [first, last]) => sum + last - first + 1, 0);

const joinNames = (names: readonly string[]): string =>
  new Intl.ListFormat("en-GB", { type: "conjunction" }).format(names);

function describeOutcome(
  stored: readonly StoredErasure[],
  effect: string,
  fields: readonly ErasableField[],
): readonly string[] {
  const sum = (count: (erasure: StoredErasure) => number): number =>
    stored.reduce((total, erasure) => total + count(erasure), 0);
  const [erased, kept] = [sum((erasure) => erasure.erased), sum((erasure) => erasure.kept)];
  const isRecorded = stored.every(({ untilSeq }) => untilSeq !== null);
  return [
    ...(erased === 0 ? [] : [`Erased ${joinNames(fields)} of ${countOf(erased, "record")} in GATEHOUSE_DB.`]),
    ...(kept === 0
      ? []
      : [
          `${countOf(kept, "record")} kept the values: an earlier version hashed them as a whole, or their text was edited.`,
        ]),
    ...(stored.every(({ isDone }) => isDone)
      ? ["The ledgers have recorded the erasure. Exports, archives and backups that were made before are not reached."]
      : isRecorded
        ? ["The ledgers have erased and recorded it; their records in GATEHOUSE_DB are erased within ten minutes."]
        : [`Nothing more is erased yet. ${effect}`]),
  ];
}
