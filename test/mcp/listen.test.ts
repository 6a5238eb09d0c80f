// The opening of a 2026 listening stream, as its socket to the hub answers: what comes before the hub's verdict is no verdict.
import { McpServer } from "@modelcontextprotocol/server";
import { describe, expect, it } from "vitest";
import { PROBE, REFUSED } from "../../src/hub/protocol.ts";
import { serveListen } from "../../src/mcp/listen.ts";

const CALLER = { subjectId: "ann", grantId: "one", authInfo: { token: "", clientId: "client", scopes: [] } };
const BODY = { jsonrpc: "2.0", id: 1, method: "subscriptions/listen", params: {} };

/** Opens a stream over a socket whose far end sends `early`, and then refuses. */
async function openRefused(early: string): Promise<Response> {
  const { 0: near, 1: far } = new WebSocketPair();
  far.accept();
  near.accept();
  far.addEventListener("message", () => {
    far.send(early);
    far.close(REFUSED, "There is no room.");
  });
  const request = new Request("https://gatehouse.example/mcp", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(BODY),
  });
  return serveListen(request, BODY, CALLER, {
    createServer: () => new McpServer({ name: "test", version: "1.0.0" }),
    hub: { connect: async () => near },
    maySubscribe: async () => true,
    keepAliveMs: 1000,
  });
}

describe("the opening of a listening stream", () => {
  it.each([
    ["a probe", PROBE],
    ["an event", JSON.stringify({ kind: "list_changed", list: "tools" })],
  ])("is refused when %s arrives before the hub refuses", async (_what, early) => {
    const response = await openRefused(early);
    expect(response.status).toBe(429);
    expect(await response.text()).toContain("There is no room.");
    expect(response.headers.get("Retry-After")).toBe("1");
  });
});
