// Decides which redirect URIs a client may register, and recognises private-use schemes. The OAuth provider compares the URI of
// a request with the registered ones.
import { firstInvisible } from "../../lib/visible-text.ts";

/** The provider's definition of a loopback host (RFC 8252 §7.3). The URL parser keeps the case of hosts in non-web schemes. */
const LOOPBACK_HOST = /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})$/i;

/**
 * Whether a redirect URI is allowed: https, http on a loopback host, or a private-use scheme that the operator allows (RFC 8252
 * §7.1). Fragments and user information are refused, because they could make the displayed host differ from the real one.
 */
export function isUsableRedirectUri(uri: unknown, allowedSchemes: readonly string[]): uri is string {
  if (typeof uri !== "string" || !URL.canParse(uri) || /[#\s]/u.test(uri) || firstInvisible(uri) !== undefined)
    return false;
  const { protocol, hostname, username, password } = new URL(uri);
  if (username !== "" || password !== "") return false;
  if (protocol === "https:") return true;
  return protocol === "http:" ? LOOPBACK_HOST.test(hostname) : allowedSchemes.includes(protocol.slice(0, -1));
}

/** Returns the private-use scheme of a redirect URI with its colon, such as `cursor:`; undefined for http and https. */
export function getPrivateUseScheme(uri: string): string | undefined {
  if (!URL.canParse(uri)) return undefined;
  const { protocol } = new URL(uri);
  return protocol === "https:" || protocol === "http:" ? undefined : protocol;
}

/** Whether the provider would accept any port in the URI, which is correct for http only. */
export function hasFloatingPort(uri: string): boolean {
  return LOOPBACK_HOST.test(new URL(uri).hostname);
}
