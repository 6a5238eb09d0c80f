// Refuses half characters in what a client sends. JSON can carry half of a surrogate pair ("\ud83d"), but UTF-8 cannot: a database, a
// namespace or the audit record would silently store U+FFFD in its place, and a key or a value would become another one.
import { AppError } from "../../errors.ts";
import { escapeInvisible } from "../../lib/visible-text.ts";

/** Requires that no text in the arguments has a lone surrogate. Errors: `invalid_input`, with the argument. */
export function requireWellFormed(input: Readonly<Record<string, unknown>>): void {
  const path = findIllFormed(input, "");
  if (path === undefined) return;
  const message = `${path} has half of a Unicode character (a lone surrogate). Remove it, or send the whole character.`;
  throw new AppError("invalid_input", message);
}

/** Finds the path of a text or a name with a lone surrogate, such as `params[2]`. */
function findIllFormed(value: unknown, path: string): string | undefined {
  if (typeof value === "string") return value.isWellFormed() ? undefined : path;
  if (typeof value !== "object" || value === null) return undefined;
  for (const [name, inner] of Object.entries(value)) {
    const innerPath = joinPath(path, name, Array.isArray(value));
    const illFormedPath = name.isWellFormed() ? findIllFormed(inner, innerPath) : innerPath;
    if (illFormedPath !== undefined) return illFormedPath;
  }
  return undefined;
}

function joinPath(path: string, name: string, isIndex: boolean): string {
  if (isIndex) return `${path}[${name}]`;
  const shownName = escapeInvisible(name);
  return path === "" ? shownName : `${path}.${shownName}`;
}
