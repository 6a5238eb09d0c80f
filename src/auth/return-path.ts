// Where a person goes after signing in: the page that they wanted, which is one of ours or none.

const MAX_CHARACTERS = 1000;

/**
 * The URL at `origin` that a path names; the start page for anything else. Whole URLs, `//host`, backslashes and the like
 * lead to other origins in some reading, and this must not become anybody's redirector (RFC 9700 §4.11.1). The result is a
 * whole URL, since a path may come out of normalisation with two slashes in front.
 */
export function returnUrl(path: string | undefined, origin: string): string {
  const start = `${origin}/`;
  if (path === undefined || path.length > MAX_CHARACTERS || !path.startsWith("/") || !URL.canParse(path, origin))
    return start;
  const url = new URL(path, origin);
  return url.origin === origin ? url.href : start;
}
