// Refusals of the OAuth endpoints that are made before the OAuth provider: the error form of RFC 6749 §5.2, which RFC 7591 §3.2.2 shares.

export interface OAuthRefusal {
  readonly status: number;
  /** The error code that clients read. */
  readonly error: string;
  /** For the client's developer. */
  readonly description: string;
  readonly retryAfterSeconds?: number;
}

/** Builds the answer. As the provider does, it lets pages of any origin read it: without that a browser's client sees a network error. */
export function refuseOAuth(request: Request, refusal: OAuthRefusal): Response {
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
