// Registration requests before the OAuth provider sees them: one redirect URI that nobody could use must not fail a client
// that brings usable ones too.
import { readText } from "../lib/body.ts";
import { firstInvisible } from "../lib/visible-text.ts";
import { refuseInvisibleNames } from "./client-names.ts";

/** The provider's own limit; what is larger it refuses. */
const MAX_BYTES = 1_048_576;
/** Schemes that lead into the browser itself instead of back to a program. */
const NEVER = ["javascript:", "data:", "vbscript:", "file:", "mailto:", "blob:", "about:"];

/**
 * Leaves out the redirect URIs that can never be registered, as long as one is left (RFC 7591 §3.2.1: the server may register fewer
 * than were asked for, and its answer says which). Schemes of programs, such as `cursor:`, stay listed: they are never sent a code. 413 when
 * it is too large.
 */
export async function withUsableRedirects(request: Request): Promise<Request | Response> {
  if (request.method !== "POST") return request;
  const text = await readText(request, MAX_BYTES);
  if (text === undefined) return Response.json({ error: "invalid_request" }, { status: 413 });
  const refusal = refuseInvisibleNames(text);
  if (refusal !== undefined) return refusal;
  const headers = [...request.headers].filter(([name]) => name.toLowerCase() !== "content-length");
  return new Request(request.url, { method: "POST", headers, body: narrow(text) });
}

function narrow(text: string): string {
  let metadata: unknown;
  try {
    metadata = JSON.parse(text);
  } catch {
    // The provider says what is wrong with it.
    return text;
  }
  if (typeof metadata !== "object" || metadata === null || !("redirect_uris" in metadata)) return text;
  const { redirect_uris: asked } = metadata;
  if (!Array.isArray(asked)) return text;
  const usable = asked.filter(isRegistrable);
  return usable.length === 0 ? text : JSON.stringify({ ...metadata, redirect_uris: usable });
}

function isRegistrable(uri: unknown): boolean {
  if (typeof uri !== "string" || !URL.canParse(uri) || uri.includes("#") || firstInvisible(uri) !== undefined)
    return false;
  const { protocol, username, password } = new URL(uri);
  return !NEVER.includes(protocol) && username === "" && password === "";
}
