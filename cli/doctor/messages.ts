// Builds the MCP messages and headers that the doctor sends, in the form of each era's clients.

export type Era = "2025" | "2026";

const VERSION = { "2025": "2025-11-25", "2026": "2026-07-28" } as const;
const CLIENT = { name: "gatehouse-doctor", version: "1" };
const ENVELOPE = {
  "io.modelcontextprotocol/protocolVersion": VERSION["2026"],
  "io.modelcontextprotocol/clientInfo": CLIENT,
  "io.modelcontextprotocol/clientCapabilities": {},
};

/** A request of the 2026 revision, with the metadata that every request carries. */
export function message2026(method: string, params: object = {}): object {
  return { jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: ENVELOPE } };
}

/** The first message of a client of each era. */
export const OPENINGS: Readonly<Record<Era, object>> = {
  "2025": {
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion: VERSION["2025"], capabilities: {}, clientInfo: CLIENT },
  },
  "2026": message2026("server/discover"),
};

/** The headers of a request. The 2026 revision repeats the message's method and name in headers. */
export function headersOf(era: Era, method = "server/discover", name?: string): Record<string, string> {
  const common = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  if (era === "2025") return common;
  const named = name === undefined ? {} : { "mcp-name": name };
  return { ...common, "mcp-protocol-version": VERSION["2026"], "mcp-method": method, ...named };
}
