// The one spelling of an email address. Identities, members, groups and commands use it, so that `===` and SQL's `=` are the only
// comparisons there are. It says nothing of whether an address exists or is verified.
import { codePointOf } from "./visible-text.ts";

declare const spelling: unique symbol;

/** An address in its one spelling: ASCII, `A`–`Z` in lower case. */
export type EmailAddress = string & { readonly [spelling]: "email address" };

/** The end of a message that refuses an address. */
export const EMAIL_ADDRESS_FORM =
  "An address is written in ASCII, such as ann@example.com, without spaces, quotes and control characters.";

/** RFC 5321 §4.5.3.1. */
const MAX_LOCAL_CHARACTERS = 64;
const MAX_CHARACTERS = 254;
/** RFC 5321 §4.1.2, `Dot-string`. A quoted local part is left out: it spells the mailbox of an unquoted one a second time. */
const LOCAL = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
/** RFC 5321 §4.1.2, `Domain`, without a dot at its end and without address literals. */
const DOMAIN = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

/**
 * Parses an address; undefined for anything else. It refuses what is not ASCII before it folds: Unicode folding makes `k` of the
 * Kelvin sign, and so one person's address of another's. It trims nothing, because a trimmed address is a second spelling.
 */
export function parseEmailAddress(value: unknown): EmailAddress | undefined {
  if (typeof value !== "string" || value.length > MAX_CHARACTERS) return undefined;
  const at = value.lastIndexOf("@");
  const local = value.slice(0, Math.max(at, 0));
  const isAddress = local.length <= MAX_LOCAL_CHARACTERS && LOCAL.test(local) && DOMAIN.test(value.slice(at + 1));
  return isAddress ? (foldAscii(value) as EmailAddress) : undefined;
}

/** The same text with `A`–`Z` in lower case, and nothing else changed. */
export function foldAscii(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** A text that is no address, for a message: what a terminal or page would not show as it is, is written as its code point. */
export function describeAddress(text: string): string {
  return text.replaceAll(/[^\u0021-\u007e]/gu, (found) => `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`);
}

/** Code points of an address that a log names. */
const MAX_NAMED_CHARACTERS = 5;

/**
 * A text that may be an address, for a log that must not say whose it is: `k…@red.example`. What no address has, and so may be why it
 * was refused, is named by its code point.
 */
export function shortenAddress(text: string): string {
  const at = text.lastIndexOf("@");
  const [first = ""] = at === 0 ? "" : text;
  const domain = at === -1 ? "" : `@${/^[A-Za-z0-9.-]*/.exec(text.slice(at + 1))?.[0] ?? ""}`;
  const strange = [...new Set(text.match(/[^\u0021-\u007e]/gu))].map(codePointOf);
  const named = strange.length === 0 ? "" : ` (with ${strange.slice(0, MAX_NAMED_CHARACTERS).join(", ")})`;
  return `${/[\u0021-\u007e]/.test(first) ? first : ""}…${domain}${named}`;
}

/** A text of another system for a log, with every address in it shortened, also those that are encoded for a URL. Twice is as once. */
export function shortenAddresses(text: string): string {
  return text.replaceAll(/[^\s"'<>()[\],;:=&…]+(?:@|%40)[^\s"'<>()[\],;:=&]+/giu, (found) =>
    shortenAddress(found.replaceAll(/%40/gi, "@")),
  );
}
