// The MCP endpoint behind sign-in: decides the era of a request and hands it on. 2026 requests are served here, one
// server per request; 2025 requests go to their session's object. Knows nothing of tools, policy or data.
import { ProtocolError, createMcpHandler, isLegacyRequest } from "@modelcontextprotocol/server";
import type { McpServer } from "@modelcontextprotocol/server";
import { withGrantsNote } from "../lib/answer-grants.ts";
import type { NoteGrants } from "../lib/answer-grants.ts";
import { isInitialize } from "../session/client.ts";
import type { SessionClient } from "../session/client.ts";
import type { SessionCaller } from "./protocol-caller.ts";
import { countMessages, readJson } from "./border.ts";
import { decodeHeaders, readName } from "./header-values.ts";
import { withInvalidParamsOverHttp } from "./invalid-params.ts";
import { isListen, serveListen } from "./listen.ts";
import type { ListenOptions } from "./listen.ts";
import { RPC, rpcError } from "./json-rpc.ts";
import { withoutNullArguments } from "./null-arguments.ts";
import { createPublicAnswers } from "./public-answers.ts";

/** What a request asks, as its headers say: the SDK has held them against the body. */
export interface Asked {
  readonly method: string;
  /** Of the tool, prompt or resource; null when it names none. */
  readonly name: string | null;
}

export type CreateServer = (asked?: Asked) => McpServer;

export interface EndpointOptions {
  /** A new server, called for each 2026 request with what it asks; without that, everything is registered. */
  readonly createServer: CreateServer;
  readonly sessions: SessionClient;
  readonly hub: ListenOptions["hub"];
  readonly maySubscribe: ListenOptions["maySubscribe"];
  readonly keepAliveMs: number;
  readonly maxBodyBytes: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** A request that the protocol layer refused: its sender's mistake, in a few words. */
  readonly onRefusal: (message: string) => void;
  readonly onError: (error: unknown) => void;
}

/** Counts messages of the caller; the refusal when they are too many. */
export type RefuseMessages = (count: number) => Promise<Response | undefined>;

/** `refuseMore` counts the messages of a batch beyond the first, which was counted with the request. */
export type McpEndpoint = (request: Request, caller: SessionCaller, refuseMore?: RefuseMessages) => Promise<Response>;

const METHODS = ["POST", "GET", "DELETE"];
/** The first revision without sessions: there is nothing to GET. */
const FIRST_WITHOUT_SESSIONS = "2026-07-28";

/** Serves every method of the endpoint. The caller comes from sign-in, never from a header. */
export function createEndpoint(options: EndpointOptions): McpEndpoint {
  const { createServer, sessions, maxBodyBytes, keepAliveMs, now, onRefusal, onError } = options;
  // Anybody who is signed in can cause refusals, many of them and with text of their own: one short line each.
  const onerror = (error: Error): void =>
    isRefusal(error) ? onRefusal(JSON.stringify(error.message.slice(0, 200))) : onError(error);
  const modern = createMcpHandler(({ requestInfo }) => createServer(askedBy(requestInfo)), {
    legacy: "reject",
    maxRequestBodySize: maxBodyBytes,
    keepAliveMs,
    onerror,
  });
  const publicAnswers = createPublicAnswers(now);
  return async (received, caller, refuseMore) => {
    const request = decodeHeaders(received);
    if (request instanceof Response) return request;
    const isSessionless = request.headers.get("MCP-Protocol-Version") === FIRST_WITHOUT_SESSIONS;
    const methods = isSessionless ? ["POST"] : METHODS;
    if (!methods.includes(request.method)) {
      return rpcError(405, RPC.server, `Method not allowed: this takes ${methods.join(", ")}.`, {
        Allow: methods.join(", "),
      });
    }
    if (request.method === "GET") return sessions.listen(request, caller);
    if (request.method === "DELETE") return sessions.end(request, caller);
    const read = await readJson(request, maxBodyBytes);
    if ("refusal" in read) return read.refusal;
    const body = withoutNullArguments(read);
    const count = countMessages(body.value);
    if (count === undefined) return rpcError(400, RPC.invalidRequest, "Invalid Request: the batch is too large.");
    const refusal = count > 1 ? await refuseMore?.(count - 1) : undefined;
    if (refusal !== undefined) return refusal;
    // It negotiates the revision, so the header cannot name one yet: some clients send the newest that they know.
    if (isInitialize(body.value) && (!isSessionless || proposesRevision(body.value)))
      return sessions.post(request, body, caller);
    const serve = async (note?: NoteGrants): Promise<Response> => {
      if (await isLegacyRequest(request, body.value)) return sessions.post(request, body, caller);
      if (isListen(body.value)) return serveListen(request, body.value, caller, options);
      const authInfo = note === undefined ? caller.authInfo : withGrantsNote(caller.authInfo, note);
      return withInvalidParamsOverHttp(body.value, await modern.fetch(request, { authInfo, parsedBody: body.value }));
    };
    return isSessionless ? publicAnswers.answer(request, body.value, serve) : serve();
  };
}

function askedBy(request: Request | undefined): Asked | undefined {
  const method = request?.headers.get("Mcp-Method") ?? null;
  return request === undefined || method === null ? undefined : { method, name: readName(request) };
}

function isRefusal(error: Error): boolean {
  return error instanceof ProtocolError || error.message.startsWith("Rejected inbound request");
}

/** Whether an `initialize` begins a session. Revision 2026-07-28 has no such method: without a proposal it is one that is not found. */
function proposesRevision(message: unknown): boolean {
  const params: unknown = Reflect.get(Object(message), "params");
  return typeof Reflect.get(Object(params), "protocolVersion") === "string";
}
