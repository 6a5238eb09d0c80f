// Sends HTTP requests to the Worker under test, and signs in to it.
import { exports } from "cloudflare:workers";
import { readJson, tokensFor } from "./oauth.ts";
import type { Flow } from "./oauth.ts";

export const ORIGIN = "http://localhost:8787";
export const RESOURCE = `${ORIGIN}/mcp`;

/** Sends a request to the Worker without following redirects. */
export async function send(url: string, init: RequestInit = {}): Promise<Response> {
  return exports.default.fetch(new Request(url, { redirect: "manual", ...init }));
}

export const flow: Flow = { origin: ORIGIN, send };

/** Gets an access token of a sample account through the whole OAuth flow. */
export async function tokenOf(name: "analyst" | "support" | "reviewer" | "owner" | "guest"): Promise<string> {
  return (await tokensFor(flow, `${name}@harbor.example`)).accessToken;
}

export const ACCEPT = "application/json, text/event-stream";

/** POSTs to /mcp with the headers that every client sends. `headers` replaces headers, or removes them with undefined. */
export async function post(
  token: string,
  body: unknown,
  headers: Record<string, string | undefined> = {},
): Promise<Response> {
  const all = { authorization: `Bearer ${token}`, "content-type": "application/json", accept: ACCEPT, ...headers };
  const present = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return send(RESOURCE, {
    method: "POST",
    headers: present,
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** The first message of a client of the 2025 era. */
export function initialize(protocolVersion = "2025-11-25", id: number | string = 1): object {
  return {
    jsonrpc: "2.0",
    id,
    method: "initialize",
    params: { protocolVersion, capabilities: {}, clientInfo: { name: "test", version: "1" } },
  };
}

/** Opens a session of the 2025 era and returns its id. */
export async function openSession(token: string, protocolVersion = "2025-11-25"): Promise<string> {
  const response = await post(token, initialize(protocolVersion));
  const id = response.headers.get("mcp-session-id");
  if (id === null) throw new Error(`no session: ${response.status} ${await response.text()}`);
  return id;
}

/** Sends a request of the 2026 revision, with its metadata and headers. */
export async function post2026(
  token: string,
  method: string,
  params: Record<string, unknown> = {},
  headers: Record<string, string | undefined> = {},
): Promise<Response> {
  const envelope = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const name = typeof params["name"] === "string" ? params["name"] : params["uri"];
  return post(
    token,
    { jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: envelope } },
    {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      ...(typeof name === "string" ? { "mcp-name": name } : {}),
      ...headers,
    },
  );
}

/** Calls a tool in the 2026 era. Returns the result and the answer's text as it came over the wire. */
export async function callTool(
  token: string,
  name: string,
  args: Record<string, unknown>,
): Promise<{ result: Record<string, unknown>; wire: string }> {
  const response = await post2026(token, "tools/call", { name, arguments: args });
  const wire = await response.clone().text();
  const { result } = await readJson(response);
  return { result: { ...(result as object) }, wire };
}
