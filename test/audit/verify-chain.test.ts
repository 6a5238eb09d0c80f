// Forgeries of the audit log in GATEHOUSE_DB, one by one: the verification names the first bad record of each.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import { ERASE_ACTION } from "../../src/audit/erasure.ts";
import { GENESIS, eraseFields, hashRecord } from "../../src/audit/record-chain.ts";
import type { ChainHead } from "../../src/audit/record-chain.ts";
import type { ChainVerdict } from "../../src/audit/verify-chain.ts";
import { verifyStoredChains } from "../../src/audit/verify-stored-chain.ts";
import { newId } from "../../src/lib/ids.ts";
import { FIRST_MS, sealChain, sealRecord, storeChain } from "./stored-records.ts";
import type { CallOptions } from "./stored-records.ts";

const database = env.GATEHOUSE_DB;
const store = openAuditRecordStore(database);
const MINUTE_MS = 60_000;
const FIVE = [{}, {}, {}, {}, {}];

async function run(sql: string, ...values: readonly unknown[]): Promise<void> {
  await database
    .prepare(sql)
    .bind(...values)
    .run();
}

async function verify(ledger: string, head?: ChainHead, sinceMs = 0, untilMs = 9e15): Promise<ChainVerdict> {
  const [span] = await store.listChains(sinceMs, untilMs, [ledger]);
  if (span === undefined) throw new TypeError("the ledger has no records");
  const [verdict] = await verifyStoredChains(store, [span], {
    heads: new Map(head === undefined ? [] : [[ledger, head]]),
  });
  if (verdict === undefined) throw new TypeError("there is no verdict");
  return verdict;
}

async function faultOf(...args: Parameters<typeof verify>): Promise<ChainVerdict["fault"]> {
  return (await verify(...args)).fault;
}

/** Moves a record to another place, as an attacker does who renumbers. */
const renumber = async (ledger: string, seq: number, toSeq: number): Promise<void> =>
  run("UPDATE audit_record SET seq = ? WHERE ledger = ? AND seq = ?", toSeq, ledger, seq);

async function readHead(ledger: string): Promise<ChainHead> {
  const { seq, hash } = (await store.listChain(ledger, 0, 1000)).at(-1) ?? { seq: 0, hash: "" };
  return { seq, hash };
}

/** Erases a field of a stored record, as an erasure or an attacker does. */
async function eraseStored(ledger: string, seq: number, path: string): Promise<void> {
  const [record] = await store.listChain(ledger, seq - 1, 1);
  const { body, salts } = eraseFields(record?.body ?? "", JSON.parse(record?.salts ?? "[]"), new Set([path]));
  await run(
    "UPDATE audit_record SET body = ?, salts = ? WHERE ledger = ? AND seq = ?",
    body,
    JSON.stringify(salts),
    ledger,
    seq,
  );
}

const erasureOf = (covered: object): CallOptions => ({
  attempt: { operation: ERASE_ACTION, asked: JSON.stringify({ by: "operator", reason: "", ...covered }) },
});

describe("the verification of a chain", () => {
  it("finds nothing in an unchanged chain, whose head the ledger confirms", async () => {
    const ledger = await storeChain(store, FIVE);
    expect(await verify(ledger, await readHead(ledger))).toEqual({ ledger, records: 5, fault: null });
  });

  it("names an edited record", async () => {
    const ledger = await storeChain(store, FIVE);
    await run(
      "UPDATE audit_record SET body = replace(body, 'shop.orders', 'shop.others') WHERE ledger = ? AND seq = 3",
      ledger,
    );
    expect(await verify(ledger)).toEqual({ ledger, records: 2, fault: { kind: "changed", seq: 3 } });
  });

  it("names a record whose hash was computed anew after an edit, by the one after it", async () => {
    const ledger = await storeChain(store, FIVE);
    const [, second] = await store.listChain(ledger, 0, 2);
    if (second === undefined) throw new TypeError("the record is missing");
    const third = (await store.listChain(ledger, 2, 1))[0];
    const { call } = JSON.parse(third?.body ?? "").attempt;
    const { body, salts, hash } = sealRecord(ledger, second, { attempt: { call }, outcome: { rows: 0 } });
    await run(
      "UPDATE audit_record SET body = ?, salts = ?, hash = ? WHERE ledger = ? AND seq = 3",
      body,
      salts,
      hash,
      ledger,
    );
    expect(await faultOf(ledger)).toEqual({ kind: "changed", seq: 4 });
  });

  it("names the last record when the whole rest of the chain was computed anew", async () => {
    const ledger = await storeChain(store, FIVE);
    const head = await readHead(ledger);
    await run("DELETE FROM audit_record WHERE ledger = ?", ledger);
    await store.append(ledger, sealChain(ledger, FIVE));
    expect(await faultOf(ledger)).toBeNull();
    expect(await faultOf(ledger, head)).toEqual({ kind: "other_head", seq: 5 });
  });

  it("names a record that cannot be read", async () => {
    const ledger = await storeChain(store, FIVE);
    await run("UPDATE audit_record SET body = 'no JSON' WHERE ledger = ? AND seq = 2", ledger);
    expect(await faultOf(ledger)).toEqual({ kind: "unreadable", seq: 2 });
    const other = await storeChain(store, FIVE);
    await run("UPDATE audit_record SET salts = '[]' WHERE ledger = ? AND seq = 4", other);
    expect(await faultOf(other)).toEqual({ kind: "unreadable", seq: 4 });
  });

  it("names deleted records", async () => {
    const ledger = await storeChain(store, FIVE);
    await run("DELETE FROM audit_record WHERE ledger = ? AND seq IN (2, 3)", ledger);
    expect(await faultOf(ledger)).toEqual({ kind: "missing", seq: 2, toSeq: 3 });
  });

  it("names the place where a record was deleted and the later ones were renumbered", async () => {
    const ledger = await storeChain(store, FIVE);
    await run("DELETE FROM audit_record WHERE ledger = ? AND seq = 2", ledger);
    for (const seq of [3, 4, 5]) await renumber(ledger, seq, seq - 1);
    expect(await faultOf(ledger)).toMatchObject({ seq: 2 });
  });

  it("names an inserted record and what it was copied from", async () => {
    const ledger = await storeChain(store, FIVE);
    for (const seq of [5, 4, 3]) await renumber(ledger, seq, seq + 1);
    await run(
      `INSERT INTO audit_record (ledger, seq, ended_ms, body, salts, hash)
        SELECT ledger, 3, ended_ms, body, salts, hash FROM audit_record WHERE ledger = ? AND seq = 1`,
      ledger,
    );
    expect(await faultOf(ledger)).toEqual({ kind: "moved", seq: 3, writtenSeq: 1 });
  });

  it("names the record after an inserted one whose hash fits", async () => {
    const ledger = await storeChain(store, FIVE);
    const [, second] = await store.listChain(ledger, 0, 2);
    if (second === undefined) throw new TypeError("the record is missing");
    for (const seq of [5, 4, 3]) await renumber(ledger, seq, seq + 1);
    await store.append(ledger, [sealRecord(ledger, second)]);
    expect(await faultOf(ledger)).toEqual({ kind: "moved", seq: 4, writtenSeq: 3 });
  });

  it.each([
    [2, 3],
    [2, 4],
  ])("names the first of two records, %i and %i, that changed places", async (one, other) => {
    const ledger = await storeChain(store, FIVE);
    await renumber(ledger, one, 99);
    await renumber(ledger, other, one);
    await renumber(ledger, 99, other);
    expect(await faultOf(ledger)).toEqual({ kind: "moved", seq: one, writtenSeq: other });
  });

  it("names the records that are missing at the end, by the head that the ledger says", async () => {
    const ledger = await storeChain(store, FIVE);
    const head = await readHead(ledger);
    await run("DELETE FROM audit_record WHERE ledger = ? AND seq > 3", ledger);
    expect(await faultOf(ledger)).toBeNull();
    expect(await faultOf(ledger, head)).toEqual({ kind: "cut_tail", seq: 4, toSeq: 5 });
  });

  it("names the records that are missing at the beginning", async () => {
    const ledger = await storeChain(store, FIVE);
    await run("DELETE FROM audit_record WHERE ledger = ? AND seq < 3", ledger);
    expect(await faultOf(ledger)).toEqual({ kind: "cut_head", seq: 1, toSeq: 2 });
  });

  it("accepts a batch that was sent again, which changes nothing", async () => {
    const ledger = newId();
    const records = sealChain(ledger, FIVE);
    await store.append(ledger, records);
    await store.append(ledger, records.slice(1, 3));
    expect(await verify(ledger)).toMatchObject({ records: 5, fault: null });
  });

  it("names a batch of another user that was sent again under this one", async () => {
    const other = newId();
    const ledger = await storeChain(store, [{}, {}]);
    const records = sealChain(other, FIVE);
    await store.append(ledger, records);
    // The first two places were taken, so they stay as they were.
    expect(await faultOf(ledger)).toEqual({ kind: "other_user", seq: 3, user: other });
  });

  it("names a whole chain that was put under another user", async () => {
    const ledger = await storeChain(store, FIVE);
    const other = newId();
    await run("UPDATE audit_record SET ledger = ? WHERE ledger = ?", other, ledger);
    expect(await faultOf(other)).toEqual({ kind: "other_user", seq: 1, user: ledger });
  });

  it("takes the calls of a personal access token as those of its owner", async () => {
    const ledger = newId();
    await store.append(ledger, sealChain(ledger, [{ attempt: { subjectId: newId(), owner: ledger } }]));
    expect(await faultOf(ledger)).toBeNull();
  });

  it("names a record that is hidden from searches, and by what", async () => {
    const ledger = await storeChain(store, FIVE);
    await run(
      "DELETE FROM audit_term WHERE term = 'dataset shop.orders' AND record_id = (SELECT id FROM audit_record WHERE ledger = ? AND seq = 4)",
      ledger,
    );
    expect(await faultOf(ledger)).toEqual({ kind: "hidden", seq: 4, terms: ["dataset shop.orders"] });
  });

  it("names a record that is hidden from searches for a row, and for any row of a dataset", async () => {
    const keys = { "shop.customers": { values: ["4711"], complete: false } };
    const ledger = await storeChain(store, [{}, { outcome: { keys } }]);
    expect(await faultOf(ledger)).toBeNull();
    await run(
      "DELETE FROM audit_term WHERE term LIKE 'key %' AND record_id = (SELECT id FROM audit_record WHERE ledger = ? AND seq = 2)",
      ledger,
    );
    expect(await faultOf(ledger)).toEqual({
      kind: "hidden",
      seq: 2,
      terms: ["key shop.customers/4711", "key shop.customers ?"],
    });
  });

  it("names a record that is stored under another time", async () => {
    const ledger = await storeChain(store, FIVE);
    await run("UPDATE audit_record SET ended_ms = 7 WHERE ledger = ? AND seq = 2", ledger);
    expect(await faultOf(ledger)).toEqual({ kind: "wrong_time", seq: 2, storedMs: 7, endedMs: FIRST_MS + MINUTE_MS });
  });

  it("names a swap across pages of a long chain", async () => {
    const ledger = await storeChain(
      store,
      Array.from({ length: 520 }, () => ({})),
    );
    await renumber(ledger, 499, 9999);
    await renumber(ledger, 501, 499);
    await renumber(ledger, 9999, 501);
    expect(await verify(ledger)).toMatchObject({ records: 498, fault: { seq: 499 } });
  });

  it("says that a term of another decision hides an answered call from searches", async () => {
    const ledger = await storeChain(store, FIVE);
    await run(
      "INSERT INTO audit_term SELECT 'decision denied', ended_ms, id FROM audit_record WHERE ledger = ? AND seq = 3",
      ledger,
    );
    expect(await faultOf(ledger)).toEqual({ kind: "hidden", seq: 3, terms: ["decision allowed"] });
  });

  it("names a field that was erased without an erasure", async () => {
    const ledger = await storeChain(store, FIVE);
    await eraseStored(ledger, 2, "attempt.asked");
    expect(await faultOf(ledger)).toEqual({ kind: "erased", seq: 2, path: "attempt.asked" });
  });

  it("accepts erased fields that an erasure later in the chain covers, and names the others", async () => {
    const ledger = await storeChain(store, [{}, {}, {}, erasureOf({ fields: ["arguments"], records: [[2, 3]] }), {}]);
    for (const seq of [2, 3]) await eraseStored(ledger, seq, "attempt.asked");
    expect(await verify(ledger, await readHead(ledger))).toEqual({ ledger, records: 5, fault: null });
    await eraseStored(ledger, 1, "attempt.asked");
    expect(await faultOf(ledger)).toEqual({ kind: "erased", seq: 1, path: "attempt.asked" });
    const other = await storeChain(store, [{}, erasureOf({ fields: ["arguments"], records: [[1, 1]] })]);
    await eraseStored(other, 1, "outcome.roles");
    expect(await faultOf(other)).toEqual({ kind: "erased", seq: 1, path: "outcome.roles" });
  });

  it("does not accept an erasure that comes before the erased record, or that was erased itself", async () => {
    const early = await storeChain(store, [erasureOf({ fields: ["arguments"], records: [[2, 2]] }), {}]);
    await eraseStored(early, 2, "attempt.asked");
    expect(await faultOf(early)).toEqual({ kind: "erased", seq: 2, path: "attempt.asked" });
    const gone = await storeChain(store, [{}, erasureOf({ fields: ["arguments"], records: [[1, 2]] })]);
    for (const seq of [1, 2]) await eraseStored(gone, seq, "attempt.asked");
    expect(await faultOf(gone)).toEqual({ kind: "erased", seq: 1, path: "attempt.asked" });
  });

  it("does not let a later erasure cover the record of an earlier one, and names one that cannot be read", async () => {
    const whole = erasureOf({ fields: ["arguments"], records: [[1, 2]] });
    const ledger = await storeChain(store, [{}, erasureOf({ fields: ["arguments"], records: [[1, 1]] }), whole]);
    for (const seq of [1, 2]) await eraseStored(ledger, seq, "attempt.asked");
    expect(await faultOf(ledger)).toEqual({ kind: "erased", seq: 2, path: "attempt.asked" });
    const odd = await storeChain(store, [{}, { attempt: { operation: ERASE_ACTION, asked: "everything" } }, {}]);
    expect(await faultOf(odd)).toEqual({ kind: "unreadable", seq: 2 });
    const typed = await storeChain(store, [{}, {}]);
    const [first] = await store.listChain(typed, 0, 1);
    if (first === undefined) throw new TypeError("the record is missing");
    const body = JSON.stringify({
      ...JSON.parse(first.body),
      attempt: { ...JSON.parse(first.body).attempt, asked: 5 },
    });
    const salts = JSON.parse(first.salts ?? "[]");
    await run("DELETE FROM audit_record WHERE ledger = ? AND seq = 2", typed);
    await run(
      "UPDATE audit_record SET body = ?, hash = ? WHERE ledger = ? AND seq = 1",
      body,
      hashRecord(GENESIS, body, salts),
      typed,
    );
    expect(await faultOf(typed)).toEqual({ kind: "unreadable", seq: 1 });
  });

  it("looks for the erasure of a part after its end, and verifies everything up to it", async () => {
    const ledger = await storeChain(store, [{}, {}, {}, {}, erasureOf({ fields: ["arguments"], records: [[1, 1]] })]);
    await eraseStored(ledger, 1, "attempt.asked");
    const until = FIRST_MS + 1;
    expect(await verify(ledger, undefined, 0, until)).toMatchObject({ fault: null });
    await run("UPDATE audit_record SET hash = 'x' WHERE ledger = ? AND seq = 4", ledger);
    expect(await faultOf(ledger, undefined, 0, until)).toEqual({ kind: "changed", seq: 4 });
  });
});

describe("the verification of a span of time", () => {
  const at = (minute: number): number => FIRST_MS + minute * MINUTE_MS;

  it("reads the records of the span and one more on each side", async () => {
    const ledger = await storeChain(store, FIVE);
    expect(await store.listChains(at(2), at(3), [ledger])).toEqual([{ ledger, startSeq: 2, endSeq: 4 }]);
    expect(await verify(ledger, undefined, at(2), at(3))).toEqual({ ledger, records: 2, fault: null });
    expect(await store.listChains(at(-9), at(-8), [ledger])).toEqual([{ ledger, startSeq: 0, endSeq: 1 }]);
    expect(await store.listChains(at(90), at(91), [ledger])).toEqual([{ ledger, startSeq: 5, endSeq: 5 }]);
  });

  it("finds that all records of the span were deleted", async () => {
    const ledger = await storeChain(store, FIVE);
    await run("DELETE FROM audit_record WHERE ledger = ? AND seq IN (2, 3)", ledger);
    expect(await faultOf(ledger, undefined, at(1), at(3))).toEqual({ kind: "missing", seq: 2, toSeq: 3 });
  });

  it("finds a record that was moved out of the span by its time", async () => {
    const ledger = await storeChain(store, FIVE);
    await run("UPDATE audit_record SET ended_ms = ? WHERE ledger = ? AND seq = 3", at(-5), ledger);
    await run(
      "UPDATE audit_term SET ended_ms = ? WHERE record_id = (SELECT id FROM audit_record WHERE ledger = ? AND seq = 3)",
      at(-5),
      ledger,
    );
    expect(await faultOf(ledger, undefined, at(2), at(3))).toMatchObject({ kind: "wrong_time", seq: 3 });
  });

  it("does not compare the ledger's head with a span that ends before it", async () => {
    const ledger = await storeChain(store, FIVE);
    const head = { seq: 9, hash: "f".repeat(64) };
    expect(await faultOf(ledger, head, at(1), at(2))).toBeNull();
    expect(await faultOf(ledger, head, at(4), at(9))).toEqual({ kind: "cut_tail", seq: 6, toSeq: 9 });
  });

  it("lists all ledgers when none is named", async () => {
    const ledgers = [await storeChain(store, [{}]), await storeChain(store, [{}, {}])];
    const spans = await store.listChains(0, 9e15);
    for (const [index, ledger] of ledgers.entries())
      expect(spans).toContainEqual({ ledger, startSeq: 0, endSeq: index + 1 });
  });
});
