// The operations of auditors without the JSON API around them: roles, arguments, and answers that do not leave unrecorded.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { createAuditReading } from "../../src/audit-reading/audit-reading.ts";
import { createWithAudit } from "../../src/audit/audit.ts";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import type { CommitResult, Ledger, Outcome } from "../../src/audit/audit-record.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import { OPERATOR_LEDGER } from "../../src/audit/operator-ledger.ts";
import { newId } from "../../src/lib/ids.ts";
import { sealChain, storeChain } from "../audit/stored-records.ts";
import { accessTokens, members } from "../support/members.ts";
import { NUMBER, buildPolicy, key } from "../support/policy-builder.ts";

const { policy, organisation } = buildPolicy({
  tables: { orders: { id: key(NUMBER) } },
  roles: {
    auditor: { audits: true, rules: [] },
    investigator: { audits: "with arguments", rules: [] },
    reader: [],
  },
  members: { auditor: ["auditor"], investigator: ["investigator", "auditor"], reader: ["reader"] },
});
const store = openAuditRecordStore(env.GATEHOUSE_DB);
const TYPED = "shop: SELECT 'typed'";

/** Opens the operations over a ledger whose commits the test chooses. */
function openReading(commit: () => Promise<CommitResult> = async () => ({ ok: true, seq: 1 })) {
  const committed: Outcome[] = [];
  const reserved: number[] = [];
  const ledger: Ledger = {
    async begin(_attempt, _identity, reservedRows) {
      reserved.push(reservedRows);
      const results = { number: null, committedCalls: [] };
      return {
        ok: true,
        bookmark: null,
        member: NO_MEMBER_RECORD,
        results,
        nearLimits: [],
        pausedSources: [],
        untrustedMs: null,
      };
    },
    async commit(_call, outcome) {
      committed.push(outcome);
      return commit();
    },
    release: async () => {},
    reportUnstored: async () => {},
  };
  const withAudit = createWithAudit({ policy, openLedger: () => ledger, newId, waitUntil: () => {} });
  const reading = createAuditReading({
    withAudit,
    policy,
    organisation,
    auditRecords: store,
    members,
    pats: accessTokens,
    findClientNames: async () => new Map([["c", "Client \u202e<b>"]]),
    now: Date.now,
  });
  return { reading, committed, reserved };
}

const as = (account: string) => ({ subjectId: newId(), email: `${account}@harbor.example`, groups: [] });

async function storeTyped(): Promise<string> {
  return storeChain(store, [{ attempt: { operation: "fetch", asked: TYPED, resource: "shop.orders/7" } }]);
}

describe("reading the audit log", () => {
  it("shows arguments to a user of whose roles one may see them, and to no other auditor", async () => {
    const ledger = await storeTyped();
    const { reading } = openReading();
    expect(await reading.show(as("investigator"), ledger, "1")).toMatchObject({
      arguments: TYPED,
      resource: "shop.orders/7",
    });
    expect(await reading.show(as("auditor"), ledger, "1")).toMatchObject({ arguments: null, resource: null });
  });

  it("lets only users who may see arguments search for a row, and shows that search to no other auditor", async () => {
    const search = JSON.stringify({ key: "shop.customers/4711" });
    const keys = { "shop.customers": { values: ["4711"], complete: true } };
    const ledger = await storeChain(store, [
      { outcome: { keys } },
      { attempt: { operation: "read audit log", resource: search } },
      { attempt: { operation: "read audit log", resource: JSON.stringify({ user: "ann" }) } },
    ]);
    const { reading } = openReading();
    const request = { user: ledger, key: "shop.customers/4711" };
    await expect(reading.list(as("auditor"), request)).rejects.toMatchObject({ code: "invalid_input" });
    const found = await reading.list(as("investigator"), request);
    expect(found.records).toMatchObject([{ seq: 1, keys, showsRow: "certain" }]);
    const { records } = await reading.list(as("auditor"), { user: ledger });
    expect(records.map(({ keys: shown, resource }) => [shown, resource])).toEqual([
      [null, JSON.stringify({ user: "ann" })],
      [null, null],
      [null, null],
    ]);
  });

  it("shows auditors the filters of a command that was killed, and nothing of a refused read", async () => {
    const resource = JSON.stringify({ command: "export", user: "ann" });
    const attempt = { operation: "read audit log", resource };
    const interrupted = {
      attempt: { ...attempt, subjectId: OPERATOR_LEDGER },
      outcome: { result: "interrupted" },
    } as const;
    await store.append(OPERATOR_LEDGER, sealChain(OPERATOR_LEDGER, [interrupted]));
    const { reading } = openReading();
    expect(await reading.show(as("auditor"), OPERATOR_LEDGER, "1")).toMatchObject({ resource });
    const ledger = await storeChain(store, [{ attempt, outcome: { result: "interrupted" } }]);
    expect(await reading.show(as("auditor"), ledger, "1")).toMatchObject({ resource: null });
  });

  it("shows the name of a client by code points where it is invisible", async () => {
    const ledger = await storeTyped();
    expect(await openReading().reading.show(as("auditor"), ledger, "1")).toMatchObject({
      client: "c",
      clientName: "Client U+202E<b>",
    });
  });

  it.each(["auditor", "investigator"])("is denied to a personal access token of the user %s", async (account) => {
    const ledger = await storeTyped();
    const { reading, committed } = openReading();
    const identity = { ...as(account), token: { id: newId(), ownerId: newId(), roles: ["auditor", "investigator"] } };
    for (const read of [
      reading.list(identity, { user: ledger }),
      reading.show(identity, ledger, "1"),
      reading.listOwn(identity, { limit: 1 }),
    ])
      await expect(read).rejects.toMatchObject({ code: "not_allowed" });
    expect(committed).toMatchObject([{ result: "denied" }, { result: "denied" }, { result: "denied" }]);
  });

  it("returns nothing when the record of the read cannot be committed", async () => {
    const ledger = await storeTyped();
    const { reading, committed } = openReading(async () => Promise.reject(new Error("network connection lost")));
    for (const read of [
      async () => reading.list(as("auditor"), { user: ledger }),
      async () => reading.show(as("auditor"), ledger, "1"),
      async () => reading.listOwn(as("reader"), { limit: 1 }),
    ])
      await expect(read()).rejects.toThrow("network connection lost");
    expect(committed.map(({ result }) => result)).toEqual(Array.from({ length: 6 }, () => "answered"));
  });

  it("returns nothing when the read has outlived its lease", async () => {
    const { reading } = openReading(async () => ({ ok: false, reason: "no_lease" }));
    await expect(reading.list(as("auditor"), {})).rejects.toMatchObject({ code: "interrupted" });
  });

  it("reserves as many rows of the day as it may return", async () => {
    const { reading, reserved } = openReading();
    await reading.list(as("auditor"), { limit: "7" });
    await reading.list(as("auditor"), {});
    await reading.show(as("auditor"), await storeTyped(), "1");
    expect(reserved).toEqual([7, 50, 1]);
  });

  it("shows the filters of other reads of the log, but not of refused ones", async () => {
    const attempt = { operation: "read audit log", asked: "", resource: '{"user":"bob@x.example"}' };
    const ledger = await storeChain(store, [
      { attempt },
      { attempt, outcome: { result: "denied", code: "not_allowed", denials: ["audit: no_role"] } },
    ]);
    const { records } = await openReading().reading.list(as("auditor"), { user: ledger });
    expect(records.map(({ resource, denials }) => [resource, denials])).toEqual([
      [null, ["audit: no_role"]],
      ['{"user":"bob@x.example"}', []],
    ]);
  });
});
