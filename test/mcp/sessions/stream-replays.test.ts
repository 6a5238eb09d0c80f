// Answers that a session's stream delivers again: only under the grants that produced them, and always with an audit record.
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { createConnections } from "../../../src/oauth/connections.ts";
import { newId } from "../../../src/lib/ids.ts";
import { openPauseStore } from "../../../src/members/pause-store.ts";
import { addRole, removeMember, removeRole, setAttributes } from "../../../src/members/member-statements.ts";
import type { SqlStatement } from "../../../src/members/member-statements.ts";
import { personAt } from "../../support/browser.ts";
import { ledgerOf, members, roleChanges, subjectIdOf } from "../../support/members.ts";
import { SECRETS, seedShop } from "../../support/seed.ts";
import { ACCEPT, ORIGIN, RESOURCE, openSession, post, send, tokenOf } from "../../support/worker.ts";

const GUEST = "guest@harbor.example";
const by = { by: "owner@harbor.example", nowMs: 1_000 };
const VERSION = "2025-11-25";

interface User {
  readonly token: string;
  readonly subjectId: string;
}

interface Streamed extends User {
  readonly session: string;
  /** The stream's text when it was first delivered. */
  readonly first: string;
  /** The Last-Event-ID to resume after: the stream's start. */
  readonly from: string;
}

let guest: User;

beforeAll(async () => {
  await seedShop();
  guest = { token: await tokenOf("guest"), subjectId: await subjectIdOf(GUEST) };
});

afterEach(async () => change(removeMember(GUEST, by)));

async function change(...changes: readonly SqlStatement[]): Promise<void> {
  for (const statement of changes) await members.applyChange(statement);
  await roleChanges().propagate();
}

const asSupport = (region: string): readonly SqlStatement[] => [
  addRole(GUEST, "support", by),
  setAttributes(GUEST, { region }, by),
];

const QUERY = { name: "query", arguments: { source: "shop", sql: "SELECT id, email FROM customers ORDER BY id" } };

/** Calls a tool while another query of the same subject holds the source, so that the answer becomes a stream. */
async function callOnStream(user: User, params: object = QUERY): Promise<Streamed> {
  return postOnStream(user, VERSION, { jsonrpc: "2.0", id: 7, method: "tools/call", params });
}

async function postOnStream(user: User, version: string, body: object): Promise<Streamed> {
  const { token, subjectId } = user;
  const session = await openSession(token, version);
  const holder = { call: newId(), subjectId, owner: null, clientId: "c", operation: "hold", asked: "" };
  const ledger = ledgerOf(subjectId);
  await ledger.begin(holder, { subjectId, email: GUEST, groups: [] }, 0, "shop");
  const response = await post(token, body, { "mcp-session-id": session, "mcp-protocol-version": version });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  await ledger.release(holder.call);
  const first = await response.text();
  return { ...user, session, first, from: "1-0" };
}

async function resume({ token, session, from }: Streamed): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, accept: ACCEPT, "mcp-session-id": session };
  return send(RESOURCE, { headers: { ...headers, "last-event-id": from } });
}

function parseMessages(text: string): readonly Record<string, unknown>[] {
  return [...text.matchAll(/^data: (.+)$/gm)].map(([, data = ""]) => JSON.parse(data));
}

async function listReplayRecords(subjectId: string) {
  const records = (await ledgerOf(subjectId).listRecords(0, 1000)).map(({ body }) => JSON.parse(body));
  return records.filter((record) => record.attempt.operation === "replay");
}

/** Resumes the stream; returns its text, its messages and the audit records of this replay. */
async function replay(streamed: Streamed) {
  const recordsBefore = (await listReplayRecords(streamed.subjectId)).length;
  const text = await (await resume(streamed)).text();
  const records = (await listReplayRecords(streamed.subjectId)).slice(recordsBefore);
  return { text, messages: parseMessages(text), records };
}

const withheld = { id: 7, error: { message: expect.stringMatching(/permissions have changed.*call the tool again/i) } };

describe("an answer on a resumed stream", () => {
  it("is delivered again unchanged under the same grants, with an audit record that names the original call", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await callOnStream(guest);
    expect(streamed.first).toContain("n…@north.example");
    const { text, records } = await replay(streamed);
    expect(text).toBe(streamed.first);
    const queryRecord = (await ledgerOf(guest.subjectId).listRecords(0, 1000))
      .map(({ body }) => JSON.parse(body))
      .findLast((record) => record.attempt.operation === "query");
    expect(records).toMatchObject([{ outcome: { result: "answered", roles: ["analyst"] } }]);
    expect(records[0].attempt.asked).toContain(queryRecord.attempt.call);
  });

  it.each([
    { kind: "user", target: GUEST },
    { kind: "source", target: "shop" },
  ] as const)("is withheld while its $kind is paused, and delivered again after the pause", async (target) => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await callOnStream(guest);
    const pause = async (isPaused: boolean): Promise<void> => {
      const request = { ...target, subjectIds: [], reason: "", untilMs: null, isPaused, ...by };
      await openPauseStore(env.GATEHOUSE_DB).apply(request);
      await send(`${ORIGIN}/api/upkeep`, { method: "POST" });
    };
    await pause(true);
    const { text, messages } = await replay(streamed);
    expect(messages.at(-1)).toMatchObject({ id: 7, error: { code: -32_000 } });
    expect(text).not.toContain("north.example");
    await pause(false);
    expect((await replay(streamed)).text).toBe(streamed.first);
  });

  it("does not reveal on the wire the grants that produced it", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await callOnStream(guest);
    const digests = await runInDurableObject(
      env.SESSION.get(env.SESSION.idFromString(streamed.session)),
      (_object, { storage }) => JSON.stringify(storage.sql.exec("SELECT grants FROM event").toArray()),
    );
    const [digest = "none"] = /[0-9a-f]{64}/.exec(digests) ?? [];
    expect(digest).toHaveLength(64);
    for (const text of [streamed.first, (await replay(streamed)).text]) {
      expect(text).not.toContain(digest);
      expect(text).not.toContain("grants");
    }
  });

  const grantChanges: readonly (readonly [string, readonly SqlStatement[], readonly SqlStatement[]])[] = [
    ["the role was removed", [addRole(GUEST, "analyst", by)], [removeRole(GUEST, "analyst", by)]],
    [
      "the role was replaced by another",
      [addRole(GUEST, "owner", by)],
      [removeRole(GUEST, "owner", by), addRole(GUEST, "analyst", by)],
    ],
    ["a role was added", [...asSupport("south")], [addRole(GUEST, "analyst", by)]],
    ["an attribute changed", asSupport("south"), [setAttributes(GUEST, { region: "north" }, by)]],
    ["an attribute was removed", asSupport("south"), [setAttributes(GUEST, { region: null }, by)]],
    ["the member was removed", asSupport("south"), [removeMember(GUEST, by)]],
  ];
  it.each(grantChanges)("is replaced by an error and recorded as denied when %s", async (_change, initial, changes) => {
    await change(...initial);
    const streamed = await callOnStream(guest);
    expect(streamed.first).toMatch(/@(?:north|south)\.example/);
    await change(...changes);
    const { text, messages, records } = await replay(streamed);
    expect(messages).toMatchObject([withheld]);
    expect(text).not.toMatch(/@(?:north|south)\.example/);
    expect(text).not.toContain(SECRETS.southEmail);
    expect(records).toMatchObject([
      { outcome: { result: "denied", code: "not_allowed", denials: ["replay: grants_changed"], rows: 0 } },
    ]);
  });

  it("is delivered again when the removed role was restored", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await callOnStream(guest);
    await change(removeRole(GUEST, "analyst", by));
    expect((await replay(streamed)).messages).toMatchObject([withheld]);
    await change(addRole(GUEST, "analyst", by));
    const { text, records } = await replay(streamed);
    expect(text).toBe(streamed.first);
    expect(records).toMatchObject([{ outcome: { result: "answered" } }]);
  });

  it("is withheld under other grants after its object was evicted", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await callOnStream(guest);
    await evictDurableObject(env.SESSION.get(env.SESSION.idFromString(streamed.session)));
    expect((await replay(streamed)).text).toBe(streamed.first);
    await evictDurableObject(env.SESSION.get(env.SESSION.idFromString(streamed.session)));
    await change(removeRole(GUEST, "analyst", by));
    expect((await replay(streamed)).messages).toMatchObject([withheld]);
  });

  it("is withheld under other grants when it is a refusal by policy", async () => {
    const params = { name: "query", arguments: { source: "shop", sql: "SELECT nothing FROM customers" } };
    await change(addRole(GUEST, "analyst", by));
    const streamed = await callOnStream(guest, params);
    expect(streamed.first).toContain("query_failed");
    await change(removeRole(GUEST, "analyst", by));
    const { text, messages } = await replay(streamed);
    expect(messages).toMatchObject([withheld]);
    expect(text).not.toContain("query_failed");
  });

  it("is withheld when it was stored by a version that stored no grants", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await callOnStream(guest);
    const object = env.SESSION.get(env.SESSION.idFromString(streamed.session));
    await runInDurableObject(object, (_object, { storage }) => {
      storage.sql.exec("ALTER TABLE event DROP COLUMN grants; DROP TABLE layout");
    });
    await evictDurableObject(object);
    const { messages, records } = await replay(streamed);
    expect(messages).toMatchObject([{ id: 7, error: { message: expect.stringContaining("Call the tool again") } }]);
    expect(records).toMatchObject([{ outcome: { result: "denied", denials: ["replay: grants_unknown"] } }]);
  });

  it("is replaced by an error for its request when the replay cannot be recorded", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await callOnStream(guest);
    const setLedgerFull = (isFull: boolean) =>
      runInDurableObject(ledgerOf(guest.subjectId), (_object, { storage }) => {
        storage.sql.exec("UPDATE head SET bytes = bytes + ?", isFull ? 1e12 : -1e12);
      });
    await setLedgerFull(true);
    const { messages, records } = await replay(streamed);
    await setLedgerFull(false);
    expect(messages).toMatchObject([{ id: 7, error: { message: expect.stringContaining("Call the tool again") } }]);
    expect(records).toEqual([]);
    expect((await replay(streamed)).text).toBe(streamed.first);
  });

  it("is not found when its grant was revoked", async () => {
    await change(addRole(GUEST, "analyst", by));
    const token = await tokenOf("guest");
    const streamed = await callOnStream({ token, subjectId: guest.subjectId });
    const [subjectId = "", grantId = ""] = token.split(":");
    await createConnections(env.GRANT).end(subjectId, grantId);
    const response = await resume(streamed);
    expect([401, 404]).toContain(response.status);
    expect(await response.text()).not.toContain("@north.example");
  });

  it("follows the owner's roles under a personal access token and is not found once that is deleted", async () => {
    await change(addRole(GUEST, "analyst", by));
    const person = await personAt(GUEST);
    const { body } = await person.api("POST", "/tokens", { name: "t", roles: ["analyst"], days: 1 });
    const id = String(body["id"]);
    // Calls with a personal access token queue behind the owner's calls, in the owner's ledger.
    const streamed = await callOnStream({ token: String(body["token"]), subjectId: guest.subjectId });
    expect((await replay(streamed)).text).toBe(streamed.first);
    await change(removeRole(GUEST, "analyst", by));
    expect((await replay(streamed)).messages).toMatchObject([withheld]);
    await change(addRole(GUEST, "analyst", by));
    expect((await replay(streamed)).text).toBe(streamed.first);
    await person.api("DELETE", `/tokens/${id}`);
    const response = await resume(streamed);
    expect(response.status).toBe(401);
    expect(await response.text()).not.toContain("@north.example");
  });
});

describe("a batch on a resumed stream", () => {
  const requests: readonly (readonly [string, object])[] = [
    ["tools/list", {}],
    ["ping", {}],
    ["resources/list", {}],
    ["resources/read", { uri: "gatehouse://dataset/shop/customers" }],
    ["prompts/get", { name: "explain-dataset", arguments: { dataset: "shop.customers" } }],
    [
      "completion/complete",
      { ref: { type: "ref/prompt", name: "explain-dataset" }, argument: { name: "dataset", value: "shop" } },
    ],
    ["tools/call", { name: "search", arguments: { query: "customers" } }],
    ["tools/call", { name: "describe", arguments: {} }],
    ["tools/call", { name: "fetch", arguments: { id: "shop.customers/1" } }],
    ["tools/call", QUERY],
  ];
  const batch = requests.map(([method, params], id) => ({ jsonrpc: "2.0", id, method, params }));
  const byId = (messages: readonly Record<string, unknown>[]) =>
    messages.toSorted((left, right) => Number(left["id"]) - Number(right["id"]));

  it("delivers data-free answers and replaces every governed answer by an error with its id", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await postOnStream(guest, "2025-03-26", batch);
    const first = byId(parseMessages(streamed.first));
    expect(first).toHaveLength(batch.length);
    expect(byId((await replay(streamed)).messages)).toEqual(first);
    await change(removeRole(GUEST, "analyst", by));
    const { text, messages, records } = await replay(streamed);
    const again = byId(messages);
    expect(again.slice(0, 2)).toEqual(first.slice(0, 2));
    expect(again.slice(2)).toMatchObject(batch.slice(2).map(({ id }) => ({ ...withheld, id })));
    expect(text).not.toMatch(/shop\.customers|shop\/customers|@north/);
    // All answers under the same grants share one decision, whose record names every call.
    expect(records).toHaveLength(1);
    expect(records[0].attempt.asked.split(", ")).toHaveLength(batch.length - 2);
  });
});

describe("a resumed stream of notifications", () => {
  it("delivers list changes, but no log messages and no updates of resources that the user may not read", async () => {
    const session = await openSession(guest.token, VERSION);
    const object = env.SESSION.get(env.SESSION.idFromString(session));
    const notify = (method: string, params: object) =>
      object.notify(JSON.stringify({ jsonrpc: "2.0", method, params }));
    await notify("notifications/resources/updated", { uri: "gatehouse://dataset/shop/refunds" });
    await notify("notifications/message", { level: "info", data: "a secret of the log" });
    await notify("notifications/resources/list_changed", {});
    const response = await resume({ ...guest, session, first: "", from: "0-0" });
    let text = "";
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    while (!text.includes("list_changed")) text += (await reader?.read())?.value ?? "";
    await reader?.cancel();
    expect(text).not.toMatch(/refunds|secret/);
    expect(parseMessages(text)).toMatchObject([{ method: "notifications/resources/list_changed" }]);
  });
});
