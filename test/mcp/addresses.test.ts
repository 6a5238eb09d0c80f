// The addresses that people type and clients guess beside the endpoint's own: served, or answered with where to go.
import { beforeAll, describe, expect, it } from "vitest";
import { readJson } from "../support/oauth.ts";
import { ACCEPT, ORIGIN, RESOURCE, initialize, send, tokenOf } from "../support/worker.ts";

const METADATA = `${ORIGIN}/.well-known/oauth-protected-resource`;
const CHALLENGE = `resource_metadata="${METADATA}/mcp"`;

let token = "";

beforeAll(async () => {
  token = await tokenOf("analyst");
});

const postTo = async (url: string, body: object, headers: Record<string, string> = {}): Promise<Response> =>
  send(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", accept: ACCEPT, ...headers },
    body: JSON.stringify(body),
  });

describe("/mcp/", () => {
  it.each([`${RESOURCE}/`, `${RESOURCE}/?from=client`])("opens, uses and ends a session at %s", async (url) => {
    const opened = await postTo(url, initialize());
    expect(opened.status).toBe(200);
    const session = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
    const listed = await postTo(url, { jsonrpc: "2.0", id: 2, method: "tools/list" }, session);
    expect(await readJson(listed)).toMatchObject({ result: { tools: [{ name: "search" }, {}, {}, {}] } });
    const headers = { authorization: `Bearer ${token}`, ...session };
    expect((await send(url, { method: "DELETE", headers })).status).toBeLessThan(300);
    expect((await postTo(RESOURCE, { jsonrpc: "2.0", id: 3, method: "tools/list" }, session)).status).toBe(404);
  });

  it.each(["GET", "POST", "DELETE"])("answers %s without a token with the same challenge as /mcp", async (method) => {
    const [slash, plain] = [await send(`${RESOURCE}/`, { method }), await send(RESOURCE, { method })];
    expect(slash.status).toBe(401);
    expect(slash.headers.get("www-authenticate")).toBe(plain.headers.get("www-authenticate"));
    expect(slash.headers.get("www-authenticate")).toContain(CHALLENGE);
  });

  it("refuses foreign Origins and other Hosts like /mcp", async () => {
    expect((await postTo(`${RESOURCE}/`, initialize(), { origin: "https://evil.example" })).status).toBe(403);
    expect((await postTo("http://rebound.example:8787/mcp/", initialize())).status).toBe(403);
  });

  it.each(["/mcp//", "/mcp/sse", "//mcp", "/mcp%2F"])("is not %s", async (path) => {
    expect((await postTo(`${ORIGIN}${path}`, initialize())).status).toBe(404);
  });
});

describe("the protected resource's metadata", () => {
  it.each(["", "/", "/mcp/"])("is the same at the well-known address with the suffix %j", async (suffix) => {
    const plain = await readJson(await send(`${METADATA}/mcp`));
    expect(plain).toMatchObject({ resource: RESOURCE, authorization_servers: [ORIGIN] });
    const response = await send(`${METADATA}${suffix}`, { headers: { origin: "https://inspector.example" } });
    expect(response.headers.get("access-control-allow-origin")).toBe("https://inspector.example");
    expect(await readJson(response)).toEqual(plain);
  });

  it("takes no other method and no other suffix", async () => {
    expect((await send(METADATA, { method: "POST" })).status).toBe(405);
    expect((await send(METADATA, { method: "OPTIONS" })).status).toBe(204);
    expect((await send(`${METADATA}/other`)).status).toBe(404);
    expect((await send(`${METADATA}x`)).status).toBe(404);
  });
});

interface Knock {
  readonly method: string;
  readonly path: string;
  readonly accept?: string;
}

const KNOCKS: readonly Knock[] = [
  { method: "POST", path: "/" },
  { method: "DELETE", path: "/" },
  { method: "GET", path: "/", accept: "text/event-stream" },
  { method: "GET", path: "/", accept: "application/json, text/event-stream" },
  { method: "GET", path: "/sse" },
  { method: "POST", path: "/sse" },
  { method: "GET", path: "/sse/" },
];

describe.each(KNOCKS)("$method $path of a client (Accept: $accept)", ({ method, path, accept }) => {
  const knock = async (headers: Record<string, string> = {}): Promise<Response> =>
    send(`${ORIGIN}${path}`, {
      method,
      headers: accept === undefined ? headers : { accept, ...headers },
      ...(method === "POST" ? { body: JSON.stringify(initialize()) } : {}),
    });

  it("is 401 with the endpoint's challenge, and JSON that names the endpoint", async () => {
    const response = await knock();
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toMatch(/^Bearer /);
    expect(response.headers.get("www-authenticate")).toContain(CHALLENGE);
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.json()).toMatchObject({
      jsonrpc: "2.0",
      error: { message: expect.stringContaining(RESOURCE) },
      id: null,
    });
  });

  it("is 404 with the same JSON for a client that has signed in, so that it does not sign in again and again", async () => {
    const response = await knock({ authorization: `Bearer ${token}` });
    expect(response.status).toBe(404);
    expect(response.headers.get("www-authenticate")).toContain(CHALLENGE);
    expect(await response.text()).toContain(RESOURCE);
  });

  it("is 403 for pages of other sites, and readable for pages of this one", async () => {
    expect((await knock({ origin: "https://evil.example" })).status).toBe(403);
    expect((await knock({ origin: ORIGIN })).headers.get("access-control-allow-origin")).toBe(ORIGIN);
  });
});

describe("a browser", () => {
  it.each([undefined, "text/html,application/xhtml+xml,*/*;q=0.8", "*/*"])(
    "gets the start page at / when its Accept is %j",
    async (accept) => {
      const response = await send(`${ORIGIN}/`, { headers: accept === undefined ? {} : { accept } });
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toContain("text/html");
    },
  );

  it("gets the page for a wrong path elsewhere", async () => {
    expect(await (await send(`${ORIGIN}/ssed`)).text()).toContain("There is no such page");
  });

  it.each(["/", "/sse"])("is told at %s of another host that this server has another address", async (path) => {
    const response = await send(`http://rebound.example:8787${path}`, { method: "POST" });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain("localhost:8787");
  });
});
