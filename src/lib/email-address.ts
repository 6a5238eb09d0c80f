// Normalises email addresses to one spelling. Identities, members, groups and commands use it, so that `===` and SQL's `=` are
// enough to compare addresses. It does not check that an address exists or is verified.
import { codePointOf } from "./visible-text.ts";

declare const spelling: unique symbol;

/** An address in its normalised spelling: ASCII, with `A`–`Z` in lower case. */
export type EmailAddress = string & { readonly [spelling]: "email address" };

/** Ends each message that refuses an address. */
export const EMAIL_ADDRESS_FORM =
  "An address is written in ASCII, such as ann@example.com, without spaces, quotes or control characters.";

/** RFC 5321 §4.5.3.1. */
const MAX_LOCAL_CHARACTERS = 64;
const MAX_CHARACTERS = 254;
/** RFC 5321 §4.1.2, `Dot-string`. Quoted local parts are refused: they are a second spelling of an unquoted mailbox. */
const LOCAL = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
/** RFC 5321 §4.1.2, `Domain`, without a trailing dot or address literals. */
const DOMAIN = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

/**
 * Parses an address; undefined for anything else. It refuses non-ASCII text before it folds case: Unicode folding turns the
 * Kelvin sign into `k`, and so one user's address into another's. It does not trim, because an untrimmed address is a second
 * spelling.
 */
export function parseEmailAddress(value: unknown): EmailAddress | undefined {
  if (typeof value !== "string" || value.length > MAX_CHARACTERS) return undefined;
  const at = value.lastIndexOf("@");
  const local = value.slice(0, Math.max(at, 0));
  const isAddress = local.length <= MAX_LOCAL_CHARACTERS && LOCAL.test(local) && DOMAIN.test(value.slice(at + 1));
  return isAddress ? (foldAscii(value) as EmailAddress) : undefined;
}

/** Converts `A`–`Z` to lower case and changes nothing else. */
export function foldAscii(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/**
 * Formats a text that is not an address for a message: characters that a terminal or page would not show become their code
 * points.
 */
export function describeAddress(text: string): string {
  return text.replaceAll(/[^\u0021-\u007e]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** How many invalid characters of an address a log names. */
const MAX_NAMED_CHARACTERS = 5;

/**
 * Shortens a text that may be an address for a log that must not identify its owner: `k…@red.example`. Characters that no
 * address has may be the reason for a refusal, so their code points are added.
 */
export function shortenAddress(text: string): string {
  const at = text.lastIndexOf("@");
  const [first = ""] = at === 0 ? "" : text;
  const domain = at === -1 ? "" : `@${/^[A-Za-z0-9.-]*/.exec(text.slice(at + 1))?.[0] ?? ""}`;
  const codePoints = [...new Set(text.match(/[^\u0021-\u007e]/gu))].map(codePointOf);
  const suffix = codePoints.length === 0 ? "" : ` (with ${codePoints.slice(0, MAX_NAMED_CHARACTERS).join(", ")})`;
  return `${/[\u0021-\u007e]/.test(first) ? first : ""}…${domain}${suffix}`;
}

/**
 * Shortens every address in another system's text for a log, including addresses that are encoded for a URL. Idempotent.
 */
export function shortenAddresses(text: string): string {
  return text.replaceAll(/(?<![^\s"'<>()[\],;:=&…])[^\s"'<>()[\],;:=&…]+(?:@|%40)[^\s"'<>()[\],;:=&]+/giu, (address) =>
    shortenAddress(address.replaceAll(/%40/gi, "@")),
  );
}
