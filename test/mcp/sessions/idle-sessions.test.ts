// Sessions that clients never close: at the limit, the session that has been idle longest ends, and a session in use never does.
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { nameSubjectShard } from "../../../src/mcp/subscriptions/hub-protocol.ts";
import { RESOURCE, initialize, openSession, post, send, tokenOf } from "../../support/worker.ts";

const LIMIT = 100;
const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };

let token = "";
let subjectId = "";
let grantId = "";

beforeEach(async () => {
  token = await tokenOf("reviewer");
  [subjectId = "", grantId = ""] = token.split(":");
  // Each test starts without sessions of this user.
  await sql("DELETE FROM session");
});

const shard = () => env.HUB.get(env.HUB.idFromName(nameSubjectShard(subjectId)));
const objectOf = (id: string) => env.SESSION.get(env.SESSION.idFromString(id));
const sql = async (text: string, ...values: (string | number)[]) =>
  runInDurableObject(shard(), (_instance, state) => state.storage.sql.exec(text, ...values).toArray());
const sessionSql = async (id: string, text: string, ...values: (string | number)[]) =>
  runInDurableObject(objectOf(id), (_instance, state) => void state.storage.sql.exec(text, ...values).toArray());
const statusOf = async (id: string, by = token): Promise<number> =>
  (await post(by, list, { "mcp-session-id": id })).status;
const countSessions = async (): Promise<number> => (await sql("SELECT id FROM session")).length;

async function openMany(count: number, by = token): Promise<string[]> {
  const ids: string[] = [];
  for (let opened = 0; opened < count; opened += 1) ids.push(await openSession(by));
  return ids;
}

/** Fills the limit up to `count` free places. The filler sessions always look recently used, so none of them is asked to end. */
async function leaveRoom(count: number): Promise<void> {
  for (let filler = count; filler < LIMIT; filler += 1)
    await sql("INSERT INTO session (id, grant_id, used_ms) VALUES (?, ?, 9e15)", `filler ${filler}`, grantId);
}

/** Sets the session's last use to `idleMs` ago, both in the session and in the hub. */
async function makeIdle(id: string, idleMs: number): Promise<void> {
  const usedMs = Date.now() - idleMs;
  await sessionSql(id, "UPDATE session SET used_ms = ?", usedMs);
  await evictDurableObject(objectOf(id));
  await sql("UPDATE session SET used_ms = ? WHERE id = ?", usedMs, id);
}

async function listen(id: string): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, accept: "text/event-stream", "mcp-session-id": id };
  return send(RESOURCE, { headers });
}

describe("at the limit of open sessions", () => {
  it("ends the session that has been idle longest and tells its client to initialize again", async () => {
    await leaveRoom(5);
    const ids = await openMany(5);
    await makeIdle(ids[3] ?? "", 3_600_000);
    await makeIdle(ids[4] ?? "", 1_800_000);
    const opened = await openSession(token);
    expect(await statusOf(opened)).toBe(200);
    const ended = await post(token, list, { "mcp-session-id": ids[3] });
    expect(ended.status).toBe(404);
    expect(await ended.json()).toMatchObject({ error: { message: expect.stringContaining("initialize again") } });
    expect(await statusOf(ids[4] ?? "")).toBe(200);
    expect(await statusOf(ids[0] ?? "")).toBe(200);
    expect(await countSessions()).toBe(LIMIT);
  }, 60_000);

  it("ends a session of the same grant before one of another grant that has been idle longer", async () => {
    const elsewhere = await tokenOf("reviewer");
    await leaveRoom(3);
    const [idleElsewhere = ""] = await openMany(1, elsewhere);
    const [sameGrant = ""] = await openMany(2);
    await makeIdle(idleElsewhere, 7_200_000);
    await openSession(token);
    expect(await statusOf(sameGrant)).toBe(404);
    expect(await statusOf(idleElsewhere, elsewhere)).toBe(200);
  }, 60_000);

  it("ends a session of another grant when all sessions of the same grant are in use", async () => {
    const elsewhere = await tokenOf("reviewer");
    const idsElsewhere = await openMany(LIMIT - 1, elsewhere);
    const [sameGrant = ""] = await openMany(1);
    await makeIdle(sameGrant, 7_200_000);
    const stream = await listen(sameGrant);
    const opened = await openSession(token);
    expect(await statusOf(sameGrant)).toBe(200);
    expect(await statusOf(opened)).toBe(200);
    expect(await statusOf(idsElsewhere[0] ?? "", elsewhere)).toBe(404);
    await stream.body?.cancel();
  }, 60_000);

  it("does not end a session whose recent use has not been reported to the hub", async () => {
    await leaveRoom(8);
    const ids = await openMany(8);
    // In the hub the first session is the oldest, but the session itself was used just now.
    await sql("UPDATE session SET used_ms = 1 WHERE id = ?", ids[0] ?? "");
    expect(await statusOf(ids[0] ?? "")).toBe(200);
    await openSession(token);
    expect(await statusOf(ids[0] ?? "")).toBe(200);
    expect(await statusOf(ids[1] ?? "")).toBe(404);
  }, 60_000);

  it("opens concurrent sessions without exceeding the limit", async () => {
    await leaveRoom(20);
    const ids = await openMany(20);
    const opened = await Promise.all(Array.from({ length: 12 }, async () => openSession(token)));
    expect(await countSessions()).toBe(LIMIT);
    expect(await Promise.all(opened.map(async (id) => statusOf(id)))).toEqual(opened.map(() => 200));
    const statuses = await Promise.all(ids.map(async (id) => statusOf(id)));
    expect(statuses.filter((status) => status === 404)).toHaveLength(12);
    expect(statuses.slice(12)).toEqual(ids.slice(12).map(() => 200));
  }, 60_000);

  it("skips an unreachable session and frees the place of a session that no longer exists", async () => {
    await leaveRoom(4);
    const ids = await openMany(2);
    await sql("INSERT INTO session (id, grant_id) VALUES ('no session', ?)", grantId);
    await sql("INSERT INTO session (id, grant_id) VALUES (?, ?)", env.SESSION.newUniqueId().toString(), grantId);
    await openSession(token);
    expect(await statusOf(ids[0] ?? "")).toBe(200);
    await openSession(token);
    expect(await statusOf(ids[1] ?? "")).toBe(404);
    expect(await countSessions()).toBe(LIMIT);
  }, 60_000);

  it("finishes ending a session that a crash left half ended", async () => {
    await leaveRoom(8);
    const ids = await openMany(8);
    await sessionSql(ids[7] ?? "", "UPDATE session SET is_ended = 1");
    await makeIdle(ids[7] ?? "", 60_000);
    await openSession(token);
    const tables = await runInDurableObject(objectOf(ids[7] ?? ""), (_instance, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'").toArray(),
    );
    expect(tables).toEqual([]);
    expect(await statusOf(ids[0] ?? "")).toBe(200);
  }, 60_000);

  it("keeps a session with an unanswered question and ends one whose call a restart interrupted", async () => {
    await leaveRoom(8);
    const ids = await openMany(8);
    const call = JSON.stringify({ jsonrpc: "2.0", id: 9, method: "tools/call", params: { name: "ask" } });
    const [asking = "", interrupted = ""] = ids;
    for (const id of [asking, interrupted])
      await sessionSql(id, "INSERT INTO call (stream, request_id, message, caller) VALUES (1, '9', ?, '{}')", call);
    await sessionSql(asking, "INSERT INTO server_request (wire_id, stream, request_id, key) VALUES ('w', 1, '9', 'k')");
    await makeIdle(asking, 7_200_000);
    await makeIdle(interrupted, 3_600_000);
    await openSession(token);
    expect(await countSessions()).toBe(LIMIT);
    const remaining = await sql("SELECT id FROM session WHERE id IN (?, ?)", asking, interrupted);
    expect(remaining).toEqual([{ id: asking }]);
  }, 60_000);

  it("answers 429 when every session has an open stream, and opens a session once a stream closes", async () => {
    const ids = await openMany(LIMIT);
    const streams = await Promise.all(ids.map(listen));
    const refused = await post(token, initialize());
    expect(refused.status).toBe(429);
    // Within that time, the server notices which clients have left.
    expect(refused.headers.get("retry-after")).toBe("15");
    expect(refused.headers.get("mcp-session-id")).toBeNull();
    expect(await Promise.all(ids.map(async (id) => statusOf(id)))).toEqual(ids.map(() => 200));
    await streams[5]?.body?.cancel();
    await openSession(token);
    expect(await statusOf(ids[5] ?? "")).toBe(404);
    for (const stream of streams) await stream.body?.cancel();
  }, 60_000);

  it("sends the time until the first session expires when all sessions wait for answers", async () => {
    const ids = await openMany(LIMIT);
    const call = JSON.stringify({ jsonrpc: "2.0", id: 9, method: "tools/call", params: { name: "ask" } });
    for (const id of ids) {
      await sessionSql(id, "INSERT INTO call (stream, request_id, message, caller) VALUES (1, '9', ?, '{}')", call);
      await sessionSql(id, "INSERT INTO server_request (wire_id, stream, request_id, key) VALUES ('w', 1, '9', 'k')");
    }
    await makeIdle(ids[3] ?? "", 23 * 3_600_000);
    const refused = await post(token, initialize());
    expect(refused.status).toBe(429);
    const seconds = Number(refused.headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(3500);
    expect(seconds).toBeLessThanOrEqual(3600);
  }, 60_000);

  it("sends no Retry-After to a client whose grant was revoked", async () => {
    await runInDurableObject(shard(), async (object) => object.revoke(grantId));
    const refused = await post(token, initialize());
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBeNull();
  });
});

describe("the use of a session in the hub", () => {
  it("is reported at most once a minute", async () => {
    const id = await openSession(token);
    const [opened] = await sql("SELECT used_ms FROM session");
    expect(await statusOf(id)).toBe(200);
    expect(await sql("SELECT used_ms FROM session")).toEqual([opened]);
    await makeIdle(id, 120_000);
    const beforeMs = Date.now();
    expect(await statusOf(id)).toBe(200);
    const readUsedMs = async () => Number((await sql("SELECT used_ms FROM session"))[0]?.["used_ms"]);
    await expect.poll(readUsedMs).toBeGreaterThanOrEqual(beforeMs);
  });

  it("does not bring back an ended session when its report arrives late", async () => {
    const id = await openSession(token);
    await runInDurableObject(shard(), async (object) => {
      await object.removeSession(id);
      await object.reportUse(id, Date.now());
    });
    expect(await countSessions()).toBe(0);
  });

  it("counts as never for sessions in a table of an earlier version", async () => {
    const id = await openSession(token);
    await sql("DROP TABLE session");
    await sql("CREATE TABLE session (id TEXT PRIMARY KEY, grant_id TEXT NOT NULL)");
    await sql("INSERT INTO session (id, grant_id) VALUES (?, ?)", id, grantId);
    await sql("DROP TABLE layout");
    await evictDurableObject(shard());
    await openSession(token);
    expect(await sql("SELECT id FROM session WHERE used_ms = 0")).toEqual([{ id }]);
    expect(await statusOf(id)).toBe(200);
  });
});
