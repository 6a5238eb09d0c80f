// The checks that come before anything is known about the caller: where the request came from and what shape it has.
// Each takes plain data and says no with the error that the MCP transport or HTTP names.
import { isJsonContentType } from "@modelcontextprotocol/server";
import { readText } from "../lib/body.ts";
import { RPC, rpcError } from "./json-rpc.ts";

/** A name or an address, and a port (RFC 9110 §7.2). No escapes: two spellings of one host would be two hosts to some checks. */
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?$/i;

/**
 * Refuses a request whose target or Host header names no place: `*`, a header that came twice, user-info, a path in the host. The runtime puts both
 * together without a look, and what comes of it may be no URL, or one with another host or path.
 */
export function refuseTarget(request: Request): Response | undefined {
  const host = request.headers.get("Host");
  const isWhole = URL.canParse(request.url) && (host === null || HOST.test(host));
  if (isWhole && isPlain(new URL(request.url))) return undefined;
  return rpcError(400, RPC.server, "The request's target or its Host header is not valid.");
}

function isPlain({ host, username, password }: URL): boolean {
  return username === "" && password === "" && HOST.test(host);
}

/**
 * Refuses pages of other web sites (DNS rebinding; MCP transports, Security Warning): a present `Origin` must be one of
 * the allowed origins, compared whole. Programs send none and pass.
 */
export function refuseOrigin(request: Request, allowedOrigins: readonly string[]): Response | undefined {
  const origin = request.headers.get("Origin");
  if (origin === null || allowedOrigins.includes(origin)) return undefined;
  return rpcError(403, RPC.server, "This Origin may not call this server.");
}

/** Refuses a request that was sent to another host name than the configured one. */
export function refuseHost(request: Request, host: string): Response | undefined {
  if (new URL(request.url).host === host) return undefined;
  return rpcError(403, RPC.server, `This server answers at ${host} only.`);
}

/** A body as it came in and as it was parsed. */
export interface JsonBody {
  readonly text: string;
  readonly value: unknown;
}

/**
 * Refuses a compressed body (RFC 9110 §12.5.3: `Accept-Encoding` says what is taken). It is not unpacked here: a few bytes can
 * stand for gigabytes.
 */
export function refuseEncoding(request: Request): Response | undefined {
  const codings = (request.headers.get("Content-Encoding") ?? "")
    .split(",")
    .map((coding) => coding.trim().toLowerCase());
  if (codings.every((coding) => coding === "" || coding === "identity")) return undefined;
  return rpcError(415, RPC.server, "Content-Encoding is not supported: send the body uncompressed.", {
    "Accept-Encoding": "identity",
  });
}

/** Messages in one body at most; a larger batch is no honest client's. */
const MAX_BATCH = 50;

/** How many messages a parsed body holds, each of which counts. Undefined when they are too many. */
export function countMessages(body: unknown): number | undefined {
  if (!Array.isArray(body)) return 1;
  return body.length > MAX_BATCH ? undefined : Math.max(1, body.length);
}

/** Reads a POST body: JSON of at most `maxBytes`, whatever Content-Length says. 415, 413 and 400 otherwise. */
export async function readJson(request: Request, maxBytes: number): Promise<JsonBody | { readonly refusal: Response }> {
  if (!isJsonContentType(request.headers.get("Content-Type") ?? "")) {
    return { refusal: rpcError(415, RPC.server, "Content-Type must be application/json.") };
  }
  const encoded = refuseEncoding(request);
  if (encoded !== undefined) return { refusal: encoded };
  const text = await readText(request, maxBytes);
  if (text === undefined) return { refusal: rpcError(413, RPC.server, `The body is larger than ${maxBytes} bytes.`) };
  try {
    return { text, value: JSON.parse(text) };
  } catch {
    // The parser's message may quote the body; the specification's name for it is enough.
    return { refusal: rpcError(400, RPC.parseError, "Parse error: the body is not JSON.") };
  }
}
