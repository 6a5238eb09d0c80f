// Roles of the members table: they act at the next request, come back after a lost word, and cost no read of the database.
import { runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { firstBrokenLink } from "../../src/ledger/chain.ts";
import { createMemberCopy } from "../../src/ledger/member-copy.ts";
import type { MemberDirectory } from "../../src/ledger/member-copy.ts";
import { newId } from "../../src/lib/ids.ts";
import { addRole, removeMember, removeRole, setAttributes } from "../../src/storage/member-statements.ts";
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

const ask = async (): Promise<string> => (await callTool(guest, "query", CUSTOMERS)).wire;

describe("a change in the members table", () => {
  it("acts at the next request once it was told, both ways, and stands in the person's own chain", async () => {
    expect(await ask()).toContain("not_found");
    await members.apply(addRole(GUEST, "analyst", by));
    await roleChanges().tell();
    expect(await ask()).toContain("n…@north.example");
    expect((await callTool(guest, "fetch", { id: "r1" })).wire).toContain("n…@north.example");
    await members.apply(removeRole(GUEST, "analyst", by));
    await roleChanges().tell();
    expect(await ask()).toContain("not_found");
    // What was kept under the role is gone with it, and stays gone.
    expect((await callTool(guest, "fetch", { id: "r1" })).wire).toContain("There is no result r1");
    const ledger = ledgerOf(await subjectIdOf(GUEST));
    const records = await ledger.records(0, 100);
    expect(firstBrokenLink(records)).toBeNull();
    const changes = records
      .map(({ body }) => JSON.parse(body))
      .filter((one) => one.attempt.operation === "member changed");
    expect(changes.map((one) => JSON.parse(one.attempt.asked))).toEqual([
      { by: by.by, roles: ["analyst"], attributes: [] },
      { by: by.by, roles: [], attributes: [] },
    ]);
  });

  it("reaches a call that waits for its turn", async () => {
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
    await members.apply(addRole(subject.email, "analyst", by));
    await roleChanges().tell();
    await ledger.release(first.call);
    expect(await second).toMatchObject({ ok: true, member: { roles: ["analyst"] } });
  });

  it("gives attributes to row rules, and takes them away", async () => {
    await members.apply(addRole(GUEST, "support", by));
    await members.apply(setAttributes(GUEST, { region: "south" }, by));
    await roleChanges().tell();
    const south = await ask();
    expect(south).toContain(SECRETS.southEmail);
    expect(south).not.toContain(SECRETS.northEmail);
    await members.apply(setAttributes(GUEST, { region: null }, by));
    await roleChanges().tell();
    expect(await ask()).not.toContain(SECRETS.southEmail);
    await members.apply(removeMember(GUEST, by));
    await roleChanges().tell();
    expect(await ask()).toContain("not_found");
    expect((await members.list()).map(({ email }) => email)).not.toContain(GUEST);
  });

  it("of which nobody was told acts after the upkeep", async () => {
    await members.apply(addRole(GUEST, "analyst", by));
    expect(await ask()).toContain("not_found");
    await exports.default.scheduled({ scheduledTime: new Date(), cron: "*/10 * * * *" });
    expect(await ask()).toContain("n…@north.example");
    expect(await members.untold(10)).toEqual([]);
    await members.apply(removeMember(GUEST, by));
    await roleChanges().tell();
  });

  it("is told again when a ledger could not be reached, and others were told all the same", async () => {
    const [one, two] = [newId(), newId()];
    const email = "twice@x.example";
    for (const subjectId of [one, two])
      await ledgerOf(subjectId).begin(
        { call: newId(), subjectId, owner: null, clientId: "c", operation: "q", asked: "" },
        { subjectId, email, groups: [] },
        0,
        null,
      );
    await members.apply(addRole(email, "analyst", by));
    // The broken wire to one object is the only stand-in here.
    const changes = roleChanges(undefined, (subjectId) =>
      subjectId === one
        ? { takeMember: async () => Promise.reject(new Error("network connection lost")) }
        : ledgerOf(subjectId),
    );
    await expect(changes.tell()).rejects.toThrow("network connection lost");
    const rolesIn = async (subjectId: string) =>
      runInDurableObject(
        ledgerOf(subjectId),
        (_object, state) => state.storage.sql.exec("SELECT roles FROM member").one()["roles"],
      );
    expect(await rolesIn(one)).toBe("[]");
    expect(await rolesIn(two)).toBe('["analyst"]');
    await roleChanges().tell();
    expect(await rolesIn(one)).toBe('["analyst"]');
  });

  it("tells listeners that their lists are old", async () => {
    const session = await openSession(guest);
    const stream = await send(RESOURCE, {
      headers: { authorization: `Bearer ${guest}`, accept: "text/event-stream", "mcp-session-id": session },
    });
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    await members.apply(addRole(GUEST, "analyst", by));
    await roleChanges().tell();
    let heard = "";
    while (!heard.includes("notifications/resources/list_changed")) heard += (await reader?.read())?.value ?? "";
    await reader?.cancel();
    await members.apply(removeMember(GUEST, by));
    await roleChanges().tell();
  });
});

describe("the copy in a ledger", () => {
  const identity = (subjectId: string, email: string, groups: readonly string[] = []) => ({ subjectId, email, groups });

  /** Runs with a copy in a fresh object, over the real table; counts what it asks. */
  async function withCopy(
    work: (
      copy: ReturnType<typeof createMemberCopy>,
      asked: string[],
      clock: { ms: number },
      gate: { before?: () => Promise<void> },
    ) => Promise<void>,
  ): Promise<void> {
    await runInDurableObject(ledgerOf(newId()), async (_object, { storage }) => {
      const asked: string[] = [];
      const gate: { before?: () => Promise<void> } = {};
      const directory: MemberDirectory = {
        async know(subject) {
          asked.push("know");
          const answer = await members.know(subject);
          await gate.before?.();
          return answer;
        },
        async read(email) {
          asked.push("read");
          const answer = await members.read(email);
          await gate.before?.();
          return answer;
        },
      };
      const clock = { ms: Date.now() };
      await work(
        createMemberCopy(storage.sql, directory, () => clock.ms),
        asked,
        clock,
        gate,
      );
    });
  }

  it("asks the database once, and not again for a minute", () =>
    withCopy(async (copy, asked, clock) => {
      const ann = identity(newId(), `${newId()}@x.example`);
      for (let count = 0; count < 5; count += 1) await copy.ensure(ann);
      expect(asked).toEqual(["know"]);
      expect(copy.isDue()).toBe(false);
      clock.ms += 60_000;
      expect(copy.isDue()).toBe(true);
      await copy.ensure(ann);
      expect(asked).toEqual(["know"]);
      expect(await copy.compare(ann)).toBe(false);
      expect(copy.isDue()).toBe(false);
      // Who is known already is only read.
      expect(asked).toEqual(["know", "read"]);
    }));

  it("finds at the comparison what nobody told of", () =>
    withCopy(async (copy, _asked, clock) => {
      const ann = identity(newId(), `${newId()}@x.example`);
      await copy.ensure(ann);
      await members.apply(addRole(ann.email, "analyst", by));
      clock.ms += 60_000;
      expect(await copy.compare(ann)).toBe(true);
      expect(copy.current().roles).toEqual(["analyst"]);
    }));

  it("is that of the email which the identity has now", () =>
    withCopy(async (copy, asked) => {
      const [before, after] = [`${newId()}@x.example`, `${newId()}@x.example`];
      await members.apply(addRole(before, "owner", by));
      const subjectId = newId();
      await copy.ensure(identity(subjectId, before));
      expect(copy.current().roles).toEqual(["owner"]);
      await copy.ensure(identity(subjectId, after));
      expect(copy.current().roles).toEqual([]);
      expect(asked).toEqual(["know", "know"]);
      // What is told of the old email is nothing to this person any more.
      expect(copy.take({ email: before, version: 99, roles: ["owner"], attributes: {} })).toBe(false);
      expect(copy.current().roles).toEqual([]);
    }));

  it("keeps what was told while the table was asked, though the table's answer comes later", () =>
    withCopy(async (copy, _asked, _clock, gate) => {
      const ann = identity(newId(), `${newId()}@x.example`);
      await members.apply(addRole(ann.email, "owner", by));
      gate.before = async () => {
        await members.apply(removeRole(ann.email, "owner", by));
        const { version, roles, attributes } = await members.read(ann.email);
        copy.take({ email: ann.email, version, roles, attributes });
      };
      await copy.ensure(ann);
      expect(copy.current().roles).toEqual([]);
    }));

  it("takes no older version than it has", () =>
    withCopy(async (copy) => {
      const ann = identity(newId(), `${newId()}@x.example`);
      await copy.ensure(ann);
      const told = (version: number, roles: readonly string[]) => ({
        email: ann.email,
        version,
        roles,
        attributes: {},
      });
      expect(copy.take(told(5, []))).toBe(false);
      expect(copy.take(told(4, ["owner"]))).toBe(false);
      expect(copy.current().roles).toEqual([]);
    }));

  it("is not kept from noting a person's new groups by the steady use of an access token", () =>
    withCopy(async (copy, asked, clock) => {
      const [subjectId, email] = [newId(), `${newId()}@x.example`];
      const person = identity(subjectId, email, ["one"]);
      const token = { ...identity(newId(), email), token: { id: newId(), ownerId: subjectId, roles: [] } };
      await copy.ensure(person);
      clock.ms += 60_000;
      expect(copy.isDue("token")).toBe(true);
      expect(await copy.compare(token)).toBe(false);
      expect(asked).toEqual(["know", "read"]);
      expect(copy.isDue("token")).toBe(false);
      expect(copy.isDue()).toBe(true);
      expect(await copy.compare({ ...person, groups: [] })).toBe(true);
      expect(await members.subjectsOf(email)).toMatchObject([{ subjectId, groups: [] }]);
    }));

  it("changes of groups are noted for the owner's tokens", () =>
    withCopy(async (copy, _asked, clock) => {
      const [subjectId, email] = [newId(), `${newId()}@x.example`];
      await copy.ensure(identity(subjectId, email, ["one"]));
      clock.ms += 60_000;
      expect(await copy.compare(identity(subjectId, email, ["two"]))).toBe(true);
      expect(await members.subjectsOf(email)).toMatchObject([{ subjectId, groups: ["two"] }]);
    }));
});

describe("when the members table does not answer", () => {
  it("somebody new is let in to nothing, and somebody known goes on", async () => {
    const known = await tokenOf("analyst");
    await callTool(known, "describe", {});
    await env.GATEHOUSE_DB.prepare("ALTER TABLE subject RENAME TO subject_away").run();
    try {
      const fresh = await tokenOf("support");
      expect((await callTool(fresh, "describe", {})).wire).toContain("The list of members does not answer");
      expect((await callTool(known, "describe", {})).wire).toContain("shop.customers");
    } finally {
      await env.GATEHOUSE_DB.prepare("ALTER TABLE subject_away RENAME TO subject").run();
    }
  });
});
