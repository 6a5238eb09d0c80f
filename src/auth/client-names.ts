// What a client that registers calls itself: the consent page shows it to people before they trust the client.
import { describeInvisible, firstInvisible } from "../lib/visible-text.ts";

/**
 * Finds an invisible character in the texts of a registration, and says which field has it. Redirect URIs have a check of their own.
 * Undefined when every text can be seen whole.
 */
export function describeInvisibleName(metadata: Readonly<Record<string, unknown>>): string | undefined {
  for (const [field, value] of Object.entries(metadata)) {
    // A field of another language is named after it: `client_name#de`.
    const codePoint = firstInvisible(field) ?? (field === "redirect_uris" ? undefined : findInvisible(value));
    if (codePoint === undefined) continue;
    const name = /^[\w#-]{1,60}$/.test(field) ? field : "A field";
    return `${name} ${describeInvisible(codePoint)}`;
  }
  return undefined;
}

/** In a text, or in the texts of a list. */
function findInvisible(value: unknown): string | undefined {
  const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
  return texts.flatMap((text) => (typeof text === "string" ? (firstInvisible(text) ?? []) : []))[0];
}
