// Revocation of a grant in a subject's shard: it ends every session, even if one cannot be reached at first.
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { nameSubjectShard } from "../../../src/mcp/subscriptions/hub-protocol.ts";
import { initialize, openSession, post, tokenOf } from "../../support/worker.ts";

const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };

let token = "";
let subjectId = "";
let grantId = "";

beforeAll(async () => {
  token = await tokenOf("reviewer");
  // Access tokens of the OAuth provider have the form subject:grant:secret.
  [subjectId = "", grantId = ""] = token.split(":");
});

const shard = () => env.HUB.get(env.HUB.idFromName(nameSubjectShard(subjectId)));
const sql = async (text: string, ...values: string[]) =>
  runInDurableObject(shard(), (_instance, state) => state.storage.sql.exec(text, ...values).toArray());

describe("revoking a grant", () => {
  it("ends the other sessions when one is unreachable, and retries that one by alarm", async () => {
    const sessions = [await openSession(token), await openSession(token)];
    await sql("INSERT INTO session (id, grant_id) VALUES ('no session', ?)", grantId);
    await runInDurableObject(shard(), async (object) => expect(object.revoke(grantId)).rejects.toThrow());
    for (const id of sessions) expect((await post(token, list, { "mcp-session-id": id })).status).toBe(404);
    expect(await sql("SELECT id FROM session")).toEqual([{ id: "no session" }]);

    // A valid id of a session that never existed is reachable and ends like any other.
    await sql("UPDATE session SET id = ?", env.SESSION.newUniqueId().toString());
    expect(await runDurableObjectAlarm(shard())).toBe(true);
    expect(await sql("SELECT id FROM session")).toEqual([]);
  });

  it("refuses later sessions of the grant but not of another grant", async () => {
    const response = await post(token, initialize());
    expect(response.status).toBe(429);
    expect(await response.text()).toContain("Sign in again");
    expect(response.headers.get("mcp-session-id")).toBeNull();
    const elsewhere = await tokenOf("reviewer");
    expect((await post(elsewhere, initialize())).status).toBe(200);
  });
});
