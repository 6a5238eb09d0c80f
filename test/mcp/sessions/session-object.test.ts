// 2025-era sessions over HTTP: their lifecycle, their owner, and eviction from memory.
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { readJson } from "../../support/oauth.ts";
import { RESOURCE, initialize, openSession, post, send, tokenOf } from "../../support/worker.ts";

let analyst = "";
let owner = "";

beforeAll(async () => {
  [analyst, owner] = await Promise.all([tokenOf("analyst"), tokenOf("owner")]);
});

const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };
const inSession = (id: string, version = "2025-11-25") => ({ "mcp-session-id": id, "mcp-protocol-version": version });
const objectOf = (id: string) => env.SESSION.get(env.SESSION.idFromString(id));

/** Makes the session look unused for years, and evicts the object so that it reads that time. */
async function makeUnused(object: ReturnType<typeof objectOf>): Promise<void> {
  await runInDurableObject(object, (_instance, state) => void state.storage.sql.exec("UPDATE session SET used_ms = 0"));
  await evictDurableObject(object);
}

async function end(token: string, id: string): Promise<Response> {
  return send(RESOURCE, { method: "DELETE", headers: { authorization: `Bearer ${token}`, "mcp-session-id": id } });
}

describe("a session", () => {
  it.each(["2025-03-26", "2025-06-18", "2025-11-25"])("opens at revision %s and answers with JSON", async (version) => {
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
      result: { tools: [{ name: "search" }, {}, {}, {}, {}, {}] },
    });
  });

  it("continues when its object was evicted", async () => {
    const id = await openSession(analyst);
    await evictDurableObject(objectOf(id));
    expect((await post(analyst, list, inSession(id))).status).toBe(200);
  });

  it("answers 404 and has empty storage after DELETE, in 1,000 runs", async () => {
    const endOne = async (): Promise<readonly unknown[]> => {
      const id = await openSession(analyst);
      const statuses = [
        (await end(analyst, id)).status,
        (await post(analyst, list, inSession(id))).status,
        (await end(analyst, id)).status,
      ];
      const tables = await runInDurableObject(objectOf(id), (_instance, { storage }) =>
        storage.sql.exec("SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'").toArray(),
      );
      return [...statuses, ...tables];
    };
    for (let count = 0; count < 1000; count += 50) {
      const outcomes = await Promise.all(Array.from({ length: 50 }, endOne));
      expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome)))).toEqual(new Set(["[202,404,404]"]));
    }
  }, 180_000);

  it("answers 404 to another user and cannot be ended by that user", async () => {
    const id = await openSession(analyst);
    expect((await post(owner, list, inSession(id))).status).toBe(404);
    expect((await end(owner, id)).status).toBe(404);
    expect((await post(analyst, list, inSession(id))).status).toBe(200);
  });

  it.each(["nonsense", "0".repeat(64), "a".repeat(64), "", "../x"])("answers 404 for the forged id %j", async (id) => {
    expect((await post(analyst, list, inSession(id))).status).toBe(404);
  });

  it("answers 404 for an id that was never opened and stores nothing", async () => {
    const id = env.SESSION.newUniqueId().toString();
    expect((await post(analyst, list, inSession(id))).status).toBe(404);
    const tables = await runInDurableObject(objectOf(id), (_instance, state) =>
      state.storage.sql.exec("SELECT count(*) AS n FROM sqlite_schema").one(),
    );
    expect(tables).toEqual({ n: 0 });
  });

  it("expires when it was not used and continues when it was used", async () => {
    const id = await openSession(analyst);
    const object = objectOf(id);
    expect(await runDurableObjectAlarm(object)).toBe(true);
    expect((await post(analyst, list, inSession(id))).status).toBe(200);
    await makeUnused(object);
    expect(await runDurableObjectAlarm(object)).toBe(true);
    expect((await post(analyst, list, inSession(id))).status).toBe(404);
  });

  it("does not expire when it was used again before the alarm", async () => {
    const id = await openSession(analyst);
    const object = objectOf(id);
    await makeUnused(object);
    await post(analyst, list, inSession(id));
    await runDurableObjectAlarm(object);
    expect((await post(analyst, list, inSession(id))).status).toBe(200);
  });

  it("refuses a second initialize, and two requests with the same id in a batch", async () => {
    const id = await openSession(analyst, "2025-03-26");
    expect((await post(analyst, [list, list], inSession(id, "2025-03-26"))).status).toBe(400);
    const again = await post(analyst, [initialize("2025-03-26", 7), list], inSession(id, "2025-03-26"));
    expect(again.status).toBe(400);
  });

  it("accepts batches at revision 2025-03-26 and refuses them from 2025-06-18 on", async () => {
    const batch = [list, { jsonrpc: "2.0", id: "p", method: "ping" }];
    const withBatches = await openSession(analyst, "2025-03-26");
    expect(await (await post(analyst, batch, inSession(withBatches, "2025-03-26"))).json()).toMatchObject([
      { id: 2 },
      { id: "p", result: {} },
    ]);
    const withoutBatches = await openSession(analyst, "2025-06-18");
    expect((await post(analyst, batch, inSession(withoutBatches, "2025-06-18"))).status).toBe(400);
  });

  it("answers a cancelled request with an error, so that the client does not wait forever", async () => {
    const id = await openSession(analyst, "2025-03-26");
    const call = { jsonrpc: "2.0", id: 9, method: "tools/call", params: { name: "describe", arguments: {} } };
    const cancel = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 9 } };
    const answer = await (await post(analyst, [call, cancel], inSession(id, "2025-03-26"))).json();
    expect(answer).toMatchObject([{ id: 9, error: { message: "The request was cancelled." } }]);
  });

  it.each([
    ["no id", { jsonrpc: "2.0", method: "initialize", params: {} }],
    ["no parameters", { jsonrpc: "2.0", id: 1, method: "initialize" }],
  ])("refuses an initialize with %s as an invalid request", async (_name, body) => {
    const response = await post(analyst, body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: -32600 } });
  });

  it("is not created when initialize fails", async () => {
    const response = await post(analyst, {
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: 5 },
    });
    expect(response.headers.get("mcp-session-id")).toBeNull();
  });
});
