// The Worker's side of 2025-era sessions: HTTP in and out, the session's object behind. The session id is the object's
// id, so a forged one fails before any object is reached.
import { SUPPORTED_PROTOCOL_VERSIONS } from "@modelcontextprotocol/server";
import { accepts, acceptsByName } from "../mcp/accept.ts";
import type { JsonBody } from "../mcp/border.ts";
import { RPC, rpcError } from "../mcp/json-rpc.ts";
import { sseResponse } from "../mcp/sse.ts";
import { attachUrl, packCaller } from "./protocol.ts";
import type { SessionNamespace, SessionReply } from "./protocol.ts";
import type { SessionCaller } from "../mcp/protocol-caller.ts";

export interface SessionClient {
  post(request: Request, body: JsonBody, caller: SessionCaller): Promise<Response>;
  /** GET: a stream of messages, from now on or after an event. */
  listen(request: Request, caller: SessionCaller): Promise<Response>;
  end(request: Request, caller: SessionCaller): Promise<Response>;
}

export interface SessionClientOptions {
  readonly keepAliveMs: number;
  /** Events that may wait for a slow client before its stream is closed. */
  readonly maxQueued: number;
}

type Stub = ReturnType<SessionNamespace["get"]>;

const SESSION_HEADER = "Mcp-Session-Id";
const JSON_TYPE = "application/json";
const SSE_TYPE = "text/event-stream";

/** Source of every refusal here: MCP 2025-11-25, Transports, Streamable HTTP. */
export function createSessionClient(namespace: SessionNamespace, options: SessionClientOptions): SessionClient {
  async function withSession(request: Request, use: (session: Stub) => Promise<SessionReply>): Promise<Response> {
    const id = request.headers.get(SESSION_HEADER);
    if (id === null)
      return rpcError(400, RPC.server, `Bad Request: the ${SESSION_HEADER} header is missing. Call initialize first.`);
    let objectId: DurableObjectId;
    try {
      objectId = namespace.idFromString(id);
    } catch {
      // Not an id this deployment ever gave: the platform's signature in it does not hold.
      return notFound();
    }
    const stub = namespace.get(objectId);
    return respond(await use(stub), stub, id, options);
  }

  return {
    async post(request, body, caller) {
      // What `initialize` negotiates is in its parameters: a header names the outcome, which is not known yet.
      const isOpening = isInitialize(body.value);
      const refusal = refuseAccept(request, JSON_TYPE) ?? (isOpening ? undefined : refuseVersion(request));
      if (refusal !== undefined) return refusal;
      const packed = packCaller(caller);
      const form = acceptsByName(request.headers.get("Accept"), SSE_TYPE) ? "any" : "json";
      if (!isOpening) return withSession(request, async (session) => session.post(body.text, packed, form));
      const id = namespace.newUniqueId();
      const stub = namespace.get(id);
      return respond(await stub.open(body.text, packed), stub, id.toString(), options);
    },
    async listen(request, caller) {
      const refusal = refuseAccept(request, SSE_TYPE) ?? refuseVersion(request);
      const lastEventId = request.headers.get("Last-Event-ID");
      return refusal ?? withSession(request, async (session) => session.listen(lastEventId, packCaller(caller)));
    },
    async end(request, caller) {
      return refuseVersion(request) ?? withSession(request, async (session) => session.end(packCaller(caller)));
    },
  };
}

async function respond(
  reply: SessionReply,
  stub: Stub,
  sessionId: string,
  options: SessionClientOptions,
): Promise<Response> {
  switch (reply.kind) {
    case "opened":
      return answer(reply.body, { [SESSION_HEADER]: sessionId });
    case "answer":
      return answer(reply.body, {});
    case "stream":
      return attach(stub, reply, options);
    case "accepted":
      return new Response(null, { status: 202 });
    case "gone":
      return notFound();
    case "refused":
      return rpcError(400, RPC.invalidRequest, reply.message);
    case "busy":
      return rpcError(429, RPC.server, reply.message, retryAfter(reply.retryAfterSeconds));
  }
}

function answer(body: string, headers: Record<string, string>): Response {
  return new Response(body, {
    headers: {
      "Content-Type": JSON_TYPE,
      "Cache-Control": "no-store",
      "Access-Control-Expose-Headers": SESSION_HEADER,
      ...headers,
    },
  });
}

async function attach(
  stub: Stub,
  reply: Extract<SessionReply, { kind: "stream" }>,
  options: SessionClientOptions,
): Promise<Response> {
  const { webSocket } = await stub.fetch(attachUrl(reply), { headers: { Upgrade: "websocket" } });
  // The session ended between the two calls.
  if (!webSocket) return notFound();
  return sseResponse(webSocket, { ...options, headers: { "Access-Control-Expose-Headers": SESSION_HEADER } });
}

function notFound(): Response {
  return rpcError(404, RPC.sessionNotFound, "Session not found: it ended or never was. Call initialize again.");
}

function retryAfter(seconds: number | null): Record<string, string> {
  return seconds === null ? {} : { "Retry-After": String(seconds) };
}

/** By its method alone: whether it is a good one is for the session to say. */
export function isInitialize(body: unknown): boolean {
  return typeof body === "object" && body !== null && "method" in body && body.method === "initialize";
}

/**
 * Refuses a client that cannot read what is sent at least. The specification asks clients to list both types; many list one or
 * none, and a call's answer is JSON in any case unless it takes long.
 */
function refuseAccept(request: Request, type: string): Response | undefined {
  if (accepts(request.headers.get("Accept"), type)) return undefined;
  return rpcError(406, RPC.server, `Not Acceptable: Accept must allow ${type}.`);
}

/** A missing header means 2025-03-26, which knew none. */
function refuseVersion(request: Request): Response | undefined {
  const version = request.headers.get("MCP-Protocol-Version");
  if (version === null || SUPPORTED_PROTOCOL_VERSIONS.includes(version)) return undefined;
  return rpcError(
    400,
    RPC.server,
    `Bad Request: MCP-Protocol-Version must be one of ${SUPPORTED_PROTOCOL_VERSIONS.join(", ")}.`,
  );
}
