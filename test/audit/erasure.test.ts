// Erasures of audit records in the ledger and in GATEHOUSE_DB: the values are gone from both, the chains still verify, and nothing is half
// done after a crash.
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import { INTERRUPTED_OUTCOME } from "../../src/audit/audit-record.ts";
import { carryOutErasures } from "../../src/audit/carry-out-erasures.ts";
import type { ErasureDependencies } from "../../src/audit/carry-out-erasures.ts";
import { joinRanges } from "../../src/audit/erasure.ts";
import type { LedgerErasure } from "../../src/audit/erasure.ts";
import { openErasureStore } from "../../src/audit/erasure-store.ts";
import type { ErasureRequest, StoredErasure } from "../../src/audit/erasure-store.ts";
import { verifyStoredChains } from "../../src/audit/verify-stored-chain.ts";
import { newId } from "../../src/lib/ids.ts";
import { openMemberStore } from "../../src/members/member-store.ts";
import { openRemovalStore } from "../../src/members/removal-store.ts";
import { sealRecord } from "./stored-records.ts";

const SECRET = "SELECT * FROM customers WHERE name = 'Dora Distinct'";
const erasures = openErasureStore(env.GATEHOUSE_DB);
const records = openAuditRecordStore(env.GATEHOUSE_DB);
const openLedger = (ledger: string) => env.LEDGER.get(env.LEDGER.idFromName(ledger));
let cleared: [string, number][];
let ended: string[];
let errors: unknown[];

const dependencies: ErasureDependencies = {
  erasures,
  records,
  openLedger,
  openWorkspace: (subjectId) => ({ clear: async (last) => void cleared.push([subjectId, last]) }),
  sessions: { endSessions: async (subjectId) => void ended.push(subjectId) },
  now: Date.now,
  onError: (error) => void errors.push(error),
};

beforeEach(async () => {
  [cleared, ended, errors] = [[], [], []];
  await env.GATEHOUSE_DB.exec("DELETE FROM audit_erasure");
});

async function makeCalls(ledger: string, count: number): Promise<void> {
  for (let made = 0; made < count; made += 1) {
    const attempt = {
      call: newId(),
      subjectId: ledger,
      owner: null,
      clientId: "c-17",
      operation: "query",
      asked: SECRET,
    };
    await openLedger(ledger).begin(attempt, { subjectId: ledger, email: `${ledger}@x.example`, groups: [] }, 1, null);
    const outcome = { ...INTERRUPTED_OUTCOME, result: "answered", code: null, roles: ["analyst"] } as const;
    await openLedger(ledger).commit(attempt.call, outcome, { queryLock: "freed", bookmark: null });
  }
}

async function send(ledger: string): Promise<void> {
  await runInDurableObject(openLedger(ledger), async (_instance, state) => {
    state.storage.sql.exec("UPDATE due_task SET due_ms = 1");
    await state.storage.setAlarm(Date.now());
  });
  await runDurableObjectAlarm(openLedger(ledger));
}

async function request(ledger: string, options: Partial<ErasureRequest> = {}): Promise<string> {
  const id = newId();
  const common = {
    id,
    ledger,
    by: "operator",
    reason: "asked to",
    nowMs: 1,
    fields: ["arguments"],
    ranges: null,
  } as const;
  await erasures.request([{ ...common, ...options }]);
  return id;
}

/** Runs the upkeep twice, with the flush of the ledger between. */
async function carryOutAll(ledger: string): Promise<void> {
  await carryOutErasures(dependencies);
  await send(ledger);
  await carryOutErasures(dependencies);
}

async function find(id: string): Promise<StoredErasure | undefined> {
  return (await erasures.list([id]))[0];
}

/** All that the ledger and GATEHOUSE_DB say about a ledger's records. */
async function readEverything(ledger: string): Promise<string> {
  return JSON.stringify([await openLedger(ledger).listRecords(0, 1000), await records.listChain(ledger, 0, 1000)]);
}

async function expectSound(ledger: string, count: number): Promise<void> {
  const spans = await records.listChains(0, Number.MAX_SAFE_INTEGER, [ledger]);
  const heads = new Map([[ledger, await openLedger(ledger).readSentHead()]]);
  expect(await verifyStoredChains(records, spans, { heads })).toEqual([{ ledger, records: count, fault: null }]);
}

describe("an erasure of everything of a user", () => {
  it("takes the values from records in the ledger and in the database, and is recorded", async () => {
    const ledger = newId();
    await makeCalls(ledger, 2);
    await send(ledger);
    await makeCalls(ledger, 1);
    expect(await readEverything(ledger)).toContain("Dora Distinct");
    const id = await request(ledger, { fields: ["arguments", "client"] });
    await carryOutErasures(dependencies);
    // Values leave GATEHOUSE_DB after the record of the erasure has arrived there: the chain verifies at any moment.
    expect(await find(id)).toMatchObject({ untilSeq: 3, recordedSeq: 4, doneSeq: 0, isDone: false });
    await expectSound(ledger, 2);
    await send(ledger);
    await carryOutErasures(dependencies);
    expect(await readEverything(ledger)).not.toMatch(/Dora Distinct|c-17/);
    expect(await find(id)).toMatchObject({ untilSeq: 3, erased: 2, isDone: true });
    await expectSound(ledger, 4);
    const last = (await records.listChain(ledger, 3, 1))[0];
    expect(JSON.parse(last?.body ?? "").attempt).toMatchObject({
      operation: "erase records",
      asked: JSON.stringify({ by: "operator", reason: "asked to", fields: ["arguments", "client"], records: [[1, 3]] }),
    });
  });

  it("clears the results, the stored answers of sessions and the questions, once", async () => {
    const ledger = newId();
    await makeCalls(ledger, 1);
    await openLedger(ledger).openHandle({ handle: newId(), call: newId(), binding: "b", state: "{}", ttlSeconds: 900 });
    await request(ledger);
    await carryOutErasures(dependencies);
    await carryOutErasures(dependencies);
    expect({ cleared, ended }).toEqual({ cleared: [[ledger, 0]], ended: [ledger] });
    expect(await openLedger(ledger).inspectWork("")).toMatchObject({ questions: 0 });
  });

  it("removes the terms of erased fields, by which the records could still be found", async () => {
    const ledger = newId();
    await makeCalls(ledger, 1);
    await send(ledger);
    await request(ledger, { fields: ["client"] });
    await carryOutAll(ledger);
    const listTerms = env.GATEHOUSE_DB.prepare(
      "SELECT term FROM audit_term WHERE record_id IN (SELECT id FROM audit_record WHERE ledger = ?)",
    ).bind(ledger);
    expect((await listTerms.raw<[string]>()).flat()).not.toContain("client c-17");
    await send(ledger);
    await expectSound(ledger, 2);
  });

  it("stays pending when another record has the place of its own in the database", async () => {
    const ledger = newId();
    await makeCalls(ledger, 1);
    await send(ledger);
    const forged = { seq: 2, body: "{}", salts: "[]", hash: "f".repeat(64), endedMs: 1, terms: [] };
    await records.append(ledger, [forged]);
    const id = await request(ledger);
    await carryOutAll(ledger);
    expect(await find(id)).toMatchObject({ recordedSeq: 2, isDone: false });
    expect(JSON.stringify(await records.listChain(ledger, 0, 1))).toContain("Dora Distinct");
  });

  it("covers the same records when it is repeated after a crash, and not the calls since", async () => {
    const ledger = newId();
    await makeCalls(ledger, 1);
    const id = await request(ledger);
    const crash = { ...erasures, setRecorded: async () => Promise.reject(new Error("killed")) };
    await carryOutErasures({ ...dependencies, erasures: crash });
    expect(errors).toEqual([new Error("killed")]);
    await makeCalls(ledger, 1);
    await carryOutErasures(dependencies);
    expect(await find(id)).toMatchObject({ untilSeq: 1 });
    expect((await openLedger(ledger).listRecords(0, 9)).map(({ body }) => body.includes("Dora"))).toEqual([
      false,
      false,
      true,
    ]);
  });

  it("erases the copy of a record that was on its way while the ledger erased it", async () => {
    const ledger = newId();
    await makeCalls(ledger, 1);
    const [unsent] = await openLedger(ledger).listRecords(0, 1);
    const id = await request(ledger);
    await carryOutErasures(dependencies);
    // What the flush had read before arrives now, and the flush sends the erased record after it.
    await records.append(ledger, [{ seq: 1, hash: "", body: "", salts: "[]", ...unsent, endedMs: 1, terms: [] }]);
    await send(ledger);
    expect(await readEverything(ledger)).toContain("Dora Distinct");
    await carryOutErasures(dependencies);
    expect(await find(id)).toMatchObject({ isDone: true });
    expect(await readEverything(ledger)).not.toContain("Dora Distinct");
  });

  it("forgets the address of a removed member, and of no other user", async () => {
    const [removed, active] = [newId(), newId()];
    for (const ledger of [removed, active]) await makeCalls(ledger, 1);
    const removals = openRemovalStore(env.GATEHOUSE_DB);
    const removal = { id: newId(), email: `${removed}@x.example`, by: "operator", nowMs: 1 };
    await removals.remove(removal);
    const stored = await removals.find(removal.id);
    if (stored === undefined) throw new TypeError("the removal is not stored");
    await removals.markDone(stored, [removed], 2);
    for (const ledger of [removed, active]) await request(ledger);
    // A crash after the database has forgotten it.
    const crash = (ledger: string) => ({
      eraseRecords: async (erasure: LedgerErasure) => openLedger(ledger).eraseRecords(erasure),
      forgetAddress: async () => Promise.reject(new Error("killed")),
    });
    await carryOutErasures({ ...dependencies, openLedger: crash });
    expect(errors).toEqual([new Error("killed")]);
    await carryOutErasures(dependencies);
    const addresses = await openMemberStore(env.GATEHOUSE_DB).listAddresses();
    expect([addresses.get(removed), addresses.get(active)]).toEqual([undefined, `${active}@x.example`]);
    const cached = await runInDurableObject(openLedger(removed), (_instance, state) =>
      state.storage.sql.exec("SELECT email FROM cached_member").toArray(),
    );
    expect(cached).toEqual([]);
    const again = { subjectId: removed, email: "new@x.example", groups: [], seenMs: 1 };
    await openMemberStore(env.GATEHOUSE_DB).registerSignIn(again);
    expect((await openMemberStore(env.GATEHOUSE_DB).listAddresses()).get(removed)).toBe("new@x.example");
  });
});

describe("an erasure of some records", () => {
  it("erases those alone, over several parts and pages", async () => {
    const ledger = newId();
    await makeCalls(ledger, 6);
    await send(ledger);
    const id = await request(ledger, { ranges: joinRanges([5, 2, 3]) });
    await carryOutAll(ledger);
    expect(await find(id)).toMatchObject({ untilSeq: 5, erased: 3, isDone: true });
    const stored = await records.listChain(ledger, 0, 10);
    expect(stored.map(({ body }) => body.includes("Dora"))).toEqual([true, false, false, true, false, true, false]);
    expect({ cleared, ended }).toEqual({ cleared: [], ended: [] });
    await send(ledger);
    await expectSound(ledger, 7);
  });

  it("leaves no value that a guess could be compared with", async () => {
    const ledger = newId();
    await makeCalls(ledger, 1);
    await send(ledger);
    const [before] = await records.listChain(ledger, 0, 1);
    await request(ledger, { ranges: [[1, 1]] });
    await carryOutAll(ledger);
    const [after] = await records.listChain(ledger, 0, 1);
    const fields = Object.keys(JSON.parse(before?.body ?? "").attempt);
    const salt = JSON.parse(before?.salts ?? "[]")[fields.indexOf("asked")];
    expect(salt).toMatch(/^[0-9a-f]{32}$/);
    expect(JSON.stringify(after)).not.toContain(salt);
    expect(await readEverything(ledger)).not.toContain(salt);
  });

  it("keeps records that an earlier version hashed as a whole, and counts them", async () => {
    const ledger = newId();
    const sealed = sealRecord(ledger, { seq: 0, hash: "0".repeat(64) });
    await records.append(ledger, [{ ...sealed, salts: null }]);
    await runInDurableObject(openLedger(ledger), async (_instance, state) => {
      state.storage.sql.exec("INSERT INTO sent_batch (until_seq, hash, sent_ms) VALUES (1, ?, 1)", sealed.hash);
      state.storage.sql.exec("UPDATE head SET seq = 1, hash = ?", sealed.hash);
    });
    const id = await request(ledger, { ranges: [[1, 1]] });
    await carryOutAll(ledger);
    expect(await find(id)).toMatchObject({ erased: 0, kept: 1, isDone: true });
  });

  it("keeps the ledger's count of stored bytes right", async () => {
    const ledger = newId();
    await makeCalls(ledger, 3);
    await request(ledger, { ranges: [[1, 2]] });
    await carryOutAll(ledger);
    await send(ledger);
    const bytes = await runInDurableObject(openLedger(ledger), (_instance, state) =>
      Number(state.storage.sql.exec("SELECT bytes FROM head").one()["bytes"]),
    );
    expect(bytes).toBe(0);
  });

  it("takes out the values of two erasures of one record, and brings none back", async () => {
    const ledger = newId();
    await makeCalls(ledger, 1);
    await send(ledger);
    await request(ledger, { ranges: [[1, 1]], fields: ["arguments"] });
    await request(ledger, { ranges: [[1, 1]], fields: ["client"] });
    await carryOutErasures(dependencies);
    await send(ledger);
    await Promise.all([carryOutErasures(dependencies), carryOutErasures(dependencies)]);
    await carryOutErasures(dependencies);
    expect(await readEverything(ledger)).not.toMatch(/Dora Distinct|c-17/);
    await send(ledger);
    await expectSound(ledger, (await records.listChain(ledger, 0, 9)).length);
  });

  it("erases no record beside those that it covers when these are not stored", async () => {
    const ledger = newId();
    await makeCalls(ledger, 3);
    await send(ledger);
    await env.GATEHOUSE_DB.prepare("DELETE FROM audit_record WHERE ledger = ? AND seq = 2").bind(ledger).run();
    const id = await request(ledger, { ranges: [[2, 2]] });
    await carryOutAll(ledger);
    expect(await find(id)).toMatchObject({ erased: 0, isDone: true });
    const stored = await records.listChain(ledger, 0, 10);
    expect(stored.slice(0, 2).map(({ seq, body }) => [seq, body.includes("Dora")])).toEqual([
      [1, true],
      [3, true],
    ]);
  });

  it("goes on over a record whose text was edited, and counts it as kept", async () => {
    const ledger = newId();
    await makeCalls(ledger, 2);
    await send(ledger);
    await env.GATEHOUSE_DB.prepare("UPDATE audit_record SET body = '{' WHERE ledger = ? AND seq = 1")
      .bind(ledger)
      .run();
    const id = await request(ledger, { ranges: [[1, 2]] });
    await carryOutAll(ledger);
    expect(await find(id)).toMatchObject({ erased: 1, kept: 1, isDone: true });
  });

  it("reports a row that no command has written, and carries out the others", async () => {
    const ledger = newId();
    await makeCalls(ledger, 1);
    await send(ledger);
    const ranges = Array.from({ length: 200 }, (_value, at): [number, number] => [at * 2 + 1, at * 2 + 1]);
    await request(ledger, { ranges });
    const id = await request(ledger, { ranges: [[1, 1]] });
    await carryOutAll(ledger);
    // Once in each run.
    expect(errors).toHaveLength(2);
    expect(await find(id)).toMatchObject({ isDone: true });
  });

  it("goes on with other erasures when one ledger fails", async () => {
    const [broken, sound] = [newId(), newId()];
    for (const ledger of [broken, sound]) await makeCalls(ledger, 1);
    const ids = [await request(broken), await request(sound)];
    const failing: ErasureDependencies["openLedger"] = (ledger) =>
      ledger === broken
        ? {
            ...openLedger(ledger),
            eraseRecords: async () => Promise.reject(new Error("no answer")),
            forgetAddress: async () => {},
            readSentHead: async () => ({ seq: 0, hash: "" }),
          }
        : openLedger(ledger);
    await carryOutErasures({ ...dependencies, openLedger: failing });
    expect(errors).toEqual([new Error("no answer")]);
    expect(await find(ids[0] ?? "")).toMatchObject({ untilSeq: null });
    expect(await find(ids[1] ?? "")).toMatchObject({ untilSeq: 1 });
  });
});
