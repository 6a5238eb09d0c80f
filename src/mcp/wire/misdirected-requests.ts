// Handles requests to addresses that users mistype or clients guess: alternative spellings of the endpoint's path are
// normalized, and wrong addresses get a hint with the right one.
import { isAccepted, isAcceptedByName } from "./accept.ts";
import { RPC, rpcError } from "./json-rpc.ts";

const METADATA_PATH = "/.well-known/oauth-protected-resource";
/** The usual endpoint of servers with the HTTP+SSE transport (MCP 2024-11-05). */
const SSE_PATHS = ["/sse", "/sse/"];

/**
 * Rewrites alternative spellings to the path of the endpoint or of its metadata: `/mcp/` becomes `/mcp`, and metadata
 * (RFC 9728 §3.1) is also found without the path suffix.
 */
export function normalizeEndpointPath(request: Request, path: string): Request {
  const url = new URL(request.url);
  const endpointPath = findEndpointPath(url.pathname, path);
  if (endpointPath === undefined) return request;
  url.pathname = endpointPath;
  return new Request(url.href, request);
}

function findEndpointPath(pathname: string, path: string): string | undefined {
  if (pathname === `${path}/`) return path;
  const isMetadata = [METADATA_PATH, `${METADATA_PATH}/`, `${METADATA_PATH}${path}/`].includes(pathname);
  return isMetadata ? `${METADATA_PATH}${path}` : undefined;
}

/** Whether a client expects an endpoint at the bare origin or at `/sse`. Browsers are not meant: they get the page at `/`. */
export function isWrongEndpoint({ method, url, headers }: Request): boolean {
  const { pathname } = new URL(url);
  if (SSE_PATHS.includes(pathname)) return true;
  if (pathname !== "/") return false;
  if (method !== "GET" && method !== "HEAD") return true;
  const accept = headers.get("Accept");
  return isAcceptedByName(accept, "text/event-stream") && !isAccepted(accept, "text/html");
}

/**
 * Answers a request to a wrong address with the endpoint's own challenge, so that the client finds the sign-in, and with a
 * message that names the right URL. A client that already sends an access token gets 404, because a 401 would make it sign
 * in again and again.
 */
export async function createEndpointHint(
  request: Request,
  resource: string,
  serveEndpoint: (request: Request) => Promise<Response>,
): Promise<Response> {
  const { method } = request;
  const headers = new Headers(request.headers);
  for (const name of ["Authorization", "Content-Length", "Content-Type"]) headers.delete(name);
  const challenge = await serveEndpoint(new Request(resource, { method, headers }));
  // A CORS preflight is answered without a challenge.
  if (challenge.status !== 401) return challenge;
  const status = request.headers.has("Authorization") ? 404 : 401;
  const message = `There is no MCP endpoint at ${new URL(request.url).pathname}. Connect to ${resource}.`;
  return rpcError(status, RPC.server, message, challenge.headers);
}
