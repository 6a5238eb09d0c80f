// Opens a 2026-era listening stream: messages that arrive before the hub's verdict must not count as acceptance.
import { McpServer } from "@modelcontextprotocol/server";
import { describe, expect, it } from "vitest";
import { PROBE, REFUSED_CLOSE_CODE } from "../../../src/mcp/subscriptions/hub-protocol.ts";
import { serveListen } from "../../../src/mcp/subscriptions/listen.ts";

const CALLER = { subjectId: "ann", grantId: "one", authInfo: { token: "", clientId: "client", scopes: [] } };
const BODY = { jsonrpc: "2.0", id: 1, method: "subscriptions/listen", params: {} };

/** Opens a stream over a socket whose far end sends `earlyMessage` and then refuses. */
async function openRefused(earlyMessage: string): Promise<Response> {
  const { 0: near, 1: far } = new WebSocketPair();
  far.accept();
  near.accept();
  far.addEventListener("message", () => {
    far.send(earlyMessage);
    far.close(REFUSED_CLOSE_CODE, "There is no room.");
  });
  const request = new Request("https://gatehouse.example/mcp", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(BODY),
  });
  return serveListen(request, BODY, CALLER, {
    createServer: () => new McpServer({ name: "test", version: "1.0.0" }),
    hub: { openListenSocket: async () => near },
    maySubscribe: async () => true,
    keepAliveMs: 1000,
  });
}

describe("subscriptions/listen", () => {
  it.each([
    ["a probe", PROBE],
    ["an event", JSON.stringify({ kind: "list_changed", list: "tools" })],
  ])("answers 429 when %s arrives before the hub's refusal", async (_what, earlyMessage) => {
    const response = await openRefused(earlyMessage);
    expect(response.status).toBe(429);
    expect(await response.text()).toContain("There is no room.");
    expect(response.headers.get("Retry-After")).toBe("1");
  });
});
