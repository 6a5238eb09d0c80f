// Decodes the protocol's header values: a client may send any of them as `=?base64?…?=` and must do so for values that are
// not plain ASCII (MCP 2026-07-28, Streamable HTTP).
import { rpcError } from "./json-rpc.ts";

const ENCODED_PREFIX = "=?base64?";
const ENCODED_SUFFIX = "?=";
/** Standard alphabet, padded, without spaces. `atob` accepts more than the specification allows. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** Values that a header can hold unencoded. */
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
/** `HeaderMismatch` of the 2026 revision, which also covers undecodable headers. */
const HEADER_MISMATCH_CODE = -32020;

/** Headers whose decoded values are ASCII. `Mcp-Name` stays encoded: its text may not fit in a header. */
const ASCII_HEADERS = ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Session-Id", "Last-Event-ID"];
const NAME_HEADER = "Mcp-Name";

/** Decodes a header value. Undefined when it is encoded and the payload is not Base64 of UTF-8 text. */
export function decodeHeaderValue(value: string): string | undefined {
  if (!isEncoded(value)) return value;
  const payload = value.slice(ENCODED_PREFIX.length, -ENCODED_SUFFIX.length);
  if (!BASE64.test(payload)) return undefined;
  const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // Invalid UTF-8: the caller reports it.
    return undefined;
  }
}

/** Returns the request with its ASCII protocol headers decoded, or a 400 response when a header cannot be decoded. */
export function decodeHeaders(request: Request): Request | Response {
  const name = request.headers.get(NAME_HEADER);
  if (name !== null && decodeHeaderValue(name) === undefined) return createUnreadableHeaderError(NAME_HEADER);
  const encoded = ASCII_HEADERS.filter((header) => isEncoded(request.headers.get(header) ?? ""));
  if (encoded.length === 0) return request;
  const headers = new Headers(request.headers);
  for (const header of encoded) {
    const value = decodeHeaderValue(headers.get(header) ?? "");
    if (value === undefined || !PRINTABLE_ASCII.test(value)) return createUnreadableHeaderError(header);
    headers.set(header, value);
  }
  return new Request(request, { headers });
}

/** Returns the decoded text of `Mcp-Name`; null when the header is absent. */
export function readName({ headers }: Request): string | null {
  const value = headers.get(NAME_HEADER);
  return value === null ? null : (decodeHeaderValue(value) ?? null);
}

function isEncoded(value: string): boolean {
  return (
    value.length >= ENCODED_PREFIX.length + ENCODED_SUFFIX.length &&
    value.startsWith(ENCODED_PREFIX) &&
    value.endsWith(ENCODED_SUFFIX)
  );
}

function createUnreadableHeaderError(header: string): Response {
  const message = `Bad Request: the ${header} header is not valid Base64 of UTF-8 text.`;
  return rpcError(400, HEADER_MISMATCH_CODE, message);
}
