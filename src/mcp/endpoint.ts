// The MCP endpoint behind sign-in: detects the era of a request and routes it. 2026 requests are served here, with one
// server per request; 2025 requests go to their session's Durable Object. It knows nothing of tools, policy or data.
import { ProtocolError, createMcpHandler, isLegacyRequest } from "@modelcontextprotocol/server";
import type { McpServer } from "@modelcontextprotocol/server";
import { withGrantsListener } from "../lib/answer-grants.ts";
import type { OnGrants } from "../lib/answer-grants.ts";
import { SESSIONLESS, withProtocolOrigin } from "../lib/protocol-origin.ts";
import { withSignInListener } from "../lib/sign-in-state.ts";
import { isInitialize } from "./sessions/session-client.ts";
import type { SessionClient } from "./sessions/session-client.ts";
import type { SessionCaller } from "./wire/protocol-caller.ts";
import { countMessages, readJsonBody } from "./wire/request-guards.ts";
import { decodeHeaders, readName } from "./wire/header-values.ts";
import { withInvalidParamsOverHttp } from "./wire/invalid-params.ts";
import { isListen, serveListen } from "./subscriptions/listen.ts";
import type { ListenOptions } from "./subscriptions/listen.ts";
import { RPC, rpcError } from "./wire/json-rpc.ts";
import { omitNullArguments } from "./wire/null-arguments.ts";
import { NO_SIGN_IN_CHECK, beginsCalls, watchSignIn } from "./wire/sign-in-check.ts";
import type { SignInCheck, SignInWatch } from "./wire/sign-in-check.ts";
import { createResponseCache } from "./response-cache.ts";

/** The method and name in a request's headers, which the SDK has compared with the body. */
export interface RequestTarget {
  readonly method: string;
  /** Name of the tool, prompt or resource; null when the request names none. */
  readonly name: string | null;
}

/** Builds a server for a target; without one, registers everything. */
export type CreateServer = (target?: RequestTarget) => McpServer;

/** The dependencies and limits of the endpoint. */
interface EndpointOptions {
  /** Builds a new server for each 2026 request. */
  readonly createServer: CreateServer;
  readonly sessions: SessionClient;
  readonly hub: ListenOptions["hub"];
  readonly maySubscribe: ListenOptions["maySubscribe"];
  readonly keepAliveMs: number;
  readonly maxBodyBytes: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Receives a short description of each request that the protocol layer refused as the client's mistake. */
  readonly onRefusal: (message: string) => void;
  readonly onError: (error: unknown) => void;
}

/** Counts messages against the caller's rate limit; resolves with the refusal when the limit is exceeded. */
type RefuseMessages = (count: number) => Promise<Response | undefined>;

/**
 * Serves a signed-in request. `refuseMore` counts the messages of a batch after the first, which counted as the request. `signIn` checks
 * whether the sign-in has ended; absent where it comes from no cache.
 */
export type McpEndpoint = (
  request: Request,
  caller: SessionCaller,
  refuseMore?: RefuseMessages,
  signIn?: SignInCheck,
) => Promise<Response>;

const METHODS = ["POST", "GET", "DELETE"];
/** The first revision without sessions, and so without GET and DELETE. */
const FIRST_REVISION_WITHOUT_SESSIONS = "2026-07-28";

/** Creates the handler for every HTTP method of the endpoint. Its caller comes from sign-in, never from a header. */
export function createEndpoint(options: EndpointOptions): McpEndpoint {
  const { createServer, sessions, maxBodyBytes, keepAliveMs, now, onRefusal, onError } = options;
  const onerror = (error: Error): void => {
    const refusal = describeRefusal(error);
    if (refusal === undefined) onError(error);
    else onRefusal(refusal);
  };
  const statelessHandler = createMcpHandler(({ requestInfo }) => createServer(readRequestTarget(requestInfo)), {
    legacy: "reject",
    maxRequestBodySize: maxBodyBytes,
    keepAliveMs,
    onerror,
  });
  const responseCache = createResponseCache(now);
  const serve = async (
    receivedRequest: Request,
    caller: SessionCaller,
    signIn: SignInWatch,
    refuseMore: RefuseMessages | undefined,
  ): Promise<Response> => {
    const request = decodeHeaders(receivedRequest);
    if (request instanceof Response) return request;
    const isSessionless = request.headers.get("MCP-Protocol-Version") === FIRST_REVISION_WITHOUT_SESSIONS;
    const methods = isSessionless ? ["POST"] : METHODS;
    if (!methods.includes(request.method)) {
      return rpcError(405, RPC.server, `Method not allowed: this takes ${methods.join(", ")}.`, {
        Allow: methods.join(", "),
      });
    }
    if (request.method === "GET") return (await signIn.requireCurrent()) ?? sessions.listen(request, caller);
    if (request.method === "DELETE") return (await signIn.requireCurrent()) ?? sessions.end(request, caller);
    const rawBody = await readJsonBody(request, maxBodyBytes);
    if ("refusal" in rawBody) return rawBody.refusal;
    const body = omitNullArguments(rawBody);
    const count = countMessages(body.value);
    if (count === undefined) return rpcError(400, RPC.invalidRequest, "Invalid Request: the batch is too large.");
    const refusal =
      (count > 1 ? await refuseMore?.(count - 1) : undefined) ??
      (beginsCalls(body.value) ? undefined : await signIn.requireCurrent());
    if (refusal !== undefined) return refusal;
    // `initialize` negotiates the revision, so its header decides nothing: some clients send the newest revision they know.
    if (isInitialize(body.value) && (!isSessionless || proposesRevision(body.value)))
      return sessions.post(request, body, caller, signIn.onSignIn);
    const serveRequest = async (onGrants?: OnGrants): Promise<Response> => {
      if (await isLegacyRequest(request, body.value)) return sessions.post(request, body, caller, signIn.onSignIn);
      if (isListen(body.value)) return serveListen(request, body.value, caller, options);
      const watched = withProtocolOrigin(withSignInListener(caller.authInfo, signIn.onSignIn), SESSIONLESS);
      const authInfo = onGrants === undefined ? watched : withGrantsListener(watched, onGrants);
      return withInvalidParamsOverHttp(
        body.value,
        await statelessHandler.fetch(request, { authInfo, parsedBody: body.value }),
      );
    };
    return isSessionless ? responseCache.respond(request, body.value, serveRequest) : serveRequest();
  };
  return async (request, caller, refuseMore, check = NO_SIGN_IN_CHECK) => {
    const signIn = watchSignIn(check);
    return signIn.guardResponse(await serve(request, caller, signIn, refuseMore));
  };
}

function readRequestTarget(request: Request | undefined): RequestTarget | undefined {
  const method = request?.headers.get("Mcp-Method") ?? null;
  return request === undefined || method === null ? undefined : { method, name: readName(request) };
}

/**
 * Describes for the log what the SDK refused as the client's mistake; undefined for any other error. The rest of its message may be text of
 * the client, such as an argument, so only the code of the protocol or the SDK's name for the check is logged.
 */
function describeRefusal(error: Error): string | undefined {
  if (error instanceof ProtocolError) return `protocol error ${error.code}`;
  return /^Rejected inbound request(?: \([\w-]{1,60}\))?/.exec(error.message)?.[0];
}

/**
 * Whether an `initialize` request proposes a protocol version and so begins a session. Revision 2026-07-28 has no such
 * method: without a proposal, the request is answered as an unknown method.
 */
function proposesRevision(message: unknown): boolean {
  const params: unknown = Reflect.get(Object(message), "params");
  return typeof Reflect.get(Object(params), "protocolVersion") === "string";
}
