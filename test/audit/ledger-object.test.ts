// The ledger in its Durable Object: nothing is reserved twice or lost, and the hash chain shows when a record was changed.
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { findBrokenLink } from "../support/broken-link.ts";
import type { Attempt, Outcome } from "../../src/audit/audit-record.ts";
import { addRole } from "../../src/members/member-statements.ts";
import { openMemberStore } from "../../src/members/member-store.ts";
import { newId } from "../../src/lib/ids.ts";
import sample from "../../sample/gatehouse.config.ts";

const outcome: Outcome = {
  result: "answered",
  code: null,
  roles: ["analyst"],
  datasets: ["shop.orders"],
  rules: ["r"],
  denials: [],
  masked: [],
  untrusted: [],
  rows: 3,
  cut: false,
  kept: null,
};

const ANN = { subjectId: "s", email: "ann@x.example", groups: [] };

function ledger() {
  return env.LEDGER.get(env.LEDGER.idFromName(newId()));
}

function attempt(asked = "SELECT 1"): Attempt {
  return { call: newId(), subjectId: "s", owner: null, clientId: "c", operation: "query", asked };
}

const bodies = (records: readonly { readonly body: string }[]): Record<string, unknown>[] =>
  records.map(({ body }) => ({ ...JSON.parse(body) }));

describe("LedgerObject", () => {
  it("writes one record for a call that began and was committed", async () => {
    const [object, call] = [ledger(), attempt()];
    expect(await object.begin(call, ANN, 10, null)).toMatchObject({ ok: true });
    expect(await object.listRecords(0, 10)).toEqual([]);
    expect(await object.commit(call.call, outcome, { queryLock: "freed", bookmark: null })).toEqual({
      ok: true,
      seq: 1,
    });
    expect(bodies(await object.listRecords(0, 10))).toEqual([
      { attempt: call, outcome, began: expect.any(String), ended: expect.any(String) },
    ]);
  });

  it("decides a waiting call by the roles of its own address when the subject calls with another address meanwhile", async () => {
    const object = ledger();
    const [ann, bob] = [`${newId()}@x.example`, `${newId()}@x.example`];
    const members = openMemberStore(env.GATEHOUSE_DB);
    const by = { by: "test", nowMs: 1 };
    await members.applyChange(addRole(ann, "analyst", by));
    await members.applyChange(addRole(bob, "owner", by));
    const [running, waiting] = [attempt(), attempt()];
    await object.begin(running, { ...ANN, email: ann }, 0, "shop");
    const begun = object.begin(waiting, { ...ANN, email: ann }, 0, "shop");
    // This call does not wait, and replaces the ledger's copy with the record of its own address.
    expect(await object.begin(attempt(), { ...ANN, email: bob }, 0, null)).toMatchObject({
      member: { roles: ["owner"] },
    });
    await object.release(running.call);
    expect(await begun).toMatchObject({ ok: true, member: { roles: ["analyst"] } });
  });

  it("refuses a paused client whose id is longer than its record, and not one whose id begins alike", async () => {
    const [object, id] = [ledger(), `https://client.example/${"x".repeat(600)}`];
    const call = { ...attempt(), clientId: id };
    expect(await object.begin(call, ANN, 10, null)).toMatchObject({ ok: true });
    await object.commit(call.call, outcome, { queryLock: "freed", bookmark: null });
    const [record] = await object.listRecords(0, 10);
    const target: string = JSON.parse(record?.body ?? "").attempt.clientId;
    expect(target.length).toBeLessThan(id.length);
    const pause = { kind: "client", target, reason: "", untilMs: null, changedBy: "operator" } as const;
    const version = Date.now();
    expect(await object.applyPauses({ version, pauses: [{ ...pause, version }] })).toBe(true);
    const beginAs = async (clientId: string) => object.begin({ ...attempt(), clientId }, ANN, 10, null);
    expect(await beginAs(id)).toMatchObject({ ok: false, reason: "paused", pause: { target } });
    expect(await beginAs(`${id}y`)).toMatchObject({ ok: true });
  });

  it("writes an event once into the chain, and refuses events when it is full", async () => {
    const [object, event] = [ledger(), attempt("something that happened")];
    const atMs = Date.parse("2026-01-02T03:04:05.000Z");
    for (let times = 0; times < 3; times += 1)
      expect(await object.appendEvent(event, { ...outcome, rows: 0 }, atMs)).toEqual({ ok: true });
    const records = await object.listRecords(0, 10);
    expect(bodies(records)).toMatchObject([{ attempt: event, began: "2026-01-02T03:04:05.000Z" }]);
    expect(findBrokenLink(records)).toBeNull();
    await runInDurableObject(
      object,
      (_instance, state) => void state.storage.sql.exec("UPDATE head SET bytes = ?", sample.limits.maxAuditBytes),
    );
    expect(await object.appendEvent(attempt(), outcome, atMs)).toEqual({ ok: false, reason: "record_full" });
    expect(await object.listRecords(0, 10)).toHaveLength(1);
  });

  it("accepts a repeated commit without a second record, and refuses another outcome for the same call", async () => {
    const [object, call] = [ledger(), attempt()];
    await object.begin(call, ANN, 10, null);
    await object.commit(call.call, outcome, { queryLock: "freed", bookmark: null });
    expect(await object.commit(call.call, outcome, { queryLock: "freed", bookmark: null })).toEqual({
      ok: true,
      seq: 1,
    });
    expect(await object.commit(call.call, { ...outcome, rows: 99 }, { queryLock: "freed", bookmark: null })).toEqual({
      ok: false,
      reason: "no_lease",
    });
    expect(await object.listRecords(0, 10)).toHaveLength(1);
  });

  it("refuses a commit of a call that did not begin", async () => {
    expect(await ledger().commit(newId(), outcome, { queryLock: "freed", bookmark: null })).toEqual({
      ok: false,
      reason: "no_lease",
    });
  });

  it("keeps records and reservations when the object is evicted", async () => {
    const [object, call] = [ledger(), attempt()];
    await object.begin(call, ANN, 10, null);
    await evictDurableObject(object);
    expect(await object.commit(call.call, outcome, { queryLock: "freed", bookmark: null })).toEqual({
      ok: true,
      seq: 1,
    });
    await evictDurableObject(object);
    expect(await object.listRecords(0, 10)).toHaveLength(1);
  });

  it("records a call that outlived its lease as interrupted, and refuses its commit", async () => {
    const [object, expired] = [ledger(), attempt("late")];
    await object.begin(expired, ANN, 10, null);
    await runInDurableObject(
      object,
      (_instance, state) => void state.storage.sql.exec("UPDATE lease SET deadline_ms = 0"),
    );
    const next = attempt("next");
    await object.begin(next, ANN, 10, null);
    expect(bodies(await object.listRecords(0, 10))).toMatchObject([
      { attempt: { asked: "late" }, outcome: { result: "interrupted", rows: 0 } },
    ]);
    expect(await object.commit(expired.call, outcome, { queryLock: "freed", bookmark: null })).toEqual({
      ok: false,
      reason: "no_lease",
    });
    expect(await object.commit(next.call, outcome, { queryLock: "freed", bookmark: null })).toEqual({
      ok: true,
      seq: 2,
    });
  });

  it("reserves rows at begin, and counts only the returned rows at commit", async () => {
    const object = ledger();
    const { rowsPerBurst } = sample.limits;
    const [largeCall, smallCall] = [attempt(), attempt()];
    expect(await object.begin(largeCall, ANN, rowsPerBurst, null)).toMatchObject({ ok: true });
    expect(await object.begin(smallCall, ANN, 1, null)).toMatchObject({
      ok: false,
      budget: { limit: "rowsPerBurst", most: rowsPerBurst },
    });
    expect(await object.begin(attempt(), ANN, 0, null)).toMatchObject({ ok: true });
    await object.commit(largeCall.call, outcome, { queryLock: "freed", bookmark: null });
    expect(await object.begin(attempt(), ANN, rowsPerBurst - 3, null)).toMatchObject({ ok: true });
    expect(await object.begin(attempt(), ANN, 1, null)).toMatchObject({
      ok: false,
      budget: { limit: "rowsPerBurst", most: rowsPerBurst },
    });
  });

  it("refuses new calls when it is full, and accepts commits of calls that have begun", async () => {
    const [object, begun] = [ledger(), attempt()];
    await object.begin(begun, ANN, 1, null);
    await runInDurableObject(
      object,
      (_instance, state) => void state.storage.sql.exec("UPDATE head SET bytes = ?", sample.limits.maxAuditBytes),
    );
    expect(await object.begin(attempt(), ANN, 1, null)).toEqual({ ok: false, reason: "record_full" });
    expect(await object.commit(begun.call, outcome, { queryLock: "freed", bookmark: null })).toMatchObject({
      ok: true,
    });
  });

  it("chains records so that a changed, removed or reordered record breaks the chain", async () => {
    const object = ledger();
    for (let count = 0; count < 4; count += 1) {
      const call = attempt(`q${count}`);
      await object.begin(call, ANN, 1, null);
      await object.commit(call.call, outcome, { queryLock: "freed", bookmark: null });
    }
    const records = await object.listRecords(0, 10);
    const [first, second, third, fourth] = records;
    if (first === undefined || second === undefined || third === undefined || fourth === undefined)
      throw new Error("four records");
    expect(findBrokenLink(records)).toBeNull();
    expect(findBrokenLink([first, { ...second, body: second.body.replace("q1", "q9") }, third, fourth])).toBe(2);
    expect(findBrokenLink([first, third, fourth])).toBe(2);
    expect(findBrokenLink([first, third, second, fourth])).toBe(2);
    expect(findBrokenLink([first, { ...third, seq: 2 }, { ...second, seq: 3 }, fourth])).toBe(2);
    expect(await object.listRecords(2, 1)).toEqual([third]);
  });

  it("writes one link per call when many calls run at the same time", async () => {
    const object = ledger();
    const calls = Array.from({ length: 20 }, () => attempt());
    await Promise.all(calls.map(async (call) => object.begin(call, ANN, 1, null)));
    await Promise.all(
      calls.map(async (call) => object.commit(call.call, outcome, { queryLock: "freed", bookmark: null })),
    );
    const records = await object.listRecords(0, 100);
    expect(records).toHaveLength(20);
    expect(findBrokenLink(records)).toBeNull();
  });
});
