// Header values of the protocol as they were meant: a client may send any of them as `=?base64?…?=` (MCP 2026-07-28, Streamable HTTP),
// and must where the value is not plain ASCII.
import { rpcError } from "./json-rpc.ts";

const PREFIX = "=?base64?";
const SUFFIX = "?=";
/** With its padding, in the standard alphabet, without spaces: `atob` takes more than the specification does. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** What a header can hold as it is. */
const PLAIN = /^[\x20-\x7e]*$/;
/** `HeaderMismatch` of the 2026 revision, its code for headers that cannot be read too. */
const HEADER_MISMATCH = -32020;

/** The headers whose values are ASCII. `Mcp-Name` may be any text, which no header could hold once it is decoded. */
const ASCII_HEADERS = ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Session-Id", "Last-Event-ID"];
const NAME_HEADER = "Mcp-Name";

/** The value that was meant; undefined when it is encoded and the payload is not Base64 of UTF-8. */
export function decodeHeaderValue(value: string): string | undefined {
  if (!isEncoded(value)) return value;
  const payload = value.slice(PREFIX.length, -SUFFIX.length);
  if (!BASE64.test(payload)) return undefined;
  const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // No UTF-8: the caller says so.
    return undefined;
  }
}

/** The request with the protocol's ASCII headers decoded, or the refusal of one that cannot be read (400). */
export function decodeHeaders(request: Request): Request | Response {
  const name = request.headers.get(NAME_HEADER);
  if (name !== null && decodeHeaderValue(name) === undefined) return unreadable(NAME_HEADER);
  const encoded = ASCII_HEADERS.filter((header) => isEncoded(request.headers.get(header) ?? ""));
  if (encoded.length === 0) return request;
  const headers = new Headers(request.headers);
  for (const header of encoded) {
    const value = decodeHeaderValue(headers.get(header) ?? "");
    if (value === undefined || !PLAIN.test(value)) return unreadable(header);
    headers.set(header, value);
  }
  return new Request(request, { headers });
}

/** The text of `Mcp-Name`; null when there is none. */
export function readName({ headers }: Request): string | null {
  const value = headers.get(NAME_HEADER);
  return value === null ? null : (decodeHeaderValue(value) ?? null);
}

function isEncoded(value: string): boolean {
  return value.length >= PREFIX.length + SUFFIX.length && value.startsWith(PREFIX) && value.endsWith(SUFFIX);
}

function unreadable(header: string): Response {
  const message = `Bad Request: the ${header} header is not valid Base64 of UTF-8 text.`;
  return rpcError(400, HEADER_MISMATCH, message);
}
