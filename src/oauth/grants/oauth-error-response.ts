// Builds refusals of OAuth requests that never reach the OAuth provider, in the format of RFC 6749 §5.2 and RFC 7591 §3.2.2.

interface OAuthError {
  readonly status: number;
  /** The code that clients evaluate. */
  readonly error: string;
  /** The explanation for the client's developer. */
  readonly description: string;
  readonly retryAfterSeconds?: number;
}

/**
 * Builds the error response. Like the provider's, pages of any origin can read it; otherwise a client in a browser sees only a
 * network error.
 */
export function createOAuthErrorResponse(request: Request, refusal: OAuthError): Response {
  const { status, error, description, retryAfterSeconds } = refusal;
  const headers = new Headers({ "Cache-Control": "no-store" });
  if (retryAfterSeconds !== undefined) headers.set("Retry-After", String(retryAfterSeconds));
  const origin = request.headers.get("Origin");
  if (origin !== null) {
    headers.set("Access-Control-Allow-Origin", origin);
    headers.set("Access-Control-Expose-Headers", "Retry-After");
    headers.set("Vary", "Origin");
  }
  return Response.json({ error, error_description: description }, { status, headers });
}
