// The MCP endpoint behind sign-in: decides the era of a request and hands it on. 2026 requests are served here, one
// server per request; 2025 requests go to their session's object. Knows nothing of tools, policy or data.
import { ProtocolError, createMcpHandler, isLegacyRequest } from "@modelcontextprotocol/server";
import type { AuthInfo, McpServer } from "@modelcontextprotocol/server";
import type { SessionClient } from "../session/client.ts";
import { readJson } from "./border.ts";
import { RPC, rpcError } from "./json-rpc.ts";

/** The signed-in caller: whose sessions these are, and what handlers get to see. Never read from a header. */
export interface McpCaller {
  readonly subjectId: string;
  readonly authInfo: AuthInfo;
}

export interface EndpointOptions {
  /** A new server with everything registered; called for each 2026 request. */
  readonly createServer: () => McpServer;
  readonly sessions: SessionClient;
  readonly maxBodyBytes: number;
  /** A request that the protocol layer refused: its sender's mistake, in a few words. */
  readonly onRefusal: (message: string) => void;
  readonly onError: (error: unknown) => void;
}

export type McpEndpoint = (request: Request, caller: McpCaller) => Promise<Response>;

const METHODS = ["POST", "DELETE"];

/** Serves POST and DELETE; GET is 405 until there are streams to open. */
export function createEndpoint({
  createServer,
  sessions,
  maxBodyBytes,
  onRefusal,
  onError,
}: EndpointOptions): McpEndpoint {
  // Anybody who is signed in can cause refusals, many of them and with text of their own: one short line each.
  const onerror = (error: Error): void =>
    isRefusal(error) ? onRefusal(JSON.stringify(error.message.slice(0, 200))) : onError(error);
  const modern = createMcpHandler(createServer, { legacy: "reject", maxRequestBodySize: maxBodyBytes, onerror });
  return async (request, caller) => {
    if (!METHODS.includes(request.method)) {
      return rpcError(405, RPC.server, `Method not allowed: this endpoint takes ${METHODS.join(" and ")}.`, {
        Allow: METHODS.join(", "),
      });
    }
    if (request.method === "DELETE") return sessions.end(request, caller);
    const body = await readJson(request, maxBodyBytes);
    if ("refusal" in body) return body.refusal;
    const isLegacy = await isLegacyRequest(request, body.value);
    return isLegacy
      ? sessions.post(request, body, caller)
      : modern.fetch(request, { authInfo: caller.authInfo, parsedBody: body.value });
  };
}

function isRefusal(error: Error): boolean {
  return error instanceof ProtocolError || error.message.startsWith("Rejected inbound request");
}
