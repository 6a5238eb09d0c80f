// The reads of the audit log by commands, on their way into the operator's ledger: none is lost, and none is recorded twice.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { openOperatorReadStore } from "../../src/audit-reading/operator-read-store.ts";
import { moveOperatorReads } from "../../src/audit-reading/operator-reads.ts";
import { openAuditHeadStore } from "../../src/audit/audit-head-store.ts";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import { OPERATOR_LEDGER } from "../../src/audit/operator-ledger.ts";
import { verifyStoredChains } from "../../src/audit/verify-stored-chain.ts";
import { newId } from "../../src/lib/ids.ts";
import { flushLedger } from "../audit/flush-ledger.ts";
import { ledgerOf } from "../support/members.ts";
import { ORIGIN, send } from "../support/worker.ts";

const HOUR_MS = 3_600_000;
const store = openOperatorReadStore(env.GATEHOUSE_DB);
const records = openAuditRecordStore(env.GATEHOUSE_DB);
const ledger = ledgerOf(OPERATOR_LEDGER);

beforeEach(async () => {
  await env.GATEHOUSE_DB.prepare("DELETE FROM audit_operator_read").run();
});

async function begin(nowMs = Date.now()): Promise<string> {
  const id = newId();
  await store.begin({ id, operator: "ann@laptop", request: '{"command":"list","user":"bob@x.example"}' }, nowMs);
  return id;
}

async function beginAndEnd(rows: number): Promise<string> {
  const id = await begin();
  expect(await store.addRows(id, rows, Date.now())).toBe(true);
  await store.end(id);
  return id;
}

async function move(overrides: Partial<Parameters<typeof moveOperatorReads>[0]> = {}): Promise<void> {
  await moveOperatorReads({ store, records, ledger, now: Date.now, ...overrides });
}

async function listRecords(id: string) {
  const stored = await ledger.listRecords(0, 1000);
  return stored.map(({ body }) => JSON.parse(body)).filter(({ attempt }) => attempt.call === id);
}

const countWaiting = async (): Promise<unknown> =>
  (await env.GATEHOUSE_DB.prepare("SELECT count(*) AS count FROM audit_operator_read").first())?.["count"];

const execute = async (sql: string): Promise<void> =>
  runInDurableObject(ledger, async (_object, { storage }) => void storage.sql.exec(sql));

describe("the reads of commands", () => {
  it("become records of the operator's ledger when the upkeep is asked for, and its chain verifies", async () => {
    const id = await beginAndEnd(3);
    expect((await send(`${ORIGIN}/api/upkeep`, { method: "POST" })).status).toBe(204);
    expect(await listRecords(id)).toMatchObject([
      {
        attempt: {
          subjectId: "operator",
          clientId: "command-line ann@laptop",
          operation: "read audit log",
          asked: "",
          resource: '{"command":"list","user":"bob@x.example"}',
        },
        outcome: { result: "answered", rows: 3 },
      },
    ]);
    expect(await countWaiting()).toBe(0);
    await flushLedger(OPERATOR_LEDGER);
    const spans = await records.listChains(0, Number.MAX_SAFE_INTEGER, [OPERATOR_LEDGER]);
    const [verdict] = await verifyStoredChains(records, spans);
    expect(verdict).toMatchObject({ ledger: "operator", fault: null });
    expect(await openAuditHeadStore(env.GATEHOUSE_DB).listLedgers()).toContain("operator");
  });

  it("are not recorded while they run, and count what was given out since", async () => {
    const id = await begin();
    await move();
    expect(await listRecords(id)).toEqual([]);
    expect(await store.addRows(id, 500, Date.now())).toBe(true);
    expect(await store.addRows(id, 20, Date.now())).toBe(true);
    await store.end(id);
    await move();
    expect(await listRecords(id)).toMatchObject([{ outcome: { rows: 520 } }]);
  });

  it("are recorded as interrupted an hour after their process has died, and then give out nothing more", async () => {
    const id = await begin(Date.now() - HOUR_MS - 1000);
    await move();
    expect(await listRecords(id)).toMatchObject([{ outcome: { result: "interrupted", rows: 0 } }]);
    expect(await store.addRows(id, 1, Date.now())).toBe(false);
  });

  it("are recorded once when a crash follows the record", async () => {
    const id = await beginAndEnd(1);
    const crash = { ...store, delete: async () => Promise.reject(new Error("crashed")) };
    await expect(move({ store: crash })).rejects.toThrow("crashed");
    expect(await countWaiting()).toBe(1);
    await move();
    expect(await listRecords(id)).toHaveLength(1);
    expect(await countWaiting()).toBe(0);
  });

  it("are recorded once when the ledger has sent and forgotten the record before the crash is made good", async () => {
    const id = await beginAndEnd(1);
    const crash = { ...store, delete: async () => Promise.reject(new Error("crashed")) };
    await expect(move({ store: crash })).rejects.toThrow("crashed");
    await flushLedger(OPERATOR_LEDGER);
    await execute(`DELETE FROM record WHERE call = '${id}'`);
    await move();
    expect(await listRecords(id)).toEqual([]);
    expect(await records.findCall(id)).toHaveLength(1);
    expect(await countWaiting()).toBe(0);
  });

  it("are recorded once when two runs of the upkeep meet", async () => {
    const id = await beginAndEnd(1);
    await Promise.all([move(), move()]);
    expect(await listRecords(id)).toHaveLength(1);
  });

  it("wait while the ledger is full", async () => {
    const id = await beginAndEnd(1);
    await execute("UPDATE head SET bytes = bytes + 1000000000");
    await move();
    expect([await listRecords(id), await countWaiting()]).toEqual([[], 1]);
    await execute("UPDATE head SET bytes = bytes - 1000000000");
    await move();
    expect(await listRecords(id)).toHaveLength(1);
  });
});
