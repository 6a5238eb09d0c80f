// Builds JSON-RPC error responses over HTTP for both eras, for requests that never reach the SDK.

/** Error codes of JSON-RPC 2.0 §5.1, and codes from the range reserved for servers. */
export const RPC = {
  parseError: -32700,
  invalidRequest: -32600,
  invalidParams: -32602,
  internalError: -32603,
  server: -32000,
  sessionNotFound: -32001,
} as const;

/** Builds an error response that refers to no request: its `id` is null. */
export function rpcError(status: number, code: number, message: string, headers: HeadersInit = {}): Response {
  const body = { jsonrpc: "2.0", error: { code, message }, id: null };
  const responseHeaders = new Headers(headers);
  responseHeaders.set("Cache-Control", "no-store");
  return Response.json(body, { status, headers: responseHeaders });
}
