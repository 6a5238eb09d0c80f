// Connections in the JSON API: only their user sees them, and ending one ends its sessions and streams and is recorded.
import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { personAt } from "../support/browser.ts";
import type { Person } from "../support/browser.ts";
import { ledgerOf, subjectIdOf } from "../support/members.ts";
import { seedShop } from "../support/seed.ts";
import { RESOURCE, callTool, openSession, post, send, tokenOf } from "../support/worker.ts";

const GUEST = "guest@harbor.example";
let guest: Person;
let analyst: Person;

beforeAll(async () => {
  await seedShop();
  guest = await personAt(GUEST);
  analyst = await personAt("analyst@harbor.example");
});

describe("connections in the API", () => {
  it("lists a connection only to its user, and ends it with its sessions and streams", async () => {
    const accessToken = await tokenOf("guest");
    const [, grantId = ""] = accessToken.split(":");
    const session = await openSession(accessToken);
    const list = await guest.api("GET", "/connections");
    expect(list.body["connections"]).toContainEqual(
      expect.objectContaining({ id: grantId, clientName: "Test client" }),
    );
    expect((await analyst.api("DELETE", `/connections/${grantId}`)).status).toBe(404);
    expect((await callTool(accessToken, "describe", {})).wire).toContain("has no role");
    const stream = await send(RESOURCE, {
      headers: { authorization: `Bearer ${accessToken}`, accept: "text/event-stream", "mcp-session-id": session },
    });
    expect((await guest.api("DELETE", `/connections/${grantId}`)).status).toBe(204);
    // Reading to the end shows that the server closes the stream.
    expect(await stream.text()).not.toContain("list_changed");
    const ping = await post(accessToken, { jsonrpc: "2.0", id: 1, method: "ping" }, { "mcp-session-id": session });
    expect(ping.status).toBe(401);
    const records = await ledgerOf(await subjectIdOf(GUEST)).listRecords(0, 1000);
    const endRecords = records
      .map(({ body }) => JSON.parse(body))
      .filter(({ attempt }) => attempt.operation === "end connection");
    expect(endRecords).toMatchObject([
      { attempt: { asked: expect.stringContaining(grantId) }, outcome: { result: "answered" } },
    ]);
  });

  it("ends a connection when the user's ledger is full", async () => {
    const accessToken = await tokenOf("guest");
    const [, grantId = ""] = accessToken.split(":");
    const ledger = ledgerOf(await subjectIdOf(GUEST));
    const execute = async (sql: string): Promise<void> =>
      runInDurableObject(ledger, async (_object, { storage }) => void storage.sql.exec(sql));
    await execute("UPDATE head SET bytes = bytes + 1000000000");
    try {
      expect((await guest.api("GET", "/tokens")).body).toMatchObject({ error: { code: "record_full" } });
      expect((await guest.api("DELETE", `/connections/${grantId}`)).status).toBe(204);
      expect((await post(accessToken, { jsonrpc: "2.0", id: 1, method: "ping" })).status).toBe(401);
    } finally {
      await execute("UPDATE head SET bytes = bytes - 1000000000");
    }
  });
});
