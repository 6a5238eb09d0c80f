// Checks that a client without an access token gets 401 and the way to sign in (RFC 9728 §5.1; MCP authorization) on every method and
// in both eras, and that pages of other web sites get nothing.
import { fine, problem, quote } from "./finding.ts";
import type { Finding } from "./finding.ts";
import type { Send } from "./http.ts";
import { OPENINGS, headersOf } from "./messages.ts";
import type { Target } from "./target.ts";

const FOREIGN_ORIGIN = "https://doctor-of-gatehouse.invalid";

/** Where a client of this resource looks for its metadata (RFC 9728 §3.1). */
export function metadataUrlOf({ resource }: Target): string {
  const { origin, pathname } = new URL(resource);
  return `${origin}/.well-known/oauth-protected-resource${pathname}`;
}

/** The three kinds of first request that clients send. */
const FIRST_REQUESTS: readonly (readonly [check: string, init: RequestInit])[] = [
  ["challenge on GET", { headers: { accept: "text/event-stream" } }],
  ["challenge on POST (2025)", { method: "POST", headers: headersOf("2025"), body: JSON.stringify(OPENINGS["2025"]) }],
  ["challenge on POST (2026)", { method: "POST", headers: headersOf("2026"), body: JSON.stringify(OPENINGS["2026"]) }],
];

/** Sends each kind of first request without an access token and judges the challenge. */
export async function examineChallenges(target: Target, send: Send): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [check, init] of FIRST_REQUESTS) {
    const { status, headers } = await send(target.resource, init);
    findings.push(judgeChallenge(check, status, headers.get("www-authenticate"), metadataUrlOf(target)));
  }
  return findings;
}

function judgeChallenge(check: string, status: number, header: string | null, expected: string): Finding {
  if (status === 404)
    return problem(
      check,
      "there is no endpoint at this URL (404)",
      "Give the URL that clients connect to; it ends in /mcp.",
    );
  if (status === 403)
    return problem(
      check,
      "the server does not answer under this host name (403)",
      "Set GATEHOUSE_URL to the origin that clients use and deploy, or use the host name that it is set to.",
    );
  if (status === 429)
    return problem(check, "too many requests came from this machine (429)", "Wait a minute, then run this again.");
  if (status < 400)
    return problem(
      check,
      `it answers ${status} to a client without an access token`,
      "Anyone can use it. Another server answers in the Worker's place, or the deployed Worker was changed: deploy this repository again.",
    );
  if (status !== 401)
    return problem(
      check,
      `it answers ${status} instead of 401`,
      "Clients cannot find the sign-in. Look for a rule in front of the Worker that answers in its place.",
    );
  if (header === null || !/^Bearer\b/i.test(header))
    return problem(
      check,
      "the 401 has no WWW-Authenticate: Bearer",
      "Clients cannot find the sign-in. A transform rule or a proxy in front of the Worker removes the header.",
    );
  const metadataUrl = /\bresource_metadata="([^"]*)"/.exec(header)?.[1];
  if (metadataUrl !== expected)
    return problem(
      check,
      `the challenge names ${quote(metadataUrl)} as its metadata, not ${expected}`,
      "Set GATEHOUSE_URL to the origin that clients use, and deploy.",
    );
  return fine(check, "401 with the way to sign in");
}

/** Checks that a foreign Origin is refused: through DNS rebinding, a page could use the browser of a user inside the network. */
export async function examineOrigin(target: Target, send: Send): Promise<Finding> {
  const body = JSON.stringify(OPENINGS["2025"]);
  const { status, headers } = await send(target.resource, {
    method: "POST",
    headers: { ...headersOf("2025"), origin: FOREIGN_ORIGIN },
    body,
  });
  const readable = headers.get("access-control-allow-origin");
  if (status === 403 && readable === null) return fine("foreign origins", "refused");
  return problem(
    "foreign origins",
    status === 403
      ? `refused, but readable for ${quote(readable)}`
      : `a page of another site gets ${status} instead of 403`,
    "MCP requires servers to refuse foreign Origins. A proxy in front removes the Origin header or answers in the Worker's place.",
  );
}

const READABLE: readonly (readonly [name: string, path: string])[] = [
  ["the resource's metadata", ""],
  ["the authorization server's metadata", "/.well-known/oauth-authorization-server"],
];

/**
 * Checks CORS for clients in a browser, such as the Inspector: they read metadata from any origin, and send registration and token
 * requests after a preflight. `endpoints` are the URLs that the metadata names.
 */
export async function examineCors(
  target: Target,
  endpoints: readonly string[],
  send: Send,
): Promise<readonly Finding[]> {
  const unreadable: string[] = [];
  for (const [name, path] of READABLE) {
    const url = path === "" ? metadataUrlOf(target) : `${target.origin}${path}`;
    const { headers } = await send(url, { headers: { origin: FOREIGN_ORIGIN } });
    if (!allows(headers, FOREIGN_ORIGIN)) unreadable.push(name);
  }
  const preflight = { "access-control-request-method": "POST", "access-control-request-headers": "content-type" };
  for (const url of endpoints) {
    const { status, headers } = await send(url, {
      method: "OPTIONS",
      headers: { ...preflight, origin: FOREIGN_ORIGIN },
    });
    if (status >= 300 || !allows(headers, FOREIGN_ORIGIN)) unreadable.push(quote(new URL(url).pathname));
  }
  const sameOrigin = await send(target.resource, {
    method: "POST",
    headers: { ...headersOf("2025"), origin: target.origin },
    body: "{}",
  });
  const exposed = sameOrigin.headers.get("access-control-expose-headers")?.toLowerCase() ?? "";
  if (!allows(sameOrigin.headers, target.origin) || !exposed.includes("www-authenticate"))
    unreadable.push("the challenge, for this server's own pages");
  if (unreadable.length === 0) return [fine("cors", "clients in browsers can read metadata, register and sign in")];
  return [
    problem(
      "cors",
      `clients in browsers cannot read ${unreadable.join(", ")}`,
      "A transform rule or a proxy in front replaces or removes the Access-Control headers that Gatehouse sends.",
    ),
  ];
}

function allows(headers: Headers, origin: string): boolean {
  return ["*", origin].includes(headers.get("access-control-allow-origin") ?? "");
}
