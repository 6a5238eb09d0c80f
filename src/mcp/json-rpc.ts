// JSON-RPC over HTTP as both eras speak it at the border: error bodies with their status, and nothing of the payload.

/** JSON-RPC 2.0 §5.1 codes, and the range MCP keeps for servers. */
export const RPC = {
  parseError: -32700,
  invalidRequest: -32600,
  invalidParams: -32602,
  internalError: -32603,
  server: -32000,
  sessionNotFound: -32001,
} as const;

/** An error without a request to belong to: `id` is null. */
export function rpcError(status: number, code: number, message: string, headers: HeadersInit = {}): Response {
  const body = { jsonrpc: "2.0", error: { code, message }, id: null };
  const all = new Headers(headers);
  all.set("Cache-Control", "no-store");
  return Response.json(body, { status, headers: all });
}
