// Searching the audit records in GATEHOUSE_DB: every filter, in pages, in both orders.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import type { PageRequest, RecordCursor } from "../../src/audit/audit-record-store.ts";
import type { Outcome } from "../../src/audit/audit-record.ts";
import { createFilter, formatCursor, parseCursor, parseTime } from "../../src/audit/record-filter.ts";
import type { RecordSearch } from "../../src/audit/record-filter.ts";
import { newId } from "../../src/lib/ids.ts";
import { FIRST_MS, storeChain } from "./stored-records.ts";

const store = openAuditRecordStore(env.GATEHOUSE_DB);
const MINUTE_MS = 60_000;

/** Reads all pages, and returns the number of each record in its ledger. */
async function readAll(search: RecordSearch, order: PageRequest["order"], limit = 50): Promise<readonly number[]> {
  const seqs: number[] = [];
  let cursor: RecordCursor | null = null;
  do {
    const page = await store.list(createFilter(search), { order, cursor, limit });
    seqs.push(...page.records.map(({ seq }) => seq));
    cursor = page.next === null ? null : parseCursor(formatCursor(page.next));
  } while (cursor !== null);
  return seqs;
}

const DENIED = { result: "denied", code: "not_allowed" } as const;

describe("a search of the audit records", () => {
  it.each<[string, RecordSearch, readonly number[]]>([
    ["no filter", {}, [1, 2, 3, 4, 5, 6]],
    ["a client", { clients: ["c"] }, [1, 2, 3, 5, 6]],
    ["one of several clients", { clients: ["other", "none"] }, [4]],
    ["a dataset", { dataset: "shop.customers" }, [2, 4]],
    ["a column", { column: "shop.customers.email" }, [4]],
    ["a decision with a term", { decision: "denied" }, [3]],
    ["calls that failed", { decision: "none" }, [5]],
    ["answered calls", { decision: "allowed" }, [1, 2, 4, 6]],
    ["an action with a term", { action: "search" }, [6]],
    ["queries", { action: "query" }, [1, 2, 3, 4, 5]],
    ["two terms", { dataset: "shop.customers", clients: ["c"] }, [2]],
    ["a term and answered calls", { clients: ["c"], decision: "allowed" }, [1, 2, 6]],
    ["terms that no record has together", { column: "shop.customers.email", clients: ["c"] }, []],
    ["a span of time", { sinceMs: FIRST_MS + MINUTE_MS, untilMs: FIRST_MS + 3 * MINUTE_MS }, [2, 3]],
    ["a term in a span of time", { clients: ["c"], sinceMs: FIRST_MS + 3 * MINUTE_MS }, [5, 6]],
    ["no user", { users: [] }, []],
  ])("finds the records of a user by %s, in both orders and in pages of any size", async (_name, search, expected) => {
    const ledger = await storeChain(store, [
      {},
      { outcome: { datasets: ["shop.customers"] } },
      { outcome: DENIED },
      { attempt: { clientId: "other" }, outcome: { datasets: ["shop.customers"], columns: ["shop.customers.email"] } },
      { outcome: { result: "failed", code: "query_refused" } },
      { attempt: { operation: "search" } },
    ]);
    const ofUser = { users: [ledger], ...search };
    for (const limit of [1, 2, 50]) {
      expect(await readAll(ofUser, "oldest first", limit)).toEqual(expected);
      expect(await readAll(ofUser, "newest first", limit)).toEqual(expected.toReversed());
    }
  });

  it("finds the records that show a row, and those that may, once each", async () => {
    const shown = (complete: boolean, ...values: readonly string[]): Partial<Outcome> => ({
      columns: ["shop.customers.email"],
      keys: { "shop.customers": { values, complete } },
    });
    const ledger = await storeChain(store, [
      { outcome: shown(true, "1", "2") },
      { outcome: shown(false, "2") },
      { outcome: shown(false) },
      { outcome: shown(true) },
      {},
      { outcome: { keys: { "shop.others": { values: ["2"], complete: false } } } },
      { outcome: { keys: { "…": { values: [], complete: false } } } },
    ]);
    const search = (row: string) => ({ users: [ledger], row: { dataset: "shop.customers", key: row } });
    for (const limit of [1, 50]) {
      expect(await readAll(search("2"), "oldest first", limit)).toEqual([1, 2, 3, 7]);
      expect(await readAll(search("1"), "newest first", limit)).toEqual([7, 3, 2, 1]);
      expect(await readAll({ ...search("3"), column: "shop.customers.email" }, "oldest first", limit)).toEqual([2, 3]);
    }
  });

  it("finds the records of all users in the order of time, also when none is named", async () => {
    const sinceMs = Date.parse("2031-01-01T00:00:00Z");
    const at = (minute: number) => ({ endedMs: sinceMs + minute * MINUTE_MS });
    const ledgers = [await storeChain(store, [at(0), at(2), at(4)]), await storeChain(store, [at(1), at(3), at(4)])];
    for (const search of [
      { sinceMs },
      { sinceMs, users: ledgers },
      { sinceMs, users: ledgers, decision: "allowed" },
    ] as const)
      for (const limit of [1, 2, 50]) {
        expect(await readAll(search, "oldest first", limit)).toEqual([1, 1, 2, 2, 3, 3]);
        expect(await readAll(search, "newest first", limit)).toEqual([3, 3, 2, 2, 1, 1]);
      }
  });

  it("ends a page early when it has looked at many records, and continues after them", async () => {
    const [client, dataset] = [newId(), newId()];
    const untilMs = Date.parse("2032-01-01T00:00:00Z");
    await storeChain(store, [{ attempt: { clientId: client }, outcome: { datasets: [dataset] }, endedMs: FIRST_MS }]);
    // Each term has 12,000 other records, none of which has both.
    await env.GATEHOUSE_DB.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
        INSERT INTO audit_term SELECT k.value, ? - i, -i - k.key * 20000 FROM n, json_each(?) AS k WHERE true`,
    )
      .bind(untilMs, JSON.stringify([`client ${client}`, `dataset ${dataset}`]))
      .run();
    const filter = createFilter({ clients: [client], dataset });
    const first = await store.list(filter, { order: "newest first", cursor: null, limit: 5 });
    expect(first.records).toEqual([]);
    expect(first.next).not.toBeNull();
    const second = await store.list(filter, { order: "newest first", cursor: first.next, limit: 5 });
    expect(second.records.map(({ seq }) => seq)).toEqual([1]);
    expect(second.next).toBeNull();
    expect(await readAll({ clients: [client], dataset }, "oldest first", 1)).toEqual([1]);
  });

  it("finds the record of a call and the one that its result was not stored", async () => {
    const call = newId();
    await storeChain(store, [{ attempt: { call } }, {}, { attempt: { call: `${call} unstored` } }]);
    expect((await store.findCall(call)).map(({ seq }) => seq)).toEqual([1, 3]);
    expect(await store.findCall(newId())).toEqual([]);
  });

  it("finds ledgers by the beginning of their ids", async () => {
    const ledger = await storeChain(store, [{}]);
    expect(await store.findLedgers(ledger.slice(0, 12))).toEqual([ledger]);
    expect(await store.findLedgers(ledger)).toEqual([ledger]);
    expect(await store.findLedgers("")).toHaveLength(2);
    expect(await store.findLedgers(`${ledger}0`)).toEqual([]);
  });
});

describe("a time that is typed", () => {
  const NOW = Date.parse("2026-11-28T12:00:00Z");

  it.each([
    ["2026-11-27", "2026-11-27T00:00:00.000Z"],
    ["2026-11-27T09:30", "2026-11-27T09:30:00.000Z"],
    ["2026-11-27T09:30:15Z", "2026-11-27T09:30:15.000Z"],
    ["2026-11-27T09:30:15.250+02:00", "2026-11-27T07:30:15.250Z"],
    ["24h", "2026-11-27T12:00:00.000Z"],
    ["7d", "2026-11-21T12:00:00.000Z"],
    ["90m", "2026-11-28T10:30:00.000Z"],
  ])("reads %s as %s", (text, expected) => {
    expect(new Date(parseTime(text, NOW) ?? NaN).toISOString()).toBe(expected);
  });

  it.each(["", "yesterday", "7", "7w", "2026-02-31", "2026-13-01", "27.11.2026", "2026-11-27T25:00", "1e3"])(
    "refuses %j",
    (text) => {
      expect(parseTime(text, NOW)).toBeNull();
    },
  );
});

describe("a cursor", () => {
  it("is the same after it was text", () => {
    const cursor = { endedMs: FIRST_MS, id: 1_000_001 };
    expect(parseCursor(formatCursor(cursor))).toEqual(cursor);
  });

  it.each(["", "x", "1.2.3", "1.", "-1.2", "1.2 OR 1", "zzzzzzzzzzzz.1"])("refuses %j", (text) => {
    expect(parseCursor(text)).toBeNull();
  });
});
