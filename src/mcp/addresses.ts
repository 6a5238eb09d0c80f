// Addresses that people type and clients guess in the place of the endpoint's own: other spellings of it, and those of other servers.
import { accepts, acceptsByName } from "./accept.ts";
import { RPC, rpcError } from "./json-rpc.ts";

const METADATA = "/.well-known/oauth-protected-resource";
/** Where servers of the HTTP+SSE transport (MCP 2024-11-05) have their endpoint. */
const SSE_PATHS = ["/sse", "/sse/"];

/**
 * The same request under the endpoint's own path, or the path of its metadata. `/mcp/` is `/mcp`, and clients look for the metadata
 * (RFC 9728 §3.1) without the suffix too.
 */
export function withOwnPath(request: Request, path: string): Request {
  const url = new URL(request.url);
  const own = ownPathOf(url.pathname, path);
  if (own === undefined) return request;
  url.pathname = own;
  return new Request(url.href, request);
}

function ownPathOf(pathname: string, path: string): string | undefined {
  if (pathname === `${path}/`) return path;
  const isMetadata = [METADATA, `${METADATA}/`, `${METADATA}${path}/`].includes(pathname);
  return isMetadata ? `${METADATA}${path}` : undefined;
}

/** Whether a client looks for an endpoint where there is none: at the origin alone, or at `/sse`. Browsers get the page at `/`. */
export function isMisdirected({ method, url, headers }: Request): boolean {
  const { pathname } = new URL(url);
  if (SSE_PATHS.includes(pathname)) return true;
  if (pathname !== "/") return false;
  if (method !== "GET" && method !== "HEAD") return true;
  const accept = headers.get("Accept");
  return acceptsByName(accept, "text/event-stream") && !accepts(accept, "text/html");
}

/**
 * Answers such a client with the endpoint's own challenge, so that it finds the sign-in, and with the URL in words. A client that
 * brings a token gets 404: another 401 would make it sign in again and again.
 */
export async function nameEndpoint(
  request: Request,
  resource: string,
  serveEndpoint: (request: Request) => Promise<Response>,
): Promise<Response> {
  const { method } = request;
  const headers = new Headers(request.headers);
  for (const name of ["Authorization", "Content-Length", "Content-Type"]) headers.delete(name);
  const challenge = await serveEndpoint(new Request(resource, { method, headers }));
  // A preflight, which has no body.
  if (challenge.status !== 401) return challenge;
  const status = request.headers.has("Authorization") ? 404 : 401;
  const message = `There is no MCP endpoint at ${new URL(request.url).pathname}. Connect to ${resource}.`;
  return rpcError(status, RPC.server, message, challenge.headers);
}
