// Which redirect URIs a client may register, and how one of a program is told from one of the web. The OAuth provider compares the URI of
// a request with the registered ones.
import { firstInvisible } from "../lib/visible-text.ts";

/** As the provider has it (RFC 8252 §7.3). The URL parser leaves the case of hosts as it is where the scheme is not of the web. */
const LOOPBACK_HOST = /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})$/i;

/**
 * Whether a client may return to it: https, http on a loopback host, or a private-use scheme that the operator allows (RFC 8252
 * §7.1). Never with a fragment or user information, which could make the shown host differ from the real one.
 */
export function isUsableRedirectUri(uri: unknown, allowedSchemes: readonly string[]): uri is string {
  if (typeof uri !== "string" || !URL.canParse(uri) || /[#\s]/u.test(uri) || firstInvisible(uri) !== undefined)
    return false;
  const { protocol, hostname, username, password } = new URL(uri);
  if (username !== "" || password !== "") return false;
  if (protocol === "https:") return true;
  return protocol === "http:" ? LOOPBACK_HOST.test(hostname) : allowedSchemes.includes(protocol.slice(0, -1));
}

/** The scheme of a program's redirect URI with its colon, such as `cursor:`. Undefined for one of the web. */
export function privateUseScheme(uri: string): string | undefined {
  if (!URL.canParse(uri)) return undefined;
  const { protocol } = new URL(uri);
  return protocol === "https:" || protocol === "http:" ? undefined : protocol;
}

/** Whether the provider would let its port differ from the registered one, which is right for http alone. */
export function hasFloatingPort(uri: string): boolean {
  return LOOPBACK_HOST.test(new URL(uri).hostname);
}
