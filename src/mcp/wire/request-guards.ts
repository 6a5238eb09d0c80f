// Checks that run before the caller is known: where a request came from, where it was sent and what shape its body has.
// Each check returns the error response that the MCP transport or HTTP defines, or undefined.
import { isJsonContentType } from "@modelcontextprotocol/server";
import { readBodyText } from "../../lib/body.ts";
import { RPC, rpcError } from "./json-rpc.ts";

/** A name or address, and a port (RFC 9110 §7.2). No percent-encoding, because two spellings of a host could pass as two hosts. */
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?$/i;

/**
 * Refuses a request with an invalid target or Host header: `*`, a repeated header, user info, or a path in the host. The
 * Workers runtime joins both unchecked, so the result may not be a URL, or may name another host or path.
 */
export function refuseTarget(request: Request): Response | undefined {
  const host = request.headers.get("Host");
  const isParsable = URL.canParse(request.url) && (host === null || HOST.test(host));
  if (isParsable && hasPlainAuthority(new URL(request.url))) return undefined;
  return rpcError(400, RPC.server, "The request target or the Host header is invalid.");
}

function hasPlainAuthority({ host, username, password }: URL): boolean {
  return username === "" && password === "" && HOST.test(host);
}

/**
 * Refuses pages of other web sites (DNS rebinding; MCP Transports, Security Warning): an `Origin` header must equal one of
 * the allowed origins. Programs send no `Origin` and pass.
 */
export function refuseOrigin(request: Request, allowedOrigins: readonly string[]): Response | undefined {
  const origin = request.headers.get("Origin");
  if (origin === null || allowedOrigins.includes(origin)) return undefined;
  return rpcError(403, RPC.server, "Requests from this Origin are not allowed.");
}

/** Refuses a request to any host name other than the configured one. */
export function refuseHost(request: Request, host: string): Response | undefined {
  if (new URL(request.url).host === host) return undefined;
  return rpcError(403, RPC.server, `This server accepts requests only at ${host}.`);
}

/** A request body, both as received and parsed. */
export interface JsonBody {
  readonly text: string;
  readonly value: unknown;
}

/**
 * Refuses a compressed body with 415 and `Accept-Encoding` (RFC 9110 §12.5.3). Bodies are never decompressed, because a few
 * bytes can expand to gigabytes.
 */
function refuseEncoding(request: Request): Response | undefined {
  const codings = (request.headers.get("Content-Encoding") ?? "")
    .split(",")
    .map((coding) => coding.trim().toLowerCase());
  if (codings.every((coding) => coding === "" || coding === "identity")) return undefined;
  return rpcError(415, RPC.server, "Content-Encoding is not supported: send the body uncompressed.", {
    "Accept-Encoding": "identity",
  });
}

/** Maximum number of messages in a batch, well above what clients send. */
const MAX_BATCH = 50;

/** Counts the messages of a parsed body, at least 1. Undefined when the batch is too large. */
export function countMessages(body: unknown): number | undefined {
  if (!Array.isArray(body)) return 1;
  return body.length > MAX_BATCH ? undefined : Math.max(1, body.length);
}

/**
 * Reads a JSON body of at most `maxBytes`, counted while reading rather than taken from Content-Length. Otherwise returns a
 * refusal: 415 for another media type or encoding, 413 for a body that is too large, 400 for invalid JSON.
 */
export async function readJsonBody(
  request: Request,
  maxBytes: number,
): Promise<JsonBody | { readonly refusal: Response }> {
  if (!isJsonContentType(request.headers.get("Content-Type") ?? "")) {
    return { refusal: rpcError(415, RPC.server, "Content-Type must be application/json.") };
  }
  const encodingRefusal = refuseEncoding(request);
  if (encodingRefusal !== undefined) return { refusal: encodingRefusal };
  try {
    // Half of a surrogate pair as bytes would otherwise arrive as U+FFFD, and name another value than the client meant.
    const text = await readBodyText(request, maxBytes, new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }));
    if (text === undefined) return { refusal: rpcError(413, RPC.server, `The body is larger than ${maxBytes} bytes.`) };
    return { text, value: JSON.parse(text) };
  } catch {
    // Not UTF-8, or not JSON. The parser's message may quote the body, so the client gets only the specification's name for the error.
    return { refusal: rpcError(400, RPC.parseError, "Parse error: the body is not JSON.") };
  }
}
