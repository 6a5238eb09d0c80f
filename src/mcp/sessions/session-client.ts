// The Worker's side of 2025-era sessions: translates HTTP requests into calls to the session's Durable Object. The session id
// is the object's id, so a forged id fails before any object is reached.
import { SUPPORTED_PROTOCOL_VERSIONS } from "@modelcontextprotocol/server";
import type { OnSignIn } from "../../lib/sign-in-state.ts";
import { isAccepted, isAcceptedByName } from "../wire/accept.ts";
import type { JsonBody } from "../wire/request-guards.ts";
import { RPC, rpcError } from "../wire/json-rpc.ts";
import { createSseResponse } from "../wire/sse.ts";
import { buildAttachUrl, serializeCaller } from "./session-protocol.ts";
import type { SessionNamespace, SessionReply, SessionStub, StreamReply } from "./session-protocol.ts";
import type { SessionCaller } from "../wire/protocol-caller.ts";

/** Serves the HTTP methods of 2025-era sessions. */
export interface SessionClient {
  /** Serves POST. `initialize` opens a new session. `onSignIn` receives the state of the sign-in when the request began a call. */
  post(request: Request, body: JsonBody, caller: SessionCaller, onSignIn?: OnSignIn): Promise<Response>;
  /** Serves GET: a stream of new messages, or a stream resumed after an event. */
  listen(request: Request, caller: SessionCaller): Promise<Response>;
  /** Serves DELETE. */
  end(request: Request, caller: SessionCaller): Promise<Response>;
}

/** The options of a session client. */
interface SessionClientOptions {
  /** Interval between keep-alive comments. */
  readonly keepAliveMs: number;
  /** Events that may queue for a slow client before its stream is closed. */
  readonly maxQueuedEvents: number;
}

const SESSION_HEADER = "Mcp-Session-Id";
const JSON_TYPE = "application/json";
const SSE_TYPE = "text/event-stream";

/** Creates the client of the session objects. Its refusals follow MCP 2025-11-25, Transports, Streamable HTTP. */
export function createSessionClient(namespace: SessionNamespace, options: SessionClientOptions): SessionClient {
  async function withSession(
    request: Request,
    callSession: (session: SessionStub) => Promise<SessionReply>,
    onSignIn?: OnSignIn,
  ): Promise<Response> {
    const id = request.headers.get(SESSION_HEADER);
    if (id === null)
      return rpcError(400, RPC.server, `Bad Request: the ${SESSION_HEADER} header is missing. Call initialize first.`);
    let objectId: DurableObjectId;
    try {
      objectId = namespace.idFromString(id);
    } catch {
      // The platform's signature in the id is invalid, so this deployment never issued it.
      return createNotFound();
    }
    const stub = namespace.get(objectId);
    const reply = await callSession(stub);
    if (reply.kind === "signed_out") onSignIn?.("ended");
    else if (reply.kind === "answer" && reply.hasBegun) onSignIn?.("current");
    return toHttpResponse(reply, stub, id, options);
  }

  return {
    async post(request, body, caller, onSignIn) {
      // `initialize` negotiates the revision in its parameters. The header names the result, which does not exist yet.
      const isOpening = isInitialize(body.value);
      const refusal =
        refuseAcceptHeader(request, JSON_TYPE) ?? (isOpening ? undefined : refuseProtocolVersion(request));
      if (refusal !== undefined) return refusal;
      const serializedCaller = serializeCaller(caller);
      const format = isAcceptedByName(request.headers.get("Accept"), SSE_TYPE) ? "any" : "json";
      if (!isOpening)
        return withSession(request, async (session) => session.post(body.text, serializedCaller, format), onSignIn);
      const id = namespace.newUniqueId();
      const stub = namespace.get(id);
      return toHttpResponse(await stub.open(body.text, serializedCaller), stub, id.toString(), options);
    },
    async listen(request, caller) {
      const refusal = refuseAcceptHeader(request, SSE_TYPE) ?? refuseProtocolVersion(request);
      const lastEventId = request.headers.get("Last-Event-ID");
      return (
        refusal ?? withSession(request, async (session) => session.openStream(lastEventId, serializeCaller(caller)))
      );
    },
    async end(request, caller) {
      return (
        refuseProtocolVersion(request) ?? withSession(request, async (session) => session.end(serializeCaller(caller)))
      );
    },
  };
}

async function toHttpResponse(
  reply: SessionReply,
  stub: SessionStub,
  sessionId: string,
  options: SessionClientOptions,
): Promise<Response> {
  switch (reply.kind) {
    case "opened":
      return createJsonResponse(reply.body, { [SESSION_HEADER]: sessionId });
    case "answer":
      return createJsonResponse(reply.body, {});
    case "stream":
      return attachStream(stub, reply, options);
    case "accepted":
      return new Response(null, { status: 202 });
    case "gone":
    // The endpoint answers with the 401 of its sign-in instead.
    case "signed_out":
      return createNotFound();
    case "refused":
      return rpcError(400, RPC.invalidRequest, reply.message);
    case "busy":
      return rpcError(429, RPC.server, reply.message, retryAfter(reply.retryAfterSeconds));
  }
}

function createJsonResponse(body: string, headers: Record<string, string>): Response {
  return new Response(body, {
    headers: {
      "Content-Type": JSON_TYPE,
      "Cache-Control": "no-store",
      "Access-Control-Expose-Headers": SESSION_HEADER,
      ...headers,
    },
  });
}

async function attachStream(stub: SessionStub, reply: StreamReply, options: SessionClientOptions): Promise<Response> {
  const { webSocket } = await stub.fetch(buildAttachUrl(reply), { headers: { Upgrade: "websocket" } });
  // The session ended between the two calls.
  if (!webSocket) return createNotFound();
  return createSseResponse(webSocket, { ...options, headers: { "Access-Control-Expose-Headers": SESSION_HEADER } });
}

function createNotFound(): Response {
  return rpcError(404, RPC.sessionNotFound, "Session not found: it has ended or never existed. Call initialize again.");
}

function retryAfter(seconds: number | null): Record<string, string> {
  return seconds === null ? {} : { "Retry-After": String(seconds) };
}

/** Whether a parsed body is an `initialize` message. The session validates it. */
export function isInitialize(body: unknown): boolean {
  return typeof body === "object" && body !== null && "method" in body && body.method === "initialize";
}

/**
 * Refuses a client that cannot read the one type it needs. The specification asks clients to accept both types, but many list
 * one or none, and a POST can always be answered as JSON.
 */
function refuseAcceptHeader(request: Request, type: string): Response | undefined {
  if (isAccepted(request.headers.get("Accept"), type)) return undefined;
  return rpcError(406, RPC.server, `Not Acceptable: Accept must allow ${type}.`);
}

/** Refuses an unsupported revision. A missing header means 2025-03-26, which did not define the header. */
function refuseProtocolVersion(request: Request): Response | undefined {
  const version = request.headers.get("MCP-Protocol-Version");
  if (version === null || SUPPORTED_PROTOCOL_VERSIONS.includes(version)) return undefined;
  return rpcError(
    400,
    RPC.server,
    `Bad Request: MCP-Protocol-Version must be one of ${SUPPORTED_PROTOCOL_VERSIONS.join(", ")}.`,
  );
}
