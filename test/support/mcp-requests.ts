// Builds requests to /mcp without sending them, for tests that send the same request to several apps.
import { ACCEPT, RESOURCE } from "./worker.ts";

/** Builds a POST with the headers that every client sends. `headers` adds to them. */
export function buildPost(token: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Request {
  return new Request(RESOURCE, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", accept: ACCEPT, ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** Builds a request of the 2026 revision, with its metadata and headers. */
export function buildPost2026(
  token: string,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  capabilities: object = {},
): Request {
  const envelope = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": capabilities,
  };
  const name = typeof params["name"] === "string" ? params["name"] : params["uri"];
  const body = { jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: envelope } };
  return buildPost(token, body, {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": method,
    ...(typeof name === "string" ? { "mcp-name": name } : {}),
  });
}
