// What a client that registers calls itself: the consent page shows it to people before they trust the client.
import { describeInvisible, firstInvisible } from "../lib/visible-text.ts";

/**
 * Refuses metadata with an invisible character in a text: `invalid_client_metadata` (RFC 7591 §3.2.2), naming the field. Redirect
 * URIs have a check of their own. Undefined for everything else, also for what is no metadata.
 */
export function refuseInvisibleNames(text: string): Response | undefined {
  const metadata = parseObject(text);
  for (const [field, value] of Object.entries(metadata)) {
    // A field of another language is named after it: `client_name#de`.
    const codePoint = firstInvisible(field) ?? (field === "redirect_uris" ? undefined : findInvisible(value));
    if (codePoint === undefined) continue;
    const name = /^[\w#-]{1,60}$/.test(field) ? field : "A field";
    const body = { error: "invalid_client_metadata", error_description: `${name} ${describeInvisible(codePoint)}` };
    return Response.json(body, { status: 400, headers: { "Cache-Control": "no-store" } });
  }
  return undefined;
}

function parseObject(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    // The provider says what is wrong with it.
    return {};
  }
}

/** In a text, or in the texts of a list. */
function findInvisible(value: unknown): string | undefined {
  const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
  return texts.flatMap((one) => (typeof one === "string" ? (firstInvisible(one) ?? []) : []))[0];
}
