// Connections by the JSON API: listed to their person alone, and ended with all that they hold, on the record.
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

describe("connections by the API", () => {
  it("are listed to their person, and ended with their sessions and streams", async () => {
    const token = await tokenOf("guest");
    const [, grantId = ""] = token.split(":");
    const session = await openSession(token);
    const listed = await guest.api("GET", "/connections");
    expect(listed.body["connections"]).toContainEqual(
      expect.objectContaining({ id: grantId, clientName: "Test client" }),
    );
    expect((await analyst.api("DELETE", `/connections/${grantId}`)).status).toBe(404);
    expect((await callTool(token, "describe", {})).wire).toContain("no role here");
    const stream = await send(RESOURCE, {
      headers: { authorization: `Bearer ${token}`, accept: "text/event-stream", "mcp-session-id": session },
    });
    expect((await guest.api("DELETE", `/connections/${grantId}`)).status).toBe(204);
    // The stream ends by itself.
    expect(await stream.text()).not.toContain("list_changed");
    const again = await post(token, { jsonrpc: "2.0", id: 1, method: "ping" }, { "mcp-session-id": session });
    expect(again.status).toBe(401);
    const records = await ledgerOf(await subjectIdOf(GUEST)).records(0, 1000);
    const ends = records
      .map(({ body }) => JSON.parse(body))
      .filter(({ attempt }) => attempt.operation === "end connection");
    expect(ends).toMatchObject([
      { attempt: { asked: expect.stringContaining(grantId) }, outcome: { result: "answered" } },
    ]);
  });

  it("are ended also by a person whose record is full", async () => {
    const token = await tokenOf("guest");
    const [, grantId = ""] = token.split(":");
    const ledger = ledgerOf(await subjectIdOf(GUEST));
    const setBytes = async (sql: string): Promise<void> =>
      runInDurableObject(ledger, async (_object, { storage }) => void storage.sql.exec(sql));
    await setBytes("UPDATE head SET bytes = bytes + 1000000000");
    try {
      expect((await guest.api("GET", "/tokens")).body).toMatchObject({ error: { code: "record_full" } });
      expect((await guest.api("DELETE", `/connections/${grantId}`)).status).toBe(204);
      expect((await post(token, { jsonrpc: "2.0", id: 1, method: "ping" })).status).toBe(401);
    } finally {
      await setBytes("UPDATE head SET bytes = bytes - 1000000000");
    }
  });
});
