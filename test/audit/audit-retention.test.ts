// The operator's retention: old records leave from the beginning of a chain, and a signed checkpoint stands for them.
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { openAuditHeadStore } from "../../src/audit/audit-head-store.ts";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import { removeOldRecords } from "../../src/audit/audit-retention.ts";
import type { RetentionDependencies } from "../../src/audit/audit-retention.ts";
import { openCheckpointStore } from "../../src/audit/checkpoint-store.ts";
import { digestHeads, formatCheckpoint, openSigningKey, verifySignature } from "../../src/audit/head-signature.ts";
import type { ChainVerdict } from "../../src/audit/verify-chain.ts";
import { verifyStoredChains } from "../../src/audit/verify-stored-chain.ts";
import { newId } from "../../src/lib/ids.ts";
import { sealChain, sealRecord, storeChain } from "./stored-records.ts";

const DAY_MS = 86_400_000;
const NOW = Date.parse("2026-11-28T12:00:00Z");
const records = openAuditRecordStore(env.GATEHOUSE_DB);
const checkpoints = openCheckpointStore(env.GATEHOUSE_DB);
const daysAgo = (days: number) => ({ endedMs: NOW - days * DAY_MS });

let unsound: [string, string, number][] = [];
let errors: unknown[] = [];

beforeEach(async () => {
  [unsound, errors] = [[], []];
  for (const table of ["audit_record", "audit_term", "audit_checkpoint", "audit_list", "audit_list_head"])
    await env.GATEHOUSE_DB.exec(`DELETE FROM ${table}`);
});

const onUnsound: RetentionDependencies["onUnsound"] = (ledger, { what, seq }) => void unsound.push([ledger, what, seq]);

type Records = typeof records;

async function remove(
  days: number,
  maxId = Number.MAX_SAFE_INTEGER,
  listChain: Records["listChain"] = async (...args) => records.listChain(...args),
): Promise<number> {
  const key = await openSigningKey("a secret of tests with 32 characters");
  if (key === null) throw new TypeError("there is no key");
  return removeOldRecords(
    {
      checkpoints,
      records: { listChain },
      key,
      maxId,
      now: () => NOW,
      onUnsound,
      onError: (error) => void errors.push(error),
    },
    days,
  );
}

async function verify(ledger: string): Promise<ChainVerdict | undefined> {
  const known = new Map((await checkpoints.list()).map(({ ledger: name, seq, hash }) => [name, { seq, hash }]));
  const spans = await records.listChains(0, Number.MAX_SAFE_INTEGER, [ledger]);
  return (await verifyStoredChains(records, spans, { checkpoints: known }))[0];
}

const listSeqs = async (ledger: string): Promise<readonly number[]> =>
  (await records.listChain(ledger, 0, 1000)).map(({ seq }) => seq);

describe("the retention", () => {
  it("removes what ended before the days that are kept, with its terms, and signs where the chain goes on", async () => {
    const ledger = await storeChain(records, [daysAgo(40), daysAgo(31), daysAgo(29), daysAgo(1)]);
    const [, second] = await records.listChain(ledger, 0, 2);
    expect(await remove(30)).toBe(2);
    expect(await listSeqs(ledger)).toEqual([3, 4]);
    const [checkpoint] = await checkpoints.list();
    expect(checkpoint).toMatchObject({ ledger, seq: 2, hash: second?.hash, untilMs: NOW - 30 * DAY_MS });
    if (checkpoint === undefined) throw new TypeError("there is no checkpoint");
    expect(await verifySignature(checkpoint.key, formatCheckpoint(checkpoint), checkpoint.signature)).toBe(true);
    expect(await verify(ledger)).toEqual({ ledger, records: 2, fault: null });
    const orphans = "SELECT count(*) AS n FROM audit_term WHERE record_id NOT IN (SELECT id FROM audit_record)";
    expect(await env.GATEHOUSE_DB.prepare(orphans).first("n")).toBe(0);
    expect(await remove(30)).toBe(0);
  });

  it("removes chains of several pages whole, and moves the checkpoint on", async () => {
    const ledger = newId();
    await records.append(
      ledger,
      sealChain(
        ledger,
        Array.from({ length: 250 }, () => daysAgo(31)),
      ),
    );
    expect(await remove(30)).toBe(250);
    expect(await checkpoints.list()).toMatchObject([{ ledger, seq: 250 }]);
    const head = { seq: 250, hash: (await checkpoints.list())[0]?.hash ?? "" };
    await records.append(ledger, [sealRecord(ledger, head, daysAgo(0))]);
    expect(await verify(ledger)).toEqual({ ledger, records: 1, fault: null });
  });

  it("keeps a record that the chain has after a newer one, so that a clock that went wrong removes nothing", async () => {
    const ledger = await storeChain(records, [daysAgo(1), daysAgo(400), daysAgo(0)]);
    expect(await remove(30)).toBe(0);
    expect(await listSeqs(ledger)).toEqual([1, 2, 3]);
  });

  it.each([
    ["an earlier time was written beside it", "UPDATE audit_record SET ended_ms = 0 WHERE ledger = ? AND seq = 3", 3],
    [
      "its text was edited",
      "UPDATE audit_record SET body = replace(body, 'orders', 'x') WHERE ledger = ? AND seq = 2",
      2,
    ],
    ["the one before it is missing", "DELETE FROM audit_record WHERE ledger = ? AND seq = 1", 2],
  ])("signs nothing over a record when %s, and says so", async (_what, forgery, seq) => {
    const ledger = await storeChain(records, [daysAgo(40), daysAgo(39), daysAgo(2)]);
    await env.GATEHOUSE_DB.prepare(forgery).bind(ledger).run();
    await remove(30);
    expect(unsound).toEqual([[ledger, "record", seq]]);
    expect((await checkpoints.find(ledger))?.seq ?? 0).toBe(
      seq - 1 - (seq === 2 && forgery.startsWith("DELETE") ? 1 : 0),
    );
  });

  it("removes nothing after a checkpoint that this key has not signed", async () => {
    const ledger = await storeChain(records, [daysAgo(40), daysAgo(39), daysAgo(38)]);
    await env.GATEHOUSE_DB.prepare(
      "INSERT INTO audit_checkpoint (ledger, seq, hash, until_ms, made_ms, signature, key) VALUES (?, 1, 'h', 1, 1, 's', 'k')",
    )
      .bind(ledger)
      .run();
    expect(await remove(30)).toBe(0);
    expect(unsound).toEqual([[ledger, "checkpoint", 1]]);
  });

  it("goes on with other ledgers after many of which nothing can be removed, and after one that fails", async () => {
    const stuck = Array.from({ length: 60 }, (_value, at) => `0${at.toString().padStart(38, "0")}`);
    const calls = [daysAgo(40)];
    for (const ledger of stuck) await records.append(ledger, sealChain(ledger, calls));
    await env.GATEHOUSE_DB.exec("UPDATE audit_record SET hash = 'x'");
    const ledger = `f${newId()}`;
    await records.append(ledger, sealChain(ledger, calls));
    const failing = async (name: string, ...page: [number, number]) =>
      name === stuck[0] ? Promise.reject(new Error("no answer")) : records.listChain(name, ...page);
    expect(await remove(30, undefined, failing)).toBe(1);
    expect([unsound.length, errors]).toEqual([59, [new Error("no answer")]]);
    expect(await listSeqs(ledger)).toEqual([]);
  });

  it("removes records with many terms in parts that the database takes", async () => {
    const values = Array.from({ length: 400 }, (_value, at) => `${at}`.padStart(100, "k"));
    const outcome = { keys: { "shop.customers": { values, complete: true } } };
    const ledger = await storeChain(
      records,
      Array.from({ length: 40 }, () => ({ ...daysAgo(40), outcome })),
    );
    expect(await remove(30)).toBe(40);
    expect(await checkpoints.find(ledger)).toMatchObject({ seq: 40 });
  });

  it("shows a checkpoint beyond what the ledger has sent, or with another last record", async () => {
    const ledger = await storeChain(records, [daysAgo(40), daysAgo(39), daysAgo(1)]);
    await remove(30);
    const known = new Map((await checkpoints.list()).map(({ ledger: name, seq, hash }) => [name, { seq, hash }]));
    const spans = await records.listChains(0, Number.MAX_SAFE_INTEGER, [ledger]);
    for (const head of [
      { seq: 1, hash: "x" },
      { seq: 2, hash: "x" },
    ]) {
      const heads = new Map([[ledger, head]]);
      const [verdict] = await verifyStoredChains(records, spans, { checkpoints: known, heads });
      expect(verdict).toMatchObject({ fault: { kind: "other_head", seq: 2 } });
    }
  });

  it("keeps what the archive does not have yet", async () => {
    const ledger = await storeChain(records, [daysAgo(40), daysAgo(39), daysAgo(38)]);
    const [first] = await records.listChain(ledger, 0, 1);
    expect(await remove(30, first?.id)).toBe(1);
    expect(await listSeqs(ledger)).toEqual([2, 3]);
  });

  it("reads no ledger of which the archive does not have the first record", async () => {
    const kept = await storeChain(records, [daysAgo(40), daysAgo(39)]);
    const [first] = await records.listChain(kept, 0, 1);
    const waiting = await storeChain(records, [daysAgo(40), daysAgo(39)]);
    const read: string[] = [];
    const watched: Records["listChain"] = async (ledger, ...page) => {
      read.push(ledger);
      return records.listChain(ledger, ...page);
    };
    expect(await remove(30, first?.id, watched)).toBe(1);
    expect(read).toEqual([kept]);
    expect(await listSeqs(waiting)).toEqual([1, 2]);
  });

  it("does not contradict a signed list from before, but shows another hash in place of the removed record", async () => {
    const ledger = await storeChain(records, [daysAgo(40), daysAgo(39), daysAgo(0)]);
    const [first, second] = await records.listChain(ledger, 0, 2);
    const heads = openAuditHeadStore(env.GATEHOUSE_DB);
    const sign = async (day: string, seq: number, hash: string): Promise<void> => {
      const head = { ledger, seq, hash };
      const digest = await digestHeads([head]);
      const list = { day, madeMs: 1, ledgers: 1, records: seq, digest, signature: "", key: "" };
      await heads.replaceList(list, [head]);
    };
    await sign("2026-10-20", 1, first?.hash ?? "");
    await sign("2026-10-21", 2, second?.hash ?? "");
    await sign("2026-10-22", 2, "f".repeat(64));
    await remove(30);
    expect(await heads.listContradicted("2026-10-20")).toEqual([]);
    expect(await heads.listContradicted("2026-10-21")).toEqual([]);
    expect(await heads.listContradicted("2026-10-22")).toMatchObject([{ ledger, seq: 2 }]);
  });

  it("leaves a cut, a record that comes back and a false checkpoint visible", async () => {
    const calls = [daysAgo(40), daysAgo(39), daysAgo(2), daysAgo(1)];
    const ledger = await storeChain(records, calls);
    const [first] = await records.listChain(ledger, 0, 1);
    await remove(30);
    if (first === undefined) throw new TypeError("the record is missing");
    await records.append(ledger, [{ ...first, terms: [] }]);
    expect(await verify(ledger)).toMatchObject({ fault: { kind: "removed", seq: 1 } });
    await env.GATEHOUSE_DB.prepare("DELETE FROM audit_record WHERE ledger = ? AND seq IN (1, 3)").bind(ledger).run();
    expect(await verify(ledger)).toMatchObject({ fault: { kind: "missing", seq: 3, toSeq: 3 } });
    await env.GATEHOUSE_DB.exec("UPDATE audit_checkpoint SET seq = 3");
    expect(await verify(ledger)).toMatchObject({ fault: { kind: "changed", seq: 4 } });
  });
});
