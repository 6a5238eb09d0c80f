// Where the browser goes after sign-in: the requested page of this server, or the start page.

const MAX_CHARACTERS = 1000;

/**
 * Resolves a path to a URL at `origin`, and anything else to the start page. Parsers may read whole URLs, `//host`, backslashes and the
 * like as another origin, which would make this an open redirector (RFC 9700 §4.11.1). The result is a whole URL, because a path may
 * start with two slashes after normalisation.
 */
export function resolveReturnUrl(path: string | undefined, origin: string): string {
  const start = `${origin}/`;
  if (path === undefined || path.length > MAX_CHARACTERS || !path.startsWith("/") || !URL.canParse(path, origin))
    return start;
  const url = new URL(path, origin);
  return url.origin === origin ? url.href : start;
}
