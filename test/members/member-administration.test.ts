// Roles of the members table: changes apply at the next request, are propagated again after a failure, and cost no database read per call.
import { runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { findBrokenLink } from "../support/broken-link.ts";
import { MemberRoleCache } from "../../src/members/role-cache.ts";
import type { MemberDirectory } from "../../src/members/role-cache.ts";
import { newId } from "../../src/lib/ids.ts";
import { addRole, removeMember, removeRole, setAttributes } from "../../src/members/member-statements.ts";
import { ledgerOf, members, roleChanges, subjectIdOf } from "../support/members.ts";
import { SECRETS, seedShop } from "../support/seed.ts";
import { RESOURCE, callTool, openSession, send, tokenOf } from "../support/worker.ts";

const GUEST = "guest@harbor.example";
const by = { by: "owner@harbor.example", nowMs: 1_000 };
const CUSTOMERS = { source: "shop", sql: "SELECT id, email FROM customers ORDER BY id" };

let guest = "";

beforeAll(async () => {
  await seedShop();
  guest = await tokenOf("guest");
});

const queryCustomers = async (): Promise<string> => (await callTool(guest, "query", CUSTOMERS)).wire;

describe("a change in the members table", () => {
  it("gives and removes a role at the next request after propagation, and is recorded in the member's ledger", async () => {
    expect(await queryCustomers()).toContain("not_found");
    await members.applyChange(addRole(GUEST, "analyst", by));
    await roleChanges().propagate();
    expect(await queryCustomers()).toContain("n…@north.example");
    expect((await callTool(guest, "fetch", { id: "r1" })).wire).toContain("n…@north.example");
    await members.applyChange(removeRole(GUEST, "analyst", by));
    await roleChanges().propagate();
    expect(await queryCustomers()).toContain("not_found");
    // A result that was stored under the role is no longer readable.
    expect((await callTool(guest, "fetch", { id: "r1" })).wire).toContain("There is no result r1");
    const ledger = ledgerOf(await subjectIdOf(GUEST));
    const records = await ledger.listRecords(0, 100);
    expect(findBrokenLink(records)).toBeNull();
    const changes = records
      .map(({ body }) => JSON.parse(body))
      .filter((record) => record.attempt.operation === "member changed");
    expect(changes.map((record) => JSON.parse(record.attempt.asked))).toEqual([
      { by: by.by, roles: ["analyst"], attributes: [] },
      { by: by.by, roles: [], attributes: [] },
    ]);
  });

  it("applies to a call that waits for the query lock", async () => {
    const subject = { subjectId: newId(), email: "waiting@x.example", groups: [] };
    const ledger = ledgerOf(subject.subjectId);
    const attempt = () => ({
      call: newId(),
      subjectId: subject.subjectId,
      owner: null,
      clientId: "c",
      operation: "q",
      asked: "",
    });
    const first = attempt();
    await ledger.begin(first, subject, 0, "shop");
    const second = ledger.begin(attempt(), subject, 0, "shop");
    await members.applyChange(addRole(subject.email, "analyst", by));
    await roleChanges().propagate();
    await ledger.release(first.call);
    expect(await second).toMatchObject({ ok: true, member: { roles: ["analyst"] } });
  });

  it("sets and removes attributes for row rules", async () => {
    await members.applyChange(addRole(GUEST, "support", by));
    await members.applyChange(setAttributes(GUEST, { region: "south" }, by));
    await roleChanges().propagate();
    const southWire = await queryCustomers();
    expect(southWire).toContain(SECRETS.southEmail);
    expect(southWire).not.toContain(SECRETS.northEmail);
    await members.applyChange(setAttributes(GUEST, { region: null }, by));
    await roleChanges().propagate();
    expect(await queryCustomers()).not.toContain(SECRETS.southEmail);
    await members.applyChange(removeMember(GUEST, by));
    await roleChanges().propagate();
    expect(await queryCustomers()).toContain("not_found");
    expect((await members.list()).map(({ email }) => email)).not.toContain(GUEST);
  });

  it("applies after the upkeep when it was not propagated before", async () => {
    await members.applyChange(addRole(GUEST, "analyst", by));
    expect(await queryCustomers()).toContain("not_found");
    await exports.default.scheduled({ scheduledTime: new Date(), cron: "*/10 * * * *" });
    expect(await queryCustomers()).toContain("n…@north.example");
    expect(await members.listPending(10)).toEqual([]);
    await members.applyChange(removeMember(GUEST, by));
    await roleChanges().propagate();
  });

  it("is propagated to the other ledgers when one does not answer, and to that one later", async () => {
    const [unreachable, reachable] = [newId(), newId()];
    const email = "twice@x.example";
    for (const subjectId of [unreachable, reachable])
      await ledgerOf(subjectId).begin(
        { call: newId(), subjectId, owner: null, clientId: "c", operation: "q", asked: "" },
        { subjectId, email, groups: [] },
        0,
        null,
      );
    await members.applyChange(addRole(email, "analyst", by));
    // Only the connection to one ledger is faked.
    const changes = roleChanges(undefined, (subjectId) =>
      subjectId === unreachable
        ? { applyMember: async () => Promise.reject(new Error("network connection lost")) }
        : ledgerOf(subjectId),
    );
    await expect(changes.propagate()).rejects.toThrow("network connection lost");
    const rolesIn = async (subjectId: string) =>
      runInDurableObject(
        ledgerOf(subjectId),
        (_object, state) => state.storage.sql.exec("SELECT roles FROM cached_member").one()["roles"],
      );
    expect(await rolesIn(unreachable)).toBe("[]");
    expect(await rolesIn(reachable)).toBe('["analyst"]');
    await roleChanges().propagate();
    expect(await rolesIn(unreachable)).toBe('["analyst"]');
  });

  it("notifies streams that the resource list has changed", async () => {
    const session = await openSession(guest);
    const stream = await send(RESOURCE, {
      headers: { authorization: `Bearer ${guest}`, accept: "text/event-stream", "mcp-session-id": session },
    });
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    await members.applyChange(addRole(GUEST, "analyst", by));
    await roleChanges().propagate();
    let received = "";
    while (!received.includes("notifications/resources/list_changed")) received += (await reader?.read())?.value ?? "";
    await reader?.cancel();
    await members.applyChange(removeMember(GUEST, by));
    await roleChanges().propagate();
  });
});

describe("the role cache of a ledger", () => {
  const identity = (subjectId: string, email: string, groups: readonly string[] = []) => ({ subjectId, email, groups });

  /** Runs with a cache in a new object over the real table. `requests` collects its database requests; `gate` delays their answers. */
  async function withRoleCache(
    work: (
      cache: MemberRoleCache,
      requests: string[],
      clock: { ms: number },
      gate: { beforeAnswer?: () => Promise<void> },
    ) => Promise<void>,
  ): Promise<void> {
    await runInDurableObject(ledgerOf(newId()), async (_object, { storage }) => {
      const requests: string[] = [];
      const gate: { beforeAnswer?: () => Promise<void> } = {};
      const directory: MemberDirectory = {
        async registerSubject(subject) {
          requests.push("register");
          const answer = await members.registerSubject(subject);
          await gate.beforeAnswer?.();
          return answer;
        },
        async readForLedger(email, ownerId) {
          requests.push("read");
          const answer = await members.readForLedger(email, ownerId);
          await gate.beforeAnswer?.();
          return answer;
        },
      };
      const clock = { ms: Date.now() };
      await work(
        new MemberRoleCache({ sql: storage.sql, directory, now: () => clock.ms, applyPauses: () => {} }),
        requests,
        clock,
        gate,
      );
    });
  }

  it("reads the database once, and again after a minute at the next comparison", () =>
    withRoleCache(async (cache, requests, clock) => {
      const ann = identity(newId(), `${newId()}@x.example`);
      for (let count = 0; count < 5; count += 1) await cache.ensureLoaded(ann);
      expect(requests).toEqual(["register"]);
      expect(cache.isStale()).toBe(false);
      clock.ms += 60_000;
      expect(cache.isStale()).toBe(true);
      await cache.ensureLoaded(ann);
      expect(requests).toEqual(["register"]);
      expect(await cache.refresh(ann)).toBe(false);
      expect(cache.isStale()).toBe(false);
      // A subject that is already registered is only read.
      expect(requests).toEqual(["register", "read"]);
    }));

  it("finds a change at the comparison when it was not propagated", () =>
    withRoleCache(async (cache, _requests, clock) => {
      const ann = identity(newId(), `${newId()}@x.example`);
      await cache.ensureLoaded(ann);
      await members.applyChange(addRole(ann.email, "analyst", by));
      clock.ms += 60_000;
      expect(await cache.refresh(ann)).toBe(true);
      expect(cache.getMember().roles).toEqual(["analyst"]);
    }));

  it("returns the record of the address that the identity has now", () =>
    withRoleCache(async (cache, requests) => {
      const [before, after] = [`${newId()}@x.example`, `${newId()}@x.example`];
      await members.applyChange(addRole(before, "owner", by));
      const subjectId = newId();
      await cache.ensureLoaded(identity(subjectId, before));
      expect(cache.getMember().roles).toEqual(["owner"]);
      await cache.ensureLoaded(identity(subjectId, after));
      expect(cache.getMember().roles).toEqual([]);
      expect(requests).toEqual(["register", "register"]);
      // A change of the old address no longer concerns this user.
      expect(cache.apply({ email: before, version: 99, roles: ["owner"], attributes: {} })).toBe(false);
      expect(cache.getMember().roles).toEqual([]);
    }));

  it("keeps a change that was propagated while the database was read, although the answer arrives later", () =>
    withRoleCache(async (cache, _requests, _clock, gate) => {
      const ann = identity(newId(), `${newId()}@x.example`);
      await members.applyChange(addRole(ann.email, "owner", by));
      gate.beforeAnswer = async () => {
        await members.applyChange(removeRole(ann.email, "owner", by));
        const { version, roles, attributes } = await members.read(ann.email);
        cache.apply({ email: ann.email, version, roles, attributes });
      };
      await cache.ensureLoaded(ann);
      expect(cache.getMember().roles).toEqual([]);
    }));

  it("ignores an older version than its own", () =>
    withRoleCache(async (cache) => {
      const ann = identity(newId(), `${newId()}@x.example`);
      await cache.ensureLoaded(ann);
      const memberAt = (version: number, roles: readonly string[]) => ({
        email: ann.email,
        version,
        roles,
        attributes: {},
      });
      expect(cache.apply(memberAt(5, []))).toBe(false);
      expect(cache.apply(memberAt(4, ["owner"]))).toBe(false);
      expect(cache.getMember().roles).toEqual([]);
    }));

  it("stores a user's new groups although a personal access token is in steady use", () =>
    withRoleCache(async (cache, requests, clock) => {
      const [subjectId, email] = [newId(), `${newId()}@x.example`];
      const owner = identity(subjectId, email, ["one"]);
      const pat = { ...identity(newId(), email), token: { id: newId(), ownerId: subjectId, roles: [] } };
      await cache.ensureLoaded(owner);
      clock.ms += 60_000;
      expect(cache.isStale("token")).toBe(true);
      expect(await cache.refresh(pat)).toBe(false);
      expect(requests).toEqual(["register", "read"]);
      expect(cache.isStale("token")).toBe(false);
      expect(cache.isStale()).toBe(true);
      expect(await cache.refresh({ ...owner, groups: [] })).toBe(true);
      expect(await members.listSubjects(email)).toMatchObject([{ subjectId, groups: [] }]);
    }));

  it("stores changed groups for the owner's personal access tokens", () =>
    withRoleCache(async (cache, _requests, clock) => {
      const [subjectId, email] = [newId(), `${newId()}@x.example`];
      await cache.ensureLoaded(identity(subjectId, email, ["one"]));
      clock.ms += 60_000;
      expect(await cache.refresh(identity(subjectId, email, ["two"]))).toBe(true);
      expect(await members.listSubjects(email)).toMatchObject([{ subjectId, groups: ["two"] }]);
    }));
});

describe("when the members table is not available", () => {
  it("refuses calls of a new user, and serves a user whose roles are cached", async () => {
    const cachedAccessToken = await tokenOf("analyst");
    await callTool(cachedAccessToken, "describe", {});
    await env.GATEHOUSE_DB.prepare("ALTER TABLE subject RENAME TO subject_away").run();
    try {
      const newAccessToken = await tokenOf("support");
      expect((await callTool(newAccessToken, "describe", {})).wire).toContain("The members table is not available");
      expect((await callTool(cachedAccessToken, "describe", {})).wire).toContain("shop.customers");
    } finally {
      await env.GATEHOUSE_DB.prepare("ALTER TABLE subject_away RENAME TO subject").run();
    }
  });
});
