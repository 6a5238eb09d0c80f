// Cookies of this server's pages. All have the prefix `__Host-`, so that no other host, subdomain or plain HTTP response can
// set them (RFC 6265bis §4.1.3.2).

/** A cookie name that browsers bind to this host. */
export type HostCookieName = `__Host-${string}`;

/** Builds a Set-Cookie value. From another site, browsers send the cookie only with top-level navigations (`SameSite=Lax`). */
export function buildHostCookie(name: HostCookieName, value: string, maxAgeSeconds: number): string {
  return `${name}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}`;
}

/** Builds a Set-Cookie value that deletes the cookie. */
export function clearCookie(name: HostCookieName): string {
  return buildHostCookie(name, "", 0);
}

/** Reads the value of a cookie, undefined when the request does not have it. */
export function readCookie(request: Request, name: HostCookieName): string | undefined {
  for (const pair of (request.headers.get("Cookie") ?? "").split(";")) {
    const equalsIndex = pair.indexOf("=");
    if (pair.slice(0, equalsIndex).trim() === name) return pair.slice(equalsIndex + 1).trim();
  }
  return undefined;
}
