// Answers over https tell browsers to stay with https (RFC 6797).

/** A year. Other hosts of the domain are the operator's to decide about, so there is no `includeSubDomains`. */
const HEADER = "max-age=31536000";

/** The answer with `Strict-Transport-Security`, when the request came over https: over http a browser must not believe it (RFC 6797 §8.1). */
export function withStrictTransport(request: Request, response: Response): Response {
  if (new URL(request.url).protocol !== "https:") return response;
  // The headers of an answer that came from an object or the network cannot be changed.
  const answer = new Response(response.body, response);
  answer.headers.set("Strict-Transport-Security", HEADER);
  return answer;
}
