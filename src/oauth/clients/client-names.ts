// Checks the texts of a registration for invisible characters, because the consent page shows them before users trust the client.
import { describeInvisible, firstInvisible } from "../../lib/visible-text.ts";

/**
 * Finds an invisible character in the texts of a registration and says which field has it; undefined when there is none.
 * Redirect URIs are checked elsewhere.
 */
export function describeInvisibleName(metadata: Readonly<Record<string, unknown>>): string | undefined {
  for (const [field, value] of Object.entries(metadata)) {
    // The name of a translated field ends with its language: `client_name#de`.
    const codePoint = firstInvisible(field) ?? (field === "redirect_uris" ? undefined : findInvisible(value));
    if (codePoint === undefined) continue;
    const name = /^[\w#-]{1,60}$/.test(field) ? field : "A field";
    return `${name} ${describeInvisible(codePoint)}`;
  }
  return undefined;
}

/** Searches a text, or the texts of a list. */
function findInvisible(value: unknown): string | undefined {
  const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
  return texts.flatMap((text) => (typeof text === "string" ? (firstInvisible(text) ?? []) : []))[0];
}
