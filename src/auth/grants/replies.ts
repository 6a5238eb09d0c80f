// Answers of the token endpoint that are ours and not the OAuth provider's.
import type { TokenReply } from "./protocol.ts";

const JSON_HEADERS = { "content-type": "application/json", "cache-control": "no-store", pragma: "no-cache" };

/** A passing fault: the client keeps its token and tries again. Nothing else may be answered while it is not known whether a token is good. */
export function unavailable(): TokenReply {
  return {
    status: 503,
    headers: { ...JSON_HEADERS, "retry-after": "2" },
    body: errorBody("temporarily_unavailable", "Try again in a moment"),
  };
}

/** RFC 6749 §5.2. `like` is an answer to the same request, for its CORS headers. */
export function invalidGrant(like: TokenReply): TokenReply {
  return {
    status: 400,
    headers: { ...like.headers, ...JSON_HEADERS },
    body: errorBody("invalid_grant", "Invalid refresh token"),
  };
}

/** A token answer that is given again. */
export function repeated(like: TokenReply, body: string): TokenReply {
  return { status: 200, headers: { ...like.headers, ...JSON_HEADERS }, body };
}

/** A client's proof of who it is was used before (RFC 7523 §3). */
export function invalidClient(): TokenReply {
  return { status: 401, headers: JSON_HEADERS, body: errorBody("invalid_client", "Client authentication failed") };
}

export function toResponse({ status, headers, body }: TokenReply): Response {
  return new Response(body, { status, headers });
}

export async function toReply(response: Response): Promise<TokenReply> {
  return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
}

function errorBody(error: string, description: string): string {
  return JSON.stringify({ error, error_description: description });
}
