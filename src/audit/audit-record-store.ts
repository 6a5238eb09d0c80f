// The audit records in GATEHOUSE_DB: where ledgers send them, and where people and programs find them. A record is never changed here; only
// an erasure and the operator's retention take something away.
import { openStatements } from "../lib/statement-store.ts";
import * as z from "zod";
import type { LedgerRecord } from "./audit-record.ts";
import { UNLISTED_ACTION, formatTerm } from "./record-entry.ts";

/** A record on its way from its ledger. */
export interface SentRecord extends LedgerRecord {
  /** When the call ended, in milliseconds since the epoch. */
  readonly endedMs: number;
  /** By what it is found; see `listTerms`. */
  readonly terms: readonly string[];
}

/** A stored record. */
export interface StoredRecord extends LedgerRecord {
  /** Grows with the order of arrival. */
  readonly id: number;
  readonly ledger: string;
  readonly endedMs: number;
}

/** What to list; `record-filter.ts` creates it. */
export interface RecordFilter {
  /** A record must have one term of each list; see `formatTerm`. */
  readonly terms: readonly (readonly string[])[];
  /** Only answered calls, which have no term for it. */
  readonly onlyAllowed: boolean;
  /** Only queries, which have no term for it. */
  readonly onlyQueries: boolean;
  /** From this time on, and before that one, in milliseconds since the epoch. */
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** The place after which a list continues: the end of a record and its id. */
export interface RecordCursor {
  readonly endedMs: number;
  readonly id: number;
}

/** Which part of a list to read. */
export interface PageRequest {
  readonly order: "newest first" | "oldest first";
  readonly cursor: RecordCursor | null;
  readonly limit: number;
}

/** A record in a list, without its salts, which only its hash needs. */
export type ListedRecord = Omit<StoredRecord, "salts">;

/** A part of a list. */
export interface RecordPage {
  /** May be fewer than the limit although more follow: a page looks at a limited number of records. */
  readonly records: readonly ListedRecord[];
  /** Where the list continues; null at its end. */
  readonly next: RecordCursor | null;
}

/** A part of one ledger's chain. */
export interface ChainSpan {
  readonly ledger: string;
  /** The record before the part; 0 when it begins with the ledger. */
  readonly startSeq: number;
  /** The last record of the part. */
  readonly endSeq: number;
}

/** When the oldest and the newest stored record ended. */
export interface StoredTimes {
  readonly oldestMs: number;
  readonly newestMs: number;
}

/** Stores and finds records. */
export interface AuditRecordStore {
  /**
   * Stores records of a ledger in one transaction; those that are stored already stay as they are. Returns the stored hash of
   * each, which is another one when another record has its place.
   */
  append(ledger: string, records: readonly SentRecord[]): Promise<ReadonlyMap<number, string>>;
  /** Resolves when the database answers and takes writes. */
  ping(): Promise<void>;
  /** Lists records by the time they ended. */
  list(filter: RecordFilter, page: PageRequest): Promise<RecordPage>;
  /** Reads from when to when there are records; null when there are none. */
  readTimes(): Promise<StoredTimes | null>;
  /** Finds the records of a call, in order. */
  findCall(call: string): Promise<readonly StoredRecord[]>;
  find(ledger: string, seq: number): Promise<StoredRecord | null>;
  /** Finds at most two ledgers whose ids begin so. */
  findLedgers(prefix: string): Promise<readonly string[]>;
  /**
   * Lists the part of each chain that has the records which ended in a span of time, ordered by ledger. It begins after the last record
   * before the span and ends with the first one after it, so that a record missing at either end shows. `ledgers`: only these.
   */
  listChains(sinceMs: number, untilMs: number, ledgers?: readonly string[]): Promise<readonly ChainSpan[]>;
  /** Lists at most `limit` records of a ledger after `afterSeq`, in order. */
  listChain(ledger: string, afterSeq: number, limit: number): Promise<readonly StoredRecord[]>;
  /** Lists those of these terms that are stored. */
  listStoredTerms(terms: readonly RecordTerm[]): Promise<readonly RecordTerm[]>;
}

/** A term of a record. */
export interface RecordTerm {
  readonly term: string;
  readonly endedMs: number;
  readonly recordId: number;
}

/**
 * The subject ids of all ledgers with stored records: the members of a recursive WITH query named `known`, the last of which is null. It
 * finds the next ledger of the unique index, one at a time; a DISTINCT over all records would read every one of them.
 */
export const KNOWN_LEDGERS_SQL = `SELECT min(ledger) FROM audit_record UNION ALL
  SELECT (SELECT min(ledger) FROM audit_record WHERE ledger > known.ledger) FROM known WHERE known.ledger IS NOT NULL`;

/** Deletes terms, a JSON list of `RecordTerm`. */
export const DELETE_TERMS_SQL = `DELETE FROM audit_term WHERE (term, ended_ms, record_id) IN
  (SELECT value ->> 'term', value ->> 'endedMs', value ->> 'recordId' FROM json_each(?))`;

const LISTED_COLUMNS = "r.id, r.ledger, r.seq, r.ended_ms AS endedMs, r.body, r.hash";
const RECORD_COLUMNS = `${LISTED_COLUMNS}, r.salts`;
/** How many records a page looks at, by their index entries, or by their bodies. */
const MAX_ENTRIES = 10_000;
const MAX_BODIES = 2000;
/** Follows every stored id of a ledger: the highest character. */
const LAST_CHARACTER = "\u{10ffff}";

const termRows = z.array(z.object({ term: z.string(), endedMs: z.number(), recordId: z.number() }));

/** Opens the store over GATEHOUSE_DB. */
export function openAuditRecordStore(database: D1Database): AuditRecordStore {
  const { all } = openStatements(database);
  const listRecords = async (where: string, ...values: readonly unknown[]): Promise<readonly StoredRecord[]> =>
    all(`SELECT ${RECORD_COLUMNS} FROM audit_record AS r WHERE ${where}`, ...values);

  return {
    async append(ledger, records) {
      const [first, last] = [records[0], records.at(-1)];
      if (first === undefined || last === undefined) return new Map();
      const json = JSON.stringify(records);
      const [, , stored] = await database.batch<{ seq: number; hash: string }>([
        database
          .prepare(
            `INSERT INTO audit_record (ledger, seq, ended_ms, body, salts, hash)
              SELECT ?1, value ->> 'seq', value ->> 'endedMs', value ->> 'body', value ->> 'salts', value ->> 'hash'
                FROM json_each(?2) WHERE true
              ON CONFLICT (ledger, seq) DO NOTHING`,
          )
          .bind(ledger, json),
        database
          .prepare(
            `INSERT INTO audit_term (term, ended_ms, record_id)
              SELECT term.value, r.ended_ms, r.id
                FROM json_each(?2) AS sent
                JOIN audit_record AS r ON r.ledger = ?1 AND r.seq = sent.value ->> 'seq' AND r.hash = sent.value ->> 'hash'
                JOIN json_each(sent.value, '$.terms') AS term WHERE true
              ON CONFLICT (term, ended_ms, record_id) DO NOTHING`,
          )
          .bind(ledger, json),
        database
          .prepare("SELECT seq, hash FROM audit_record WHERE ledger = ? AND seq BETWEEN ? AND ?")
          .bind(ledger, first.seq, last.seq),
      ]);
      return new Map(stored?.results.map(({ seq, hash }) => [seq, hash]));
    },
    async ping() {
      // A write, because a full database still answers reads.
      await database.prepare("UPDATE layout SET number = number").run();
    },
    list: async (filter, page) => searchRecords(database, filter, page),
    async readTimes() {
      const [times] = await all<{ oldestMs: number | null; newestMs: number | null }>(
        "SELECT (SELECT min(ended_ms) FROM audit_record) AS oldestMs, (SELECT max(ended_ms) FROM audit_record) AS newestMs",
      );
      const { oldestMs = null, newestMs = null } = times ?? {};
      return oldestMs === null || newestMs === null ? null : { oldestMs, newestMs };
    },
    findCall: async (call) =>
      listRecords(
        "r.id IN (SELECT record_id FROM audit_term WHERE term = ?) ORDER BY r.ledger, r.seq",
        formatTerm("call", call),
      ),
    find: async (ledger, seq) => (await listRecords("r.ledger = ? AND r.seq = ?", ledger, seq))[0] ?? null,
    async findLedgers(prefix) {
      const rows = await all<{ ledger: string | null }>(
        `SELECT (SELECT min(ledger) FROM audit_record WHERE ledger >= ?1 AND ledger < ?2) AS ledger
          UNION SELECT (SELECT max(ledger) FROM audit_record WHERE ledger >= ?1 AND ledger < ?2)`,
        prefix,
        prefix + LAST_CHARACTER,
      );
      return rows.flatMap(({ ledger }) => (ledger === null ? [] : [ledger]));
    },
    async listChains(sinceMs, untilMs, ledgers) {
      const known = ledgers === undefined ? KNOWN_LEDGERS_SQL : "SELECT value FROM json_each(?3)";
      // A record is found by the term of its user. Where that term was taken away, the part is only larger.
      const neighbour = (condition: string, direction: "ASC" | "DESC"): string =>
        `(SELECT r.seq FROM audit_term AS t JOIN audit_record AS r ON r.id = t.record_id AND r.ledger = known.ledger
          WHERE t.term = '${formatTerm("user", "")}' || known.ledger AND t.ended_ms ${condition} AND r.ended_ms ${condition}
          ORDER BY t.ended_ms ${direction}, t.record_id ${direction} LIMIT 1)`;
      return all(
        `WITH RECURSIVE known (ledger) AS (${known}),
          inside AS (SELECT ledger, min(seq) AS firstSeq, max(seq) AS lastSeq FROM audit_record
            WHERE ended_ms >= ?1 AND ended_ms < ?2 GROUP BY ledger),
          stored AS (SELECT ledger, (SELECT max(seq) FROM audit_record AS r WHERE r.ledger = known.ledger) AS lastSeq,
              ${neighbour("< ?1", "DESC")} AS beforeSeq, ${neighbour(">= ?2", "ASC")} AS afterSeq
            FROM known WHERE ledger IS NOT NULL)
          SELECT stored.ledger,
              min(coalesce(beforeSeq, 0), coalesce(inside.firstSeq - 1, coalesce(beforeSeq, 0))) AS startSeq,
              max(coalesce(afterSeq, stored.lastSeq), coalesce(inside.lastSeq, 0)) AS endSeq
            FROM stored LEFT JOIN inside ON inside.ledger = stored.ledger
            WHERE stored.lastSeq IS NOT NULL ORDER BY stored.ledger`,
        sinceMs,
        untilMs,
        ...(ledgers === undefined ? [] : [JSON.stringify(ledgers)]),
      );
    },
    listChain: async (ledger, afterSeq, limit) =>
      listRecords("r.ledger = ? AND r.seq > ? ORDER BY r.seq LIMIT ?", ledger, afterSeq, limit),
    async listStoredTerms(terms) {
      return termRows.parse(
        await all(
          `SELECT t.term, t.ended_ms AS endedMs, t.record_id AS recordId FROM json_each(?) CROSS JOIN audit_term AS t
            ON t.term = value ->> 'term' AND t.ended_ms = value ->> 'endedMs' AND t.record_id = value ->> 'recordId'`,
          JSON.stringify(terms),
        ),
      );
    },
  };
}

/** The index that a search reads: of one term, or of all records when it is null. */
type SearchIndex = string | null;

/** A part of an index; both ends are excluded. */
interface KeyRange {
  readonly low: RecordCursor;
  readonly high: RecordCursor;
}

/** The entries of an index that a page may look at. */
interface Reach {
  readonly index: SearchIndex;
  readonly count: number;
  readonly range: KeyRange;
  /** Where the list continues after these entries; null when there are no others. */
  readonly next: RecordCursor | null;
}

/** What to search the entries for. */
interface Search {
  readonly filter: RecordFilter;
  readonly page: PageRequest;
  /** The term lists besides the one whose entries are read. */
  readonly others: readonly (readonly string[])[];
}

/** Reads one page of the records that match. */
async function searchRecords(database: D1Database, filter: RecordFilter, page: PageRequest): Promise<RecordPage> {
  const lists: readonly (readonly SearchIndex[])[] = filter.terms.length === 0 ? [[null]] : filter.terms;
  const reaches = await findReaches(database, lists, { filter, page, others: [] });
  // The rarest list first, so that few entries are read.
  const [rarest = [], ...others] = reaches.toSorted((a, b) => sumCounts(a) - sumCounts(b));
  if (rarest.length === 0) return { records: [], next: null };
  const search = {
    filter,
    page,
    others: others.map((list) => list.flatMap(({ index }) => (index === null ? [] : [index]))),
  };
  const found = await database.batch<ListedRecord & Record<string, unknown>>(
    rarest.map((reach) => prepareSearch(database, reach, search)),
  );
  const pages = rarest.map(({ next }, at): RecordPage => {
    const records = found[at]?.results ?? [];
    return { records, next: records.length === page.limit ? (records.at(-1) ?? null) : next };
  });
  return mergePages(pages, page);
}

const sumCounts = (list: readonly Reach[]): number => list.reduce((sum, { count }) => sum + count, 0);

/**
 * Finds which entries of each index a page may look at. Without a limit, two common terms that no record has together would read all of
 * their entries. A search by one list of terms alone shows every entry, so it needs no limit.
 */
async function findReaches(
  database: D1Database,
  lists: readonly (readonly SearchIndex[])[],
  { filter, page }: Search,
): Promise<readonly (readonly Reach[])[]> {
  const isNewestFirst = page.order === "newest first";
  const range: KeyRange = {
    low: (isNewestFirst ? null : page.cursor) ?? { endedMs: filter.sinceMs, id: 0 },
    high: (isNewestFirst ? page.cursor : null) ?? { endedMs: filter.untilMs, id: 0 },
  };
  const whole = (index: SearchIndex, count = 0): Reach => ({ index, count, range, next: null });
  if (lists.length === 1 && !filter.onlyAllowed && !filter.onlyQueries)
    return lists.map((list) => list.map((index) => whole(index)));
  const limit = filter.onlyQueries ? MAX_BODIES : MAX_ENTRIES;
  const indexes = lists.flat();
  if (indexes.length === 0) return lists.map(() => []);
  const counts = await database.batch<{ count: number; lastMs: number }>(
    indexes.map((index) =>
      database
        .prepare(
          `SELECT count(*) AS count, ${isNewestFirst ? "min" : "max"}(ended_ms) AS lastMs
            FROM (SELECT k.ended_ms ${selectEntries(index, page)} LIMIT ?6)`,
        )
        .bind(...bindEntries(index, range), limit),
    ),
  );
  const reaches = indexes.map((index, at): Reach => {
    const { count = 0, lastMs = 0 } = counts[at]?.results[0] ?? {};
    if (count < limit) return whole(index, count);
    // All records of the last millisecond are within reach.
    const end = { endedMs: isNewestFirst ? lastMs : lastMs + 1, id: 0 };
    return { index, count, range: isNewestFirst ? { ...range, low: end } : { ...range, high: end }, next: end };
  });
  let at = 0;
  return lists.map((list) => reaches.slice(at, (at += list.length)));
}

/** Writes the part of a statement after its columns; its values are those of `bindEntries`. */
function selectEntries(index: SearchIndex, { order }: PageRequest, join = "", conditions = ""): string {
  const direction = order === "newest first" ? "DESC" : "ASC";
  const [table, id, term] =
    index === null ? ["audit_record", "id", "?5 IS NULL"] : ["audit_term", "record_id", "k.term = ?5"];
  return `FROM ${table} AS k ${join}
    WHERE ${term} AND (k.ended_ms, k.${id}) > (?1, ?2) AND (k.ended_ms, k.${id}) < (?3, ?4) ${conditions}
    ORDER BY k.ended_ms ${direction}, k.${id} ${direction}`;
}

function bindEntries(index: SearchIndex, { low, high }: KeyRange): readonly unknown[] {
  return [low.endedMs, low.id, high.endedMs, high.id, index];
}

function prepareSearch(
  database: D1Database,
  { index, range }: Reach,
  { filter, page, others }: Search,
): D1PreparedStatement {
  const id = index === null ? "k.id" : "k.record_id";
  const hasTerm = (term: string): string =>
    `EXISTS (SELECT 1 FROM audit_term AS o WHERE o.term ${term} AND o.ended_ms = k.ended_ms AND o.record_id = ${id})`;
  const conditions = [
    ...others.map((_, at) => hasTerm(`IN (SELECT value FROM json_each(?${7 + at}))`)),
    ...(filter.onlyAllowed
      ? ["denied", "none"].map((value) => `NOT ${hasTerm(`= '${formatTerm("decision", value)}'`)}`)
      : []),
    ...(filter.onlyQueries ? [`r.body ->> '$.attempt.operation' = '${UNLISTED_ACTION}'`] : []),
  ].map((condition) => `AND ${condition}`);
  const join = `CROSS JOIN audit_record AS r ON r.id = ${id}`;
  return database
    .prepare(`SELECT ${LISTED_COLUMNS} ${selectEntries(index, page, join, conditions.join(" "))} LIMIT ?6`)
    .bind(...bindEntries(index, range), page.limit, ...others.map((terms) => JSON.stringify(terms)));
}

/** Merges the pages of several indexes: up to where all of them were read. */
function mergePages(pages: readonly RecordPage[], { order, limit }: PageRequest): RecordPage {
  const sign = order === "newest first" ? -1 : 1;
  const compare = (a: RecordCursor, b: RecordCursor): number => sign * (a.endedMs - b.endedMs || a.id - b.id);
  const [end = null] = pages.flatMap(({ next }) => (next === null ? [] : [next])).toSorted(compare);
  const records = [...new Map(pages.flatMap((page) => page.records).map((record) => [record.id, record])).values()]
    .toSorted(compare)
    .filter((record) => end === null || compare(record, end) <= 0);
  const shown = records.slice(0, limit);
  const next = records.length > limit ? (shown.at(-1) ?? null) : end;
  return { records: shown, next: next === null ? null : { endedMs: next.endedMs, id: next.id } };
}
