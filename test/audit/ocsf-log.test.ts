// Audit records as lines of the log with the field names of OCSF: what a line says and must not say, and that every record has one.
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openRecordReceiver } from "../../src/app/bindings.ts";
import { INTERRUPTED_OUTCOME } from "../../src/audit/audit-record.ts";
import type { Outcome } from "../../src/audit/audit-record.ts";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import type { AuditRecordStore, SentRecord } from "../../src/audit/audit-record-store.ts";
import { formatOcsfLine, withOcsfLog } from "../../src/audit/ocsf-log.ts";
import { readEntry } from "../../src/audit/record-entry.ts";
import { createFlushTasks } from "../../src/audit/record-flush.ts";
import { boundOutcome } from "../../src/audit/record-size.ts";
import { createSentRecords } from "../../src/audit/sent-records.ts";
import { newId } from "../../src/lib/ids.ts";
import { sealChain } from "./stored-records.ts";
import type { CallOptions } from "./stored-records.ts";

const store = openAuditRecordStore(env.GATEHOUSE_DB);
const ENDED_MS = Date.parse("2026-11-27T10:00:00.123Z");

function formatCall(options: CallOptions): { readonly line: string; readonly record: SentRecord } {
  const [record] = sealChain("ann", [{ endedMs: ENDED_MS, ...options }]);
  if (record === undefined) throw new TypeError("no record");
  return { line: formatOcsfLine(readEntry("ann", record)), record };
}

function collect(changes: Partial<AuditRecordStore> = {}) {
  const lines: string[] = [];
  const receiver = withOcsfLog({ ...store, ...changes }, (line) => lines.push(line));
  return { receiver, listUids: () => lines.map((line) => JSON.parse(line).metadata.uid), lines };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("the OCSF line of a record", () => {
  it("has the fields of API Activity, and under unmapped those that OCSF lacks", () => {
    const { line, record } = formatCall({
      attempt: {
        call: "c1",
        subjectId: "bot",
        owner: "ann",
        clientId: "access-token p1",
        era: "2026",
        session: "s1",
        trace: "t1",
      },
      outcome: {
        roles: ["analyst"],
        rules: ["analyst.1"],
        datasets: ["shop.customers"],
        columns: ["shop.customers.email"],
        masked: ["shop.customers.email:email"],
        rows: 3,
        bytes: 120,
        kept: "r1",
      },
    });
    expect(JSON.parse(line)).toEqual({
      category_uid: 6,
      class_uid: 6003,
      activity_id: 2,
      activity_name: "Read",
      type_uid: 600302,
      time: ENDED_MS,
      severity_id: 1,
      status_id: 1,
      status: "Success",
      status_detail: "answered",
      metadata: {
        version: "1.6.0",
        product: { name: "Gatehouse", vendor_name: "Gatehouse" },
        log_name: "audit",
        uid: "ann/1",
        correlation_uid: "c1",
        sequence: 1,
      },
      actor: {
        user: { uid: "bot" },
        session: { uid: "s1" },
        app_uid: "access-token p1",
        authorizations: [{ decision: "allowed", policy: { uid: "analyst.1" } }],
      },
      src_endpoint: { uid: "access-token p1" },
      api: { operation: "query", service: { name: "gatehouse" }, request: { uid: "c1" } },
      resources: [
        { type: "dataset", name: "shop.customers" },
        { type: "column", name: "shop.customers.email" },
      ],
      unmapped: {
        owner: "ann",
        era: "2026",
        trace: "t1",
        roles: ["analyst"],
        masked: ["shop.customers.email:email"],
        rows: 3,
        bytes: 120,
        cut: false,
        result: "r1",
        hash: record.hash,
      },
    });
  });

  it.each<[string, CallOptions, object]>([
    [
      "a denied call",
      { outcome: { result: "denied", code: "not_allowed" } },
      { status_id: 2, status: "Failure", status_code: "not_allowed", api: { response: { error: "not_allowed" } } },
    ],
    [
      "an event of the server itself",
      { attempt: { operation: "end connection", clientId: "" } },
      { activity_id: 99, activity_name: "end connection", type_uid: 600399, src_endpoint: { uid: "gatehouse" } },
    ],
  ])("says of %s what became of it", (_name, options, expected) => {
    expect(JSON.parse(formatCall(options).line)).toMatchObject(expected);
  });

  it("has no text of a user, and no reason in words", () => {
    const text = "ada.secret@customer.example";
    const { line } = formatCall({
      attempt: { asked: `SELECT '${text}'`, resource: text },
      outcome: { result: "denied", code: "not_allowed", denials: [`removed ${text}`] },
    });
    expect(line).not.toContain(text);
  });

  it.each<[string, Partial<Outcome>]>([
    ["few names", {}],
    ["as many short names as a record can hold", { columns: Array.from({ length: 2000 }, (_, at) => `a.b.${at}`) }],
    ["as many rules as a record can hold", { rules: Array.from({ length: 2000 }, (_, at) => `r.${at}`) }],
  ])("has a length with %s that cannot exceed what the platform logs of one run of the flush", (_names, names) => {
    const outcome = boundOutcome({ ...INTERRUPTED_OUTCOME, result: "answered", ...names });
    const { line, record } = formatCall({ attempt: { asked: "" }, outcome });
    const recordBytes = record.body.length + (record.salts?.length ?? 0);
    expect((line.length / recordBytes) * (collect().receiver.maxRunBytes ?? Infinity)).toBeLessThan(250_000);
  });
});

describe("the log of a ledger's records", () => {
  it("has a line for each stored record, again when the batch is sent again, and none when nothing was stored", async () => {
    const ledger = newId();
    const chain = sealChain(ledger, [{}, {}]);
    const { receiver, listUids } = collect();
    await receiver.append(ledger, chain);
    expect(listUids()).toEqual([`${ledger}/1`, `${ledger}/2`]);
    await receiver.append(ledger, chain);
    expect(listUids()).toHaveLength(4);
    const outage = collect({ append: async () => Promise.reject(new Error("D1_ERROR: outage")) });
    await expect(outage.receiver.append(ledger, chain)).rejects.toThrow();
    expect(outage.lines).toEqual([]);
  });

  it("has no line of a record whose place another one has", async () => {
    const ledger = newId();
    await store.append(ledger, sealChain(ledger, [{}]));
    const { receiver, lines } = collect();
    await receiver.append(ledger, sealChain(ledger, [{}]));
    expect(lines).toEqual([]);
  });

  it("stays below what the platform logs of one invocation, and reaches all records over several", async () => {
    const subjectId = newId();
    const ledger = env.LEDGER.get(env.LEDGER.idFromName(subjectId));
    const chain = sealChain(
      subjectId,
      Array.from({ length: 250 }, () => ({})),
    );
    const runs = await runInDurableObject(ledger, async (_instance, state) => {
      for (const { seq, body, salts, hash } of chain)
        state.storage.sql.exec(
          "INSERT INTO record (seq, call, body, hash, salts) VALUES (?, ?, ?, ?, ?)",
          seq,
          `call ${seq}`,
          body,
          hash,
          salts,
        );
      const sizes: number[] = [];
      for (let isDone = false; !isDone;) {
        const { receiver, lines } = collect();
        const { flush } = createFlushTasks({
          ledger: subjectId,
          records: createSentRecords(state.storage.sql),
          store: receiver,
          transact: (change) => state.storage.transactionSync(change),
          now: () => 1000,
          onHeld: () => {},
          retryHeldAt: () => {},
        });
        // A run that left records is due again at once.
        isDone = (await flush?.()) !== 1000;
        sizes.push(lines.join("\n").length);
      }
      return sizes;
    });
    expect(runs.length).toBeGreaterThan(2);
    for (const size of runs) expect(size).toBeLessThan(200_000);
    expect(await store.listChain(subjectId, 0, 1000)).toHaveLength(250);
    await runDurableObjectAlarm(ledger);
  });

  it("is off unless the policy file turns it on", async () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    const ledger = newId();
    const chain = sealChain(ledger, [{}]);
    await openRecordReceiver({ arguments: "shape", log: "off" }, env).append(ledger, chain);
    expect(log).not.toHaveBeenCalled();
    await openRecordReceiver({ arguments: "shape", log: "ocsf" }, env).append(ledger, chain);
    expect(log.mock.calls.map(([line]) => JSON.parse(String(line)).metadata.uid)).toEqual([`${ledger}/1`]);
  });
});
