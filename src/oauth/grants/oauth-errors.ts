// Builds the replies of the token endpoint that Gatehouse gives instead of the OAuth provider.
import type { TokenReply } from "./grant-protocol.ts";

const JSON_HEADERS = { "content-type": "application/json", "cache-control": "no-store", pragma: "no-cache" };

/**
 * Reports a temporary fault, so that the client keeps its refresh token and tries again. It is the only safe reply while it is
 * unknown whether the refresh token is valid.
 */
export function createUnavailableReply(): TokenReply {
  return {
    status: 503,
    headers: { ...JSON_HEADERS, "retry-after": "2" },
    body: buildErrorBody("temporarily_unavailable", "Try again in a moment"),
  };
}

/** Refuses a refresh token (RFC 6749 §5.2). `originalReply` answers the same request and supplies the CORS headers. */
export function createInvalidGrantReply(originalReply: TokenReply): TokenReply {
  return {
    status: 400,
    headers: { ...originalReply.headers, ...JSON_HEADERS },
    body: buildErrorBody("invalid_grant", "Invalid refresh token"),
  };
}

/** Repeats the body of an earlier reply with the CORS headers of `originalReply`. */
export function createRepeatedReply(originalReply: TokenReply, body: string): TokenReply {
  return { status: 200, headers: { ...originalReply.headers, ...JSON_HEADERS }, body };
}

/** Refuses a client whose assertion is invalid or was used before (RFC 7523 §3). */
export function createInvalidClientReply(): TokenReply {
  return { status: 401, headers: JSON_HEADERS, body: buildErrorBody("invalid_client", "Client authentication failed") };
}

/** Converts a reply to an HTTP response. */
export function toHttpResponse({ status, headers, body }: TokenReply): Response {
  return new Response(body, { status, headers });
}

/** Converts an HTTP response to a reply, which can cross RPC. */
export async function toTokenReply(response: Response): Promise<TokenReply> {
  return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
}

function buildErrorBody(error: string, description: string): string {
  return JSON.stringify({ error, error_description: description });
}
