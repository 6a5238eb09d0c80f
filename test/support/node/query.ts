// Sends one tool call to a running server in the 2026 revision, without a client library.

const ENVELOPE = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

/** Queries the shop and returns the HTTP response, also when it is an error. `meta` adds to the request's metadata. */
export async function queryShop(
  origin: string,
  token: string,
  sql: string,
  meta: Readonly<Record<string, unknown>> = {},
): Promise<Response> {
  return postToolCall(origin, token, { name: "query", arguments: { source: "shop", sql }, _meta: meta });
}

/** A tool call. `_meta` adds to the request's metadata. */
interface ToolCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly _meta?: Readonly<Record<string, unknown>>;
}

/** Calls a tool and returns the HTTP response, also when it is an error. */
export async function postToolCall(origin: string, token: string, call: ToolCall): Promise<Response> {
  const params = { ...call, _meta: { ...ENVELOPE, ...call._meta } };
  return fetch(`${origin}/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": call.name,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
  });
}
