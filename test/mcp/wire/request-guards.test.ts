// Invalid requests at /mcp: each gets the error that the specification names, and none reaches a tool.
import { beforeAll, describe, expect, it } from "vitest";
import {
  ACCEPT,
  ORIGIN,
  RESOURCE,
  initialize,
  openSession,
  post,
  post2026,
  send,
  tokenOf,
} from "../../support/worker.ts";

let token = "";

beforeAll(async () => {
  token = await tokenOf("analyst");
});

const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };

describe("a request without a valid access token", () => {
  it.each(["GET", "POST", "DELETE", "PUT", "PATCH"])("gets 401 with the metadata URL for %s", async (method) => {
    const response = await send(RESOURCE, { method, ...(method === "GET" ? {} : { body: "{}" }) });
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toContain(
      `resource_metadata="${ORIGIN}/.well-known/oauth-protected-resource/mcp"`,
    );
  });

  it.each(["Bearer nonsense", "Bearer a:b:c", "Basic YTpi", "Bearer "])(
    "gets 401 for Authorization %j",
    async (authorization) => {
      const response = await send(RESOURCE, {
        method: "POST",
        headers: { authorization, "content-type": "application/json" },
        body: "{}",
      });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/);
    },
  );

  it("gets 401 when the access token is in the query string", async () => {
    expect((await send(`${RESOURCE}?access_token=${token}`, { method: "POST", body: "{}" })).status).toBe(401);
  });
});

describe("a request with a valid access token", () => {
  interface Case {
    readonly name: string;
    readonly headers?: Record<string, string | undefined>;
    readonly body?: unknown;
    readonly status: number;
    readonly code?: number;
  }
  const cases: readonly Case[] = [
    { name: "broken JSON", body: "{", status: 400, code: -32700 },
    { name: "an empty body", body: "", status: 400, code: -32700 },
    {
      name: "a body that is not a message",
      body: { hello: 1 },
      headers: { "mcp-session-id": "SESSION" },
      status: 400,
      code: -32600,
    },
    { name: "an empty batch", body: [], headers: { "mcp-session-id": "SESSION" }, status: 400, code: -32600 },
    { name: "a JSON number", body: "5", headers: { "mcp-session-id": "SESSION" }, status: 400, code: -32600 },
    { name: "another content type", headers: { "content-type": "text/plain" }, status: 415 },
    { name: "no content type", headers: { "content-type": undefined }, status: 415 },
    { name: "an Accept of only text/html", headers: { accept: "text/html" }, status: 406 },
    { name: "an Accept without JSON", headers: { accept: "text/event-stream" }, status: 406 },
    { name: "no session id", status: 400 },
    {
      name: "an unknown revision",
      headers: { "mcp-protocol-version": "1999-01-01", "mcp-session-id": "SESSION" },
      status: 400,
    },
    { name: "a foreign Origin", headers: { origin: "https://evil.example" }, status: 403 },
    { name: "the Origin null", headers: { origin: "null" }, status: 403 },
    { name: "an Origin that begins like ours", headers: { origin: `${ORIGIN}.evil.example` }, status: 403 },
    {
      name: "an unknown method",
      body: { jsonrpc: "2.0", id: 3, method: "nothing/here" },
      headers: { "mcp-session-id": "SESSION" },
      status: 200,
      code: -32601,
    },
    {
      name: "an unknown tool",
      body: { jsonrpc: "2.0", id: 3, method: "tools/call", params: { name: "drop" } },
      headers: { "mcp-session-id": "SESSION" },
      status: 200,
      code: -32602,
    },
  ];

  it.each(cases)("gets $status for $name", async ({ headers = {}, body = list, status, code }) => {
    const session = headers["mcp-session-id"] === "SESSION" ? { "mcp-session-id": await openSession(token) } : {};
    const response = await post(token, body, { ...headers, ...session });
    expect(response.status).toBe(status);
    if (code !== undefined) expect(await response.json()).toMatchObject({ error: { code } });
  });

  it("needs a session and an Accept of event streams for GET, and gets 405 in the 2026 era", async () => {
    const get = async (headers: Record<string, string>) =>
      send(RESOURCE, { headers: { authorization: `Bearer ${token}`, ...headers } });
    expect((await get({ accept: "text/event-stream" })).status).toBe(400);
    expect((await get({ accept: "application/json" })).status).toBe(406);
    expect((await get({ accept: "text/event-stream", "mcp-session-id": "x" })).status).toBe(404);
    const response = await get({ accept: "text/event-stream", "mcp-protocol-version": "2026-07-28" });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST");
  });

  it("is accepted with the server's own Origin and without Origin", async () => {
    expect((await post(token, initialize(), { origin: ORIGIN })).status).toBe(200);
    expect((await post(token, initialize())).status).toBe(200);
  });

  it("gets 403 for another Host", async () => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", accept: ACCEPT };
    expect(
      (await send("http://rebound.example:8787/mcp", { method: "POST", headers, body: JSON.stringify(list) })).status,
    ).toBe(403);
    const page = await send("http://rebound.example:8787/authorize");
    expect(page.status).toBe(403);
    expect(await page.text()).toContain(`<a href="${ORIGIN}">`);
  });

  it("may have a body of 4 MiB and gets 413 for one byte more, with and without Content-Length", async () => {
    const limit = 4 * 1024 * 1024;
    const body = JSON.stringify(initialize());
    expect((await post(token, body.padEnd(limit, " "))).status).toBe(200);
    expect((await post(token, body.padEnd(limit + 1, " "))).status).toBe(413);
    const chunks = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(32)),
    });
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", accept: ACCEPT };
    expect((await send(RESOURCE, { method: "POST", headers, body: chunks })).status).toBe(413);
  });
});

describe("a 2026-era request", () => {
  it("is answered without a session", async () => {
    const response = await post2026(token, "server/discover");
    expect(response.status).toBe(200);
    expect(response.headers.get("mcp-session-id")).toBeNull();
    expect(await response.json()).toMatchObject({
      result: { supportedVersions: expect.arrayContaining(["2026-07-28"]) },
    });
  });

  it("for tools/list gets a public ttlMs, and for resources/list a private one of 0", async () => {
    expect(await (await post2026(token, "tools/list")).json()).toMatchObject({
      result: { ttlMs: 300_000, cacheScope: "public" },
    });
    expect(await (await post2026(token, "resources/list")).json()).toMatchObject({
      result: { ttlMs: 0, cacheScope: "private" },
    });
  });

  it.each([
    ["a method header that differs from the body", "tools/list", { "mcp-method": "tools/call" }, 400, -32020],
    ["no method header", "tools/list", { "mcp-method": undefined }, 400, -32020],
    [
      "a version header that differs from the body",
      "tools/list",
      { "mcp-protocol-version": "2025-11-25" },
      400,
      -32020,
    ],
    ["an unknown method", "nothing/here", {}, 404, -32601],
  ])("is refused for %s", async (_name, method, headers, status, code) => {
    const response = await post2026(token, method, {}, headers);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code } });
  });

  it("is refused for an unknown revision with the list of supported revisions", async () => {
    const body = {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/list",
      params: {
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2030-01-01",
          "io.modelcontextprotocol/clientInfo": { name: "t", version: "1" },
          "io.modelcontextprotocol/clientCapabilities": {},
        },
      },
    };
    const response = await post(token, body, { "mcp-protocol-version": "2030-01-01", "mcp-method": "tools/list" });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: -32022, data: { supported: expect.arrayContaining(["2026-07-28"]) } },
    });
  });
});
