// The end of a grant in a subject's shard: it reaches every session, also when one of them cannot be reached at first.
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { subjectShard } from "../../src/hub/protocol.ts";
import { initialize, openSession, post, tokenOf } from "../support/worker.ts";

const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };

let token = "";
let subjectId = "";
let grantId = "";

beforeAll(async () => {
  token = await tokenOf("reviewer");
  // Tokens of the OAuth provider: subject, grant, secret.
  [subjectId = "", grantId = ""] = token.split(":");
});

const shard = () => env.HUB.get(env.HUB.idFromName(subjectShard(subjectId)));
const sql = async (text: string, ...values: string[]) =>
  runInDurableObject(shard(), (_instance, state) => state.storage.sql.exec(text, ...values).toArray());

describe("ending a grant", () => {
  it("goes on past a session that cannot be ended, and comes back to it", async () => {
    const sessions = [await openSession(token), await openSession(token)];
    await sql("INSERT INTO session (id, grant_id) VALUES ('no session', ?)", grantId);
    await runInDurableObject(shard(), async (object) => expect(object.revoke(grantId)).rejects.toThrow());
    for (const id of sessions) expect((await post(token, list, { "mcp-session-id": id })).status).toBe(404);
    expect(await sql("SELECT id FROM session")).toEqual([{ id: "no session" }]);

    // Reachable now: a session that never was, which ends like any other.
    await sql("UPDATE session SET id = ?", env.SESSION.newUniqueId().toString());
    expect(await runDurableObjectAlarm(shard())).toBe(true);
    expect(await sql("SELECT id FROM session")).toEqual([]);
  });

  it("refuses what comes by it later", async () => {
    const response = await post(token, initialize());
    expect(response.status).toBe(429);
    expect(await response.text()).toContain("Sign in again");
    expect(response.headers.get("mcp-session-id")).toBeNull();
    const elsewhere = await tokenOf("reviewer");
    expect((await post(elsewhere, initialize())).status).toBe(200);
  });
});
