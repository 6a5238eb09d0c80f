// The Worker's side of 2025-era sessions: HTTP in and out, the session's object behind. The session id is the object's
// id, so a forged one fails before any object is reached.
import { SUPPORTED_PROTOCOL_VERSIONS, isInitializeRequest } from "@modelcontextprotocol/server";
import type { JsonBody } from "../mcp/border.ts";
import { RPC, rpcError } from "../mcp/json-rpc.ts";
import { packCaller } from "./protocol.ts";
import type { SessionCaller, SessionNamespace, SessionReply, SessionRpc } from "./protocol.ts";

export interface SessionClient {
  post(request: Request, body: JsonBody, caller: SessionCaller): Promise<Response>;
  end(request: Request, caller: SessionCaller): Promise<Response>;
}

const SESSION_HEADER = "Mcp-Session-Id";
/** Source of every refusal here: MCP 2025-11-25, Transports, Streamable HTTP. */
export function createSessionClient(namespace: SessionNamespace): SessionClient {
  return {
    async post(request, body, caller) {
      const refusal = refuseAccept(request) ?? refuseVersion(request);
      if (refusal !== undefined) return refusal;
      if (isInitializeRequest(body.value)) return open(namespace, body.text, caller);
      return withSession(namespace, request, async (session) => session.post(body.text, packCaller(caller)));
    },
    async end(request, caller) {
      return (
        refuseVersion(request) ?? withSession(namespace, request, async (session) => session.end(packCaller(caller)))
      );
    },
  };
}

async function open(namespace: SessionNamespace, body: string, caller: SessionCaller): Promise<Response> {
  const id = namespace.newUniqueId();
  const reply = await namespace.get(id).open(body, packCaller(caller));
  const response = respond(reply);
  if (reply.kind === "opened") response.headers.set(SESSION_HEADER, id.toString());
  return response;
}

async function withSession(
  namespace: SessionNamespace,
  request: Request,
  use: (session: Pick<SessionRpc, "post" | "end">) => Promise<SessionReply>,
): Promise<Response> {
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
  return respond(await use(namespace.get(objectId)));
}

function respond(reply: SessionReply): Response {
  switch (reply.kind) {
    case "opened":
    case "answer":
      return new Response(reply.body, {
        headers: {
          "Content-Type": "application/json",
          "Cache-Control": "no-store",
          "Access-Control-Expose-Headers": SESSION_HEADER,
        },
      });
    case "accepted":
      return new Response(null, { status: 202 });
    case "gone":
      return notFound();
    case "refused":
      return rpcError(400, RPC.invalidRequest, reply.message);
  }
}

function notFound(): Response {
  return rpcError(404, RPC.sessionNotFound, "Session not found: it ended or never was. Call initialize again.");
}

/** The client must be ready for both forms of answer. */
function refuseAccept(request: Request): Response | undefined {
  const accept = request.headers.get("Accept") ?? "";
  const takes = (type: string): boolean => accept.includes(type) || accept.includes("*/*");
  if (takes("application/json") && takes("text/event-stream")) return undefined;
  return rpcError(406, RPC.server, "Not Acceptable: Accept must list application/json and text/event-stream.");
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
