// Adds the header with which https responses tell browsers to stay with https (RFC 6797).

/** One year. Without `includeSubDomains`, because the operator decides about other hosts of the domain. */
const HEADER = "max-age=31536000";

/**
 * Adds `Strict-Transport-Security` to the response when the request came over https. Over http a browser must ignore it
 * (RFC 6797 §8.1).
 */
export function withStrictTransport(request: Request, response: Response): Response {
  if (new URL(request.url).protocol !== "https:") return response;
  // The headers of a response from a Durable Object or the network are immutable.
  const mutableResponse = new Response(response.body, response);
  mutableResponse.headers.set("Strict-Transport-Security", HEADER);
  return mutableResponse;
}
