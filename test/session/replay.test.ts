// Answers that a session's stream delivers again: only under the grants under which they were made, and never unrecorded.
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { createConnections } from "../../src/auth/connections.ts";
import { newId } from "../../src/lib/ids.ts";
import { addRole, removeMember, removeRole, setAttributes } from "../../src/storage/member-statements.ts";
import type { Change } from "../../src/storage/member-statements.ts";
import { personAt } from "../support/browser.ts";
import { ledgerOf, members, roleChanges, subjectIdOf } from "../support/members.ts";
import { SECRETS, seedShop } from "../support/seed.ts";
import { ACCEPT, RESOURCE, openSession, post, send, tokenOf } from "../support/worker.ts";

const GUEST = "guest@harbor.example";
const by = { by: "owner@harbor.example", nowMs: 1_000 };
const VERSION = "2025-11-25";

interface Asker {
  readonly token: string;
  readonly subjectId: string;
}

interface Streamed extends Asker {
  readonly session: string;
  /** The stream as it was first delivered. */
  readonly first: string;
  /** The id of the event to go on after: the stream's start. */
  readonly from: string;
}

let guest: Asker;

beforeAll(async () => {
  await seedShop();
  guest = { token: await tokenOf("guest"), subjectId: await subjectIdOf(GUEST) };
});

afterEach(async () => change(removeMember(GUEST, by)));

async function change(...changes: readonly Change[]): Promise<void> {
  for (const one of changes) await members.apply(one);
  await roleChanges().tell();
}

const asSupport = (region: string): readonly Change[] => [
  addRole(GUEST, "support", by),
  setAttributes(GUEST, { region }, by),
];

const QUERY = { name: "query", arguments: { source: "shop", sql: "SELECT id, email FROM customers ORDER BY id" } };

/** Asks while another query of the same subject holds the source, so that the answer becomes a stream. */
async function askOnStream(asker: Asker, params: object = QUERY): Promise<Streamed> {
  return postOnStream(asker, VERSION, { jsonrpc: "2.0", id: 7, method: "tools/call", params });
}

async function postOnStream(asker: Asker, version: string, body: object): Promise<Streamed> {
  const { token, subjectId } = asker;
  const session = await openSession(token, version);
  const holder = { call: newId(), subjectId, owner: null, clientId: "c", operation: "hold", asked: "" };
  const ledger = ledgerOf(subjectId);
  await ledger.begin(holder, { subjectId, email: GUEST, groups: [] }, 0, "shop");
  const response = await post(token, body, { "mcp-session-id": session, "mcp-protocol-version": version });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  await ledger.release(holder.call);
  const first = await response.text();
  return { ...asker, session, first, from: "1-0" };
}

async function resume({ token, session, from }: Streamed): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, accept: ACCEPT, "mcp-session-id": session };
  return send(RESOURCE, { headers: { ...headers, "last-event-id": from } });
}

function messagesIn(text: string): readonly Record<string, unknown>[] {
  return [...text.matchAll(/^data: (.+)$/gm)].map(([, data = ""]) => JSON.parse(data));
}

async function replaysOf(subjectId: string) {
  const records = (await ledgerOf(subjectId).records(0, 1000)).map(({ body }) => JSON.parse(body));
  return records.filter((one) => one.attempt.operation === "replay");
}

/** What was delivered again, and what the record says of it. */
async function replayed(streamed: Streamed) {
  const before = (await replaysOf(streamed.subjectId)).length;
  const text = await (await resume(streamed)).text();
  return { text, messages: messagesIn(text), records: (await replaysOf(streamed.subjectId)).slice(before) };
}

const withheld = { id: 7, error: { message: expect.stringMatching(/permissions have changed.*call the tool again/i) } };

describe("an answer on a stream that is resumed", () => {
  it("is delivered again under the same grants, word for word, and recorded with the call that made it", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await askOnStream(guest);
    expect(streamed.first).toContain("n…@north.example");
    const { text, records } = await replayed(streamed);
    expect(text).toBe(streamed.first);
    const made = (await ledgerOf(guest.subjectId).records(0, 1000))
      .map(({ body }) => JSON.parse(body))
      .findLast((one) => one.attempt.operation === "query");
    expect(records).toMatchObject([{ outcome: { result: "answered", roles: ["analyst"] } }]);
    expect(records[0].attempt.asked).toContain(made.attempt.call);
  });

  it("holds nothing on the wire of the grants under which it was made", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await askOnStream(guest);
    const digests = await runInDurableObject(
      env.SESSION.get(env.SESSION.idFromString(streamed.session)),
      (_object, { storage }) => JSON.stringify(storage.sql.exec("SELECT grants FROM event").toArray()),
    );
    const [digest = "none"] = /[0-9a-f]{64}/.exec(digests) ?? [];
    expect(digest).toHaveLength(64);
    for (const text of [streamed.first, (await replayed(streamed)).text]) {
      expect(text).not.toContain(digest);
      expect(text).not.toContain("grants");
    }
  });

  const lost: readonly (readonly [string, readonly Change[], readonly Change[]])[] = [
    ["the role was removed", [addRole(GUEST, "analyst", by)], [removeRole(GUEST, "analyst", by)]],
    [
      "another role took its place",
      [addRole(GUEST, "owner", by)],
      [removeRole(GUEST, "owner", by), addRole(GUEST, "analyst", by)],
    ],
    ["a role was added", [...asSupport("south")], [addRole(GUEST, "analyst", by)]],
    ["an attribute changed", asSupport("south"), [setAttributes(GUEST, { region: "north" }, by)]],
    ["an attribute went", asSupport("south"), [setAttributes(GUEST, { region: null }, by)]],
    ["the member was removed", asSupport("south"), [removeMember(GUEST, by)]],
  ];
  it.each(lost)("is withheld with an error for its request when %s, and that is recorded", async (_what, has, then) => {
    await change(...has);
    const streamed = await askOnStream(guest);
    expect(streamed.first).toMatch(/@(?:north|south)\.example/);
    await change(...then);
    const { text, messages, records } = await replayed(streamed);
    expect(messages).toMatchObject([withheld]);
    expect(text).not.toMatch(/@(?:north|south)\.example/);
    expect(text).not.toContain(SECRETS.southEmail);
    expect(records).toMatchObject([
      { outcome: { result: "denied", code: "not_allowed", denials: ["replay: grants_changed"], rows: 0 } },
    ]);
  });

  it("is delivered again once the same role was given again", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await askOnStream(guest);
    await change(removeRole(GUEST, "analyst", by));
    expect((await replayed(streamed)).messages).toMatchObject([withheld]);
    await change(addRole(GUEST, "analyst", by));
    const { text, records } = await replayed(streamed);
    expect(text).toBe(streamed.first);
    expect(records).toMatchObject([{ outcome: { result: "answered" } }]);
  });

  it("is withheld after its object was evicted, too", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await askOnStream(guest);
    await evictDurableObject(env.SESSION.get(env.SESSION.idFromString(streamed.session)));
    expect((await replayed(streamed)).text).toBe(streamed.first);
    await evictDurableObject(env.SESSION.get(env.SESSION.idFromString(streamed.session)));
    await change(removeRole(GUEST, "analyst", by));
    expect((await replayed(streamed)).messages).toMatchObject([withheld]);
  });

  it("that a refusal of the policy made is withheld when the grants changed", async () => {
    const params = { name: "query", arguments: { source: "shop", sql: "SELECT nothing FROM customers" } };
    await change(addRole(GUEST, "analyst", by));
    const streamed = await askOnStream(guest, params);
    expect(streamed.first).toContain("query_failed");
    await change(removeRole(GUEST, "analyst", by));
    const { text, messages } = await replayed(streamed);
    expect(messages).toMatchObject([withheld]);
    expect(text).not.toContain("query_failed");
  });

  it("that was stored before grants were, is withheld", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await askOnStream(guest);
    const object = env.SESSION.get(env.SESSION.idFromString(streamed.session));
    await runInDurableObject(object, (_object, { storage }) => {
      storage.sql.exec("ALTER TABLE event DROP COLUMN grants");
    });
    await evictDurableObject(object);
    const { messages, records } = await replayed(streamed);
    expect(messages).toMatchObject([{ id: 7, error: { message: expect.stringContaining("call the tool again") } }]);
    expect(records).toMatchObject([{ outcome: { result: "denied", denials: ["replay: grants_unknown"] } }]);
  });

  it("is withheld when it cannot be recorded, and names the request", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await askOnStream(guest);
    const full = (isFull: boolean) =>
      runInDurableObject(ledgerOf(guest.subjectId), (_object, { storage }) => {
        storage.sql.exec("UPDATE head SET bytes = bytes + ?", isFull ? 1e12 : -1e12);
      });
    await full(true);
    const { messages, records } = await replayed(streamed);
    await full(false);
    expect(messages).toMatchObject([{ id: 7, error: { message: expect.stringContaining("call the tool again") } }]);
    expect(records).toEqual([]);
    expect((await replayed(streamed)).text).toBe(streamed.first);
  });

  it("is not found once its connection was revoked", async () => {
    await change(addRole(GUEST, "analyst", by));
    const token = await tokenOf("guest");
    const streamed = await askOnStream({ token, subjectId: guest.subjectId });
    const [subjectId = "", grantId = ""] = token.split(":");
    await createConnections(env.GRANT).end(subjectId, grantId);
    const response = await resume(streamed);
    expect([401, 404]).toContain(response.status);
    expect(await response.text()).not.toContain("@north.example");
  });

  it("under an access token follows the roles of its owner, and is gone with the token", async () => {
    await change(addRole(GUEST, "analyst", by));
    const person = await personAt(GUEST);
    const { body } = await person.api("POST", "/tokens", { name: "t", roles: ["analyst"], days: 1 });
    const id = String(body["id"]);
    // A token's calls wait for those of its owner, in the owner's ledger.
    const streamed = await askOnStream({ token: String(body["token"]), subjectId: guest.subjectId });
    expect((await replayed(streamed)).text).toBe(streamed.first);
    await change(removeRole(GUEST, "analyst", by));
    expect((await replayed(streamed)).messages).toMatchObject([withheld]);
    await change(addRole(GUEST, "analyst", by));
    expect((await replayed(streamed)).text).toBe(streamed.first);
    await person.api("DELETE", `/tokens/${id}`);
    const response = await resume(streamed);
    expect(response.status).toBe(401);
    expect(await response.text()).not.toContain("@north.example");
  });
});

describe("a batch that is resumed", () => {
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
    messages.toSorted((one, other) => Number(one["id"]) - Number(other["id"]));

  it("delivers what holds no data, and withholds every answer that grants decided, each under its own id", async () => {
    await change(addRole(GUEST, "analyst", by));
    const streamed = await postOnStream(guest, "2025-03-26", batch);
    const first = byId(messagesIn(streamed.first));
    expect(first).toHaveLength(batch.length);
    expect(byId((await replayed(streamed)).messages)).toEqual(first);
    await change(removeRole(GUEST, "analyst", by));
    const { text, messages, records } = await replayed(streamed);
    const again = byId(messages);
    expect(again.slice(0, 2)).toEqual(first.slice(0, 2));
    expect(again.slice(2)).toMatchObject(batch.slice(2).map(({ id }) => ({ ...withheld, id })));
    expect(text).not.toMatch(/shop\.customers|shop\/customers|@north/);
    // One decision for all that was made under the same grants, which names every call.
    expect(records).toHaveLength(1);
    expect(records[0].attempt.asked.split(", ")).toHaveLength(batch.length - 2);
  });
});

describe("the stream of notifications that is resumed", () => {
  it("delivers that lists changed, and nothing of resources that may not be read or that a server logged", async () => {
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
    expect(messagesIn(text)).toMatchObject([{ method: "notifications/resources/list_changed" }]);
  });
});
