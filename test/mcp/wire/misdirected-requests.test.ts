// Addresses that users mistype or clients guess instead of the endpoint's own: they are served, or answered with the right one.
import { beforeAll, describe, expect, it } from "vitest";
import { readJson } from "../../support/oauth.ts";
import { ACCEPT, ORIGIN, RESOURCE, initialize, send, tokenOf } from "../../support/worker.ts";

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
    expect(await readJson(listed)).toMatchObject({ result: { tools: [{ name: "search" }, {}, {}, {}, {}, {}] } });
    const headers = { authorization: `Bearer ${token}`, ...session };
    expect((await send(url, { method: "DELETE", headers })).status).toBeLessThan(300);
    expect((await postTo(RESOURCE, { jsonrpc: "2.0", id: 3, method: "tools/list" }, session)).status).toBe(404);
  });

  it.each(["GET", "POST", "DELETE"])(
    "answers %s without an access token with the challenge of /mcp",
    async (method) => {
      const [withSlash, withoutSlash] = [await send(`${RESOURCE}/`, { method }), await send(RESOURCE, { method })];
      expect(withSlash.status).toBe(401);
      expect(withSlash.headers.get("www-authenticate")).toBe(withoutSlash.headers.get("www-authenticate"));
      expect(withSlash.headers.get("www-authenticate")).toContain(CHALLENGE);
    },
  );

  it("refuses foreign Origin and Host headers like /mcp", async () => {
    expect((await postTo(`${RESOURCE}/`, initialize(), { origin: "https://evil.example" })).status).toBe(403);
    expect((await postTo("http://rebound.example:8787/mcp/", initialize())).status).toBe(403);
  });

  it.each(["/mcp//", "/mcp/sse", "//mcp", "/mcp%2F"])("is not reached at %s", async (path) => {
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

  it("answers 405 to other methods and 404 to other suffixes", async () => {
    expect((await send(METADATA, { method: "POST" })).status).toBe(405);
    expect((await send(METADATA, { method: "OPTIONS" })).status).toBe(204);
    expect((await send(`${METADATA}/other`)).status).toBe(404);
    expect((await send(`${METADATA}x`)).status).toBe(404);
  });
});

interface MisdirectedRequest {
  readonly method: string;
  readonly path: string;
  readonly accept?: string;
}

const MISDIRECTED: readonly MisdirectedRequest[] = [
  { method: "POST", path: "/" },
  { method: "DELETE", path: "/" },
  { method: "GET", path: "/", accept: "text/event-stream" },
  { method: "GET", path: "/", accept: "application/json, text/event-stream" },
  { method: "GET", path: "/sse" },
  { method: "POST", path: "/sse" },
  { method: "GET", path: "/sse/" },
];

describe.each(MISDIRECTED)("$method $path from a client with Accept $accept", ({ method, path, accept }) => {
  const sendMisdirected = async (headers: Record<string, string> = {}): Promise<Response> =>
    send(`${ORIGIN}${path}`, {
      method,
      headers: accept === undefined ? headers : { accept, ...headers },
      ...(method === "POST" ? { body: JSON.stringify(initialize()) } : {}),
    });

  it("gets 401 with the endpoint's challenge and a JSON error that names the endpoint", async () => {
    const response = await sendMisdirected();
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

  it("gets 404 with the endpoint's URL when the client is signed in, so that it does not sign in again and again", async () => {
    const response = await sendMisdirected({ authorization: `Bearer ${token}` });
    expect(response.status).toBe(404);
    expect(response.headers.get("www-authenticate")).toContain(CHALLENGE);
    expect(await response.text()).toContain(RESOURCE);
  });

  it("gets 403 from a foreign Origin, and CORS headers from the server's own Origin", async () => {
    expect((await sendMisdirected({ origin: "https://evil.example" })).status).toBe(403);
    expect((await sendMisdirected({ origin: ORIGIN })).headers.get("access-control-allow-origin")).toBe(ORIGIN);
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
    expect(await (await send(`${ORIGIN}/ssed`)).text()).toContain("Page not found");
  });

  it.each(["/", "/sse"])("gets 403 with the server's address at %s of another host", async (path) => {
    const response = await send(`http://rebound.example:8787${path}`, { method: "POST" });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain("localhost:8787");
  });
});
