// Cookies of our own pages: all of them `__Host-` ones, so that no other host, subdomain or plain connection can set them
// (RFC 6265bis §4.1.3.2).

/** A name that browsers keep to this host. */
export type HostCookieName = `__Host-${string}`;

/** A Set-Cookie value. It comes back with navigations from other sites, and with no other request of theirs. */
export function hostCookie(name: HostCookieName, value: string, maxAgeSeconds: number): string {
  return `${name}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}`;
}

/** A Set-Cookie value that takes the cookie away. */
export function clearedCookie(name: HostCookieName): string {
  return hostCookie(name, "", 0);
}

export function readCookie(request: Request, name: HostCookieName): string | undefined {
  for (const pair of (request.headers.get("Cookie") ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}
