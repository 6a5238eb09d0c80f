// 2025-era sessions over HTTP: their life, whose they are, and what they survive.
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { readJson } from "../support/oauth.ts";
import { RESOURCE, initialize, openSession, post, send, tokenOf } from "../support/worker.ts";

let analyst = "";
let owner = "";

beforeAll(async () => {
  [analyst, owner] = await Promise.all([tokenOf("analyst"), tokenOf("owner")]);
});

const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };
const inSession = (id: string, version = "2025-11-25") => ({ "mcp-session-id": id, "mcp-protocol-version": version });
const objectOf = (id: string) => env.SESSION.get(env.SESSION.idFromString(id));

/** As if nobody had used the session for years. The object reads it again. */
async function makeUnused(object: ReturnType<typeof objectOf>): Promise<void> {
  await runInDurableObject(object, (_instance, state) => void state.storage.sql.exec("UPDATE session SET used_ms = 0"));
  await evictDurableObject(object);
}

async function end(token: string, id: string): Promise<Response> {
  return send(RESOURCE, { method: "DELETE", headers: { authorization: `Bearer ${token}`, "mcp-session-id": id } });
}

describe("a session", () => {
  it.each(["2025-03-26", "2025-06-18", "2025-11-25"])("opens at revision %s and answers as JSON", async (version) => {
    const response = await post(analyst, initialize(version));
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(await response.clone().json()).toMatchObject({
      id: 1,
      result: { protocolVersion: version, serverInfo: { name: "gatehouse" } },
    });
    const id = response.headers.get("mcp-session-id") ?? "";
    const notified = await post(
      analyst,
      { jsonrpc: "2.0", method: "notifications/initialized" },
      inSession(id, version),
    );
    expect(notified.status).toBe(202);
    expect(await readJson(await post(analyst, list, inSession(id, version)))).toMatchObject({
      id: 2,
      result: { tools: [{ name: "search" }, {}, {}, {}] },
    });
  });

  it("goes on after its object was evicted", async () => {
    const id = await openSession(analyst);
    await evictDurableObject(objectOf(id));
    expect((await post(analyst, list, inSession(id))).status).toBe(200);
  });

  it("ends by DELETE and is then 404, with nothing left in its storage, a thousand times", async () => {
    const endOne = async (): Promise<readonly unknown[]> => {
      const id = await openSession(analyst);
      const statuses = [
        (await end(analyst, id)).status,
        (await post(analyst, list, inSession(id))).status,
        (await end(analyst, id)).status,
      ];
      const left = await runInDurableObject(objectOf(id), (_instance, { storage }) =>
        storage.sql.exec("SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'").toArray(),
      );
      return [...statuses, ...left];
    };
    for (let count = 0; count < 1000; count += 50) {
      const ended = await Promise.all(Array.from({ length: 50 }, endOne));
      expect(new Set(ended.map((one) => JSON.stringify(one)))).toEqual(new Set(["[202,404,404]"]));
    }
  }, 180_000);

  it("is 404 for somebody else, who cannot end it either", async () => {
    const id = await openSession(analyst);
    expect((await post(owner, list, inSession(id))).status).toBe(404);
    expect((await end(owner, id)).status).toBe(404);
    expect((await post(analyst, list, inSession(id))).status).toBe(200);
  });

  it.each(["nonsense", "0".repeat(64), "a".repeat(64), "", "../x"])("is 404 for the forged id %j", async (id) => {
    expect((await post(analyst, list, inSession(id))).status).toBe(404);
  });

  it("is 404 for an id that was never opened, and asking stores nothing", async () => {
    const id = env.SESSION.newUniqueId().toString();
    expect((await post(analyst, list, inSession(id))).status).toBe(404);
    const tables = await runInDurableObject(objectOf(id), (_instance, state) =>
      state.storage.sql.exec("SELECT count(*) AS n FROM sqlite_schema").one(),
    );
    expect(tables).toEqual({ n: 0 });
  });

  it("expires when it was not used, and lives on when it was", async () => {
    const id = await openSession(analyst);
    const object = objectOf(id);
    expect(await runDurableObjectAlarm(object)).toBe(true);
    expect((await post(analyst, list, inSession(id))).status).toBe(200);
    await makeUnused(object);
    expect(await runDurableObjectAlarm(object)).toBe(true);
    expect((await post(analyst, list, inSession(id))).status).toBe(404);
  });

  it("using it puts off its end", async () => {
    const id = await openSession(analyst);
    const object = objectOf(id);
    await makeUnused(object);
    await post(analyst, list, inSession(id));
    await runDurableObjectAlarm(object);
    expect((await post(analyst, list, inSession(id))).status).toBe(200);
  });

  it("refuses a second initialize and two requests of one id in a batch", async () => {
    const id = await openSession(analyst, "2025-03-26");
    expect((await post(analyst, [list, list], inSession(id, "2025-03-26"))).status).toBe(400);
    const again = await post(analyst, [initialize("2025-03-26", 7), list], inSession(id, "2025-03-26"));
    expect(again.status).toBe(400);
  });

  it("takes batches before 2025-06-18 and refuses them from then on", async () => {
    const batch = [list, { jsonrpc: "2.0", id: "p", method: "ping" }];
    const old = await openSession(analyst, "2025-03-26");
    expect(await (await post(analyst, batch, inSession(old, "2025-03-26"))).json()).toMatchObject([
      { id: 2 },
      { id: "p", result: {} },
    ]);
    const recent = await openSession(analyst, "2025-06-18");
    expect((await post(analyst, batch, inSession(recent, "2025-06-18"))).status).toBe(400);
  });

  it("a cancelled request is answered, so that nothing waits for ever", async () => {
    const id = await openSession(analyst, "2025-03-26");
    const call = { jsonrpc: "2.0", id: 9, method: "tools/call", params: { name: "describe", arguments: {} } };
    const cancel = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 9 } };
    const answer = await (await post(analyst, [call, cancel], inSession(id, "2025-03-26"))).json();
    expect(answer).toMatchObject([{ id: 9, error: { message: "The request was cancelled." } }]);
  });

  it.each([
    ["no id", { jsonrpc: "2.0", method: "initialize", params: {} }],
    ["no parameters", { jsonrpc: "2.0", id: 1, method: "initialize" }],
  ])("an initialize with %s is refused as what it is", async (_name, body) => {
    const response = await post(analyst, body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: -32600 } });
  });

  it("keeps no session when initialize fails", async () => {
    const response = await post(analyst, {
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: 5 },
    });
    expect(response.headers.get("mcp-session-id")).toBeNull();
  });
});
