// A ledger that fills up: every record has a maximum size, the operator is warned in time, and only the ledger's own user is refused.
import { createHash } from "node:crypto";
import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { findBrokenLink } from "../support/broken-link.ts";
import { MAX_RECORD_BYTES } from "../../src/audit/record-size.ts";
import { INTERRUPTED_OUTCOME } from "../../src/audit/audit-record.ts";
import type { Attempt, Outcome } from "../../src/audit/audit-record.ts";
import { byteLength } from "../../src/lib/bytes.ts";
import { newId } from "../../src/lib/ids.ts";
import { addRole, removeRole } from "../../src/members/member-statements.ts";
import sample from "../../sample/gatehouse.config.ts";
import { personAt } from "../support/browser.ts";
import type { Person } from "../support/browser.ts";
import { ledgerOf, members, roleChanges, subjectIdOf } from "../support/members.ts";
import { seedShop } from "../support/seed.ts";
import { callTool, initialize, post, tokenOf } from "../support/worker.ts";

const { maxAuditBytes } = sample.limits;
const ANN = { subjectId: "s", email: "ann@x.example", groups: [] };
const FREED = { queryLock: "freed", bookmark: null } as const;
const answered: Outcome = { ...INTERRUPTED_OUTCOME, result: "answered", code: null };

beforeAll(seedShop);

function attempt(asked = "SELECT 1"): Attempt {
  return { call: newId(), subjectId: "s", owner: null, clientId: "c", operation: "query", asked };
}

async function setBytes(subjectId: string, bytes: number): Promise<void> {
  await runInDurableObject(
    ledgerOf(subjectId),
    (_object, { storage }) => void storage.sql.exec("UPDATE head SET bytes = ?", bytes),
  );
}

async function operationsOf(subjectId: string): Promise<readonly string[]> {
  const records = await ledgerOf(subjectId).listRecords(0, 10_000);
  expect(findBrokenLink(records)).toBeNull();
  return records.map(({ body }) => JSON.parse(body).attempt.operation);
}

/** Commits a call with an outcome that is too long for a record, and returns what was stored of it. */
async function commitLong(ledger: ReturnType<typeof ledgerOf>, call: Attempt, long: Outcome) {
  await ledger.begin(call, ANN, 0, null);
  expect(await ledger.commit(call.call, long, FREED)).toEqual({ ok: true, seq: 1 });
  // A repeated commit must be recognised although the outcome was truncated.
  expect(await ledger.commit(call.call, long, FREED)).toEqual({ ok: true, seq: 1 });
  const [record] = await ledger.listRecords(0, 1);
  expect(byteLength(record?.body ?? "")).toBeLessThanOrEqual(MAX_RECORD_BYTES);
  return JSON.parse(record?.body ?? "{}").outcome;
}

describe("a record", () => {
  it.each([
    ["a million letters", "x".repeat(1_000_000)],
    ["the longest SQL", `SELECT '${"é".repeat(9990)}'`],
    ["characters that JSON escapes", "\u0001".repeat(20_000)],
    ["characters outside the BMP", "😀".repeat(10_000)],
  ])("has a maximum size and the hash of the whole text when the request text is %s", async (_name, asked) => {
    const [ledger, call] = [ledgerOf(newId()), attempt(asked)];
    expect(await ledger.begin(call, ANN, 0, null)).toMatchObject({ ok: true });
    expect(await ledger.commit(call.call, answered, FREED)).toMatchObject({ ok: true });
    const [record] = await ledger.listRecords(0, 1);
    expect(byteLength(record?.body ?? "")).toBeLessThanOrEqual(MAX_RECORD_BYTES);
    const storedText = String(JSON.parse(record?.body ?? "{}").attempt.asked);
    expect(asked.startsWith(storedText.slice(0, 300))).toBe(true);
    expect(storedText).toContain(createHash("sha256").update(asked).digest("hex"));
    expect(storedText).toContain(`${asked.length} characters`);
  });

  it("has a maximum size when its outcome has very long lists, and stores short lists whole", async () => {
    const [ledger, call] = [ledgerOf(newId()), attempt()];
    const names = (count: number): string[] => Array.from({ length: count }, (_value, index) => `shop.table.c${index}`);
    const long: Outcome = { ...answered, roles: ["analyst"], masked: names(5000), denials: ["d".repeat(50_000)] };
    const outcome = await commitLong(ledger, call, long);
    expect(outcome.roles).toEqual(["analyst"]);
    expect(outcome.masked.slice(0, 20)).toEqual(names(20));
    expect(outcome.masked.at(-1)).toMatch(/^… \d+ more of 5000, SHA-256 of all [0-9a-f]{64}$/);
    expect(outcome.denials).toEqual([expect.stringMatching(/^… 1 more of 1, SHA-256 of all [0-9a-f]{64}$/)]);
  });

  it.each([
    [
      "many long keys",
      { "shop.a": { values: Array.from({ length: 500 }, (_v, at) => `${at}${"k".repeat(150)}`), complete: true } },
    ],
    [
      "keys of many datasets",
      Object.fromEntries(
        Array.from({ length: 500 }, (_v, at) => [`shop.table${at}`, { values: ["1"], complete: true }]),
      ),
    ],
  ])("has a maximum size, and says that it does not hold all keys, when the outcome has %s", async (_name, keys) => {
    const [ledger, call] = [ledgerOf(newId()), attempt("\u0001".repeat(20_000))];
    const long: Outcome = { ...answered, denials: ["d".repeat(50_000)], keys };
    const outcome = await commitLong(ledger, call, long);
    expect(byteLength(JSON.stringify(outcome.keys))).toBeGreaterThan(4000);
    const entries: [string, { values: string[]; complete: boolean }][] = Object.entries(outcome.keys);
    for (const [dataset, { values, complete }] of entries) {
      const whole = Object.entries(keys).find(([name]) => name === dataset)?.[1].values ?? [];
      expect(values).toEqual(whole.slice(0, values.length));
      expect(complete).toBe(dataset !== "…" && values.length === whole.length);
    }
    const isWhole = entries.length === Object.keys(keys).length;
    expect(entries.at(-1)?.[0] === "…").toBe(!isWhole);
  });

  it("is so small that 780 calls with 20 KB of SQL fill less than a third of a ledger", async () => {
    const ledger = ledgerOf(newId());
    for (let count = 0; count < 20; count += 1) {
      const call = attempt(`shop: SELECT '${"x".repeat(19_980)}'`);
      await ledger.begin(call, ANN, 0, null);
      await ledger.commit(call.call, answered, FREED);
    }
    const bytes = (await ledger.listRecords(0, 100)).reduce((sum, { body }) => sum + byteLength(body), 0);
    expect((bytes / 20) * 780).toBeLessThan(maxAuditBytes / 3);
  });
});

describe("a ledger that fills up", () => {
  it("warns the operator once when it is half full, and once when it is full", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const [subjectId, call] = [newId(), attempt()];
    const ledger = ledgerOf(subjectId);
    const warnings = (): string[] =>
      warn.mock.calls.map(([line]) => String(line)).filter((line) => line.includes(subjectId));
    try {
      await ledger.begin(call, ANN, 0, null);
      await setBytes(subjectId, maxAuditBytes / 2 - 10);
      expect(warnings()).toEqual([]);
      await ledger.commit(call.call, answered, FREED);
      expect(warnings()).toEqual([expect.stringMatching(/^ledger_half_full: /)]);
      for (let count = 0; count < 3; count += 1) await ledger.appendEvent(attempt(), answered, Date.now());
      expect(warnings()).toHaveLength(1);
      await setBytes(subjectId, maxAuditBytes);
      for (let count = 0; count < 5; count += 1)
        expect(await ledger.begin(attempt(), ANN, 0, null)).toEqual({ ok: false, reason: "record_full" });
      expect(warnings()).toEqual([
        expect.stringMatching(/^ledger_half_full: /),
        expect.stringMatching(/^ledger_full: .*limits\.maxAuditBytes/),
      ]);
    } finally {
      warn.mockRestore();
    }
  });

  it("still accepts events and revocations when it is full of calls", async () => {
    const subjectId = newId();
    const ledger = ledgerOf(subjectId);
    await ledger.begin(attempt(), ANN, 0, null);
    await setBytes(subjectId, Math.floor((maxAuditBytes * 3) / 4));
    expect(await ledger.begin(attempt(), ANN, 0, null)).toEqual({ ok: false, reason: "record_full" });
    expect(await ledger.appendEvent(attempt(), answered, Date.now())).toEqual({ ok: true });
    await setBytes(subjectId, Math.floor((maxAuditBytes * 7) / 8));
    expect(await ledger.appendEvent(attempt(), answered, Date.now())).toEqual({ ok: false, reason: "record_full" });
    expect(await ledger.begin(attempt(), ANN, 0, null, "revocation")).toMatchObject({ ok: true });
  });

  it("still accepts revocations when it is full of listings", async () => {
    const subjectId = newId();
    const ledger = ledgerOf(subjectId);
    await ledger.begin(attempt(), ANN, 0, null);
    await setBytes(subjectId, Math.floor((maxAuditBytes * 7) / 8));
    expect(await ledger.begin(attempt(), ANN, 0, null, "listing")).toMatchObject({ ok: true });
    await setBytes(subjectId, Math.floor((maxAuditBytes * 15) / 16));
    expect(await ledger.begin(attempt(), ANN, 0, null, "listing")).toEqual({ ok: false, reason: "record_full" });
    expect(await ledger.begin(attempt(), ANN, 0, null, "revocation")).toMatchObject({ ok: true });
  });
});

describe("a user whose ledger is full of calls", () => {
  const EMAIL = "reviewer@harbor.example";
  let reviewer: Person;
  let reviewerId = "";

  beforeAll(async () => {
    reviewer = await personAt(EMAIL);
    reviewerId = await subjectIdOf(EMAIL);
  });

  it("gets an error that says what to do, and other users are not refused", async () => {
    const [accessToken, ownerAccessToken] = [await tokenOf("reviewer"), await tokenOf("owner")];
    await callTool(accessToken, "describe", {});
    await setBytes(reviewerId, Math.floor((maxAuditBytes * 3) / 4));
    const { wire } = await callTool(accessToken, "describe", {});
    for (const text of [
      "record_full",
      "It empties by itself once",
      "limits.maxAuditBytes",
      "revoke personal access tokens",
    ])
      expect(wire).toContain(text);
    expect((await callTool(ownerAccessToken, "describe", {})).wire).toContain("shop.customers");
    await setBytes(reviewerId, 0);
  });

  it("can still list and revoke personal access tokens, and both are recorded", async () => {
    const { body } = await reviewer.api("POST", "/tokens", { name: "t", roles: ["analyst"], days: 1 });
    const pat = String(body["token"]);
    await setBytes(reviewerId, Math.floor((maxAuditBytes * 3) / 4));
    expect((await callTool(pat, "describe", {})).wire).toContain("record_full");
    expect((await reviewer.api("POST", "/tokens", { name: "t", roles: ["analyst"], days: 1 })).body).toMatchObject({
      error: { code: "record_full" },
    });
    expect((await reviewer.api("GET", "/tokens")).status).toBe(200);
    expect((await reviewer.api("DELETE", `/tokens/${String(body["id"])}`)).status).toBe(204);
    expect((await post(pat, initialize())).status).toBe(401);
    expect((await operationsOf(reviewerId)).slice(-3)).toEqual([
      "list access tokens",
      "revoke access token",
      "use access token",
    ]);
    await setBytes(reviewerId, 0);
  });

  it("can still be given roles and lose them, and both are recorded", async () => {
    await setBytes(reviewerId, maxAuditBytes * 2);
    await members.applyChange(addRole(EMAIL, "support", { by: "operator", nowMs: 1 }));
    await roleChanges().propagate();
    await members.applyChange(removeRole(EMAIL, "support", { by: "operator", nowMs: 1 }));
    await roleChanges().propagate();
    expect((await operationsOf(reviewerId)).slice(-2)).toEqual(["member changed", "member changed"]);
    await setBytes(reviewerId, 0);
  });

  it("can still remove roles from members when the user administers", async () => {
    const owner = await personAt("owner@harbor.example");
    const ownerId = await subjectIdOf("owner@harbor.example");
    expect((await owner.api("PUT", "/members/someone@x.example/roles/support")).status).toBe(200);
    await setBytes(ownerId, Math.floor((maxAuditBytes * 3) / 4));
    expect((await owner.api("PUT", "/members/someone@x.example/roles/owner")).body).toMatchObject({
      error: { code: "record_full" },
    });
    expect((await owner.api("GET", "/members")).status).toBe(200);
    expect((await owner.api("DELETE", "/members/someone@x.example/roles/support")).status).toBe(200);
    expect((await owner.api("DELETE", "/members/someone@x.example")).status).toBe(404);
    await setBytes(ownerId, 0);
  });
});
