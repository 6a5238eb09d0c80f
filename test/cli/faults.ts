// Faults of deployments for the doctor's tests: each is one change in front of the healthy local server, with the checks that must
// report it and the text of the first finding.
import type { Asked, Faults, Given } from "../support/node/altering-server.ts";

const CHALLENGES = ["challenge on GET", "challenge on POST (2025)", "challenge on POST (2026)"];
export const isMetadata = (path: string): boolean => path.startsWith("/.well-known/oauth-protected-resource");
const isServer = (path: string): boolean => path === "/.well-known/oauth-authorization-server";

/** Creates a fault that changes the JSON that matching paths answer with. */
const json =
  (matches: (path: string) => boolean, change: (value: Record<string, unknown>) => object): Required<Faults>["gives"] =>
  (given, { path }) =>
    matches(path) && given.status === 200 ? { ...given, text: JSON.stringify(change(JSON.parse(given.text))) } : given;

/** Removes headers by name from an answer. */
export function without(given: Given, name: string | RegExp): Given {
  const rest = [...given.headers].filter(([header]) =>
    typeof name === "string" ? header !== name : !name.test(header),
  );
  return { ...given, headers: new Headers(rest) };
}

/** An answer of status, text and headers. */
export const plain = (status: number, text = "", headers: Record<string, string> = {}): Given => ({
  status,
  text,
  headers: new Headers(headers),
});

/** One fault and the findings that it must cause. */
export interface Case {
  /** Completes the test title "names only …". */
  readonly fault: string;
  readonly faults: Faults;
  /** The checks that report a problem or a warning, in order. */
  readonly named: readonly string[];
  readonly says: RegExp;
}

/** Faults that the doctor finds without an access token. */
export const CASES: readonly Case[] = [
  {
    fault: "a resource URL that differs by a slash",
    faults: { gives: json(isMetadata, (value) => ({ ...value, resource: `${String(value["resource"])}/` })) },
    named: ["resource"],
    says: /the metadata says "http:\/\/localhost:\d+\/mcp\/", but clients connect to .*\/mcp$/,
  },
  {
    fault: "a resource URL of another host",
    faults: { gives: json(isMetadata, (value) => ({ ...value, resource: "https://old.example/mcp" })) },
    named: ["resource"],
    says: /old\.example/,
  },
  {
    fault: "missing resource metadata",
    faults: { instead: ({ path }) => (isMetadata(path) ? plain(404) : undefined) },
    named: ["resource metadata"],
    says: /answers 404/,
  },
  {
    fault: "resource metadata that is an HTML page",
    faults: { instead: ({ path }) => (isMetadata(path) ? plain(200, "<html>") : undefined) },
    named: ["resource metadata"],
    says: /but no JSON/,
  },
  {
    fault: "a missing challenge",
    faults: { gives: (given) => without(given, "www-authenticate") },
    named: CHALLENGES,
    says: /no WWW-Authenticate/,
  },
  {
    fault: "a missing challenge on GET only",
    faults: { instead: ({ method, path }) => (method === "GET" && path === "/mcp" ? plain(405) : undefined) },
    named: ["challenge on GET"],
    says: /405 instead of 401/,
  },
  {
    fault: "a challenge that names another origin",
    faults: {
      gives: (given) => {
        const headers = new Headers(given.headers);
        const header = headers.get("www-authenticate");
        if (header !== null)
          headers.set("www-authenticate", header.replace(/http:\/\/localhost:\d+/, "https://old.example"));
        return { ...given, headers };
      },
    },
    named: CHALLENGES,
    says: /names "https:\/\/old\.example/,
  },
  {
    fault: "an endpoint that answers without sign-in",
    faults: { instead: ({ method, path }) => (method === "POST" && path === "/mcp" ? plain(200, "{}") : undefined) },
    named: ["challenge on POST (2025)", "challenge on POST (2026)", "foreign origins", "cors"],
    says: /answers 200 to a client without an access token/,
  },
  {
    fault: "missing CORS headers",
    faults: { gives: (given) => without(given, /^access-control-/) },
    named: ["cors"],
    says: /cannot read the resource's metadata, the authorization server's metadata, "\/oauth\/token", "\/oauth\/register", the challenge/,
  },
  {
    fault: "CORS headers for one origin only",
    faults: {
      gives: (given) => {
        const headers = new Headers(given.headers);
        headers.set("access-control-allow-origin", "https://app.example");
        return { ...given, headers };
      },
    },
    named: ["foreign origins", "cors"],
    says: /refused, but readable for "https:\/\/app\.example"/,
  },
  {
    fault: "a proxy that removes the Origin header",
    faults: {
      asks: (asked) => ({ ...asked, headers: new Headers([...asked.headers].filter(([name]) => name !== "origin")) }),
    },
    named: ["foreign origins", "cors"],
    says: /gets 401 instead of 403/,
  },
  {
    fault: "a clock an hour ahead",
    faults: { gives: (given) => shifted(given, 3600) },
    named: ["clock"],
    says: /3600 seconds ahead of/,
  },
  {
    fault: "a clock two minutes behind",
    faults: { gives: (given) => shifted(given, -120) },
    named: ["clock"],
    says: /1(?:19|20|21) seconds behind/,
  },
  {
    fault: "a redirect",
    faults: { instead: () => plain(301, "", { location: "https://www.example.com/mcp?a=b" }) },
    named: ["redirect"],
    says: /redirects to "https:\/\/www\.example\.com\/mcp"$/,
  },
  {
    fault: "Cloudflare Access in front",
    faults: { instead: () => plain(302, "", { location: "https://team.cloudflareaccess.com/cdn-cgi/access/login" }) },
    named: ["redirect"],
    says: /Cloudflare Access/,
  },
  {
    fault: "a browser challenge in front",
    faults: { instead: () => plain(403, "", { "cf-mitigated": "challenge" }) },
    named: ["redirect"],
    says: /answers with a browser challenge/,
  },
  {
    fault: "a Worker without configuration",
    faults: { instead: () => plain(500) },
    named: ["reach"],
    says: /answers 500/,
  },
  {
    fault: "another issuer",
    faults: { gives: json(isServer, (value) => ({ ...value, issuer: "https://old.example" })) },
    named: ["authorization server"],
    says: /issuer is "https:\/\/old\.example"/,
  },
  {
    fault: "missing PKCE and a token endpoint of another origin",
    faults: {
      gives: json(isServer, (value) => ({
        ...value,
        code_challenge_methods_supported: ["plain"],
        token_endpoint: "https://old.example/oauth/token",
      })),
    },
    named: ["authorization server"],
    says: /token_endpoint is "https:\/\/old\.example\/oauth\/token"; code_challenge_methods_supported lacks S256/,
  },
  {
    fault: "missing registration",
    faults: { gives: json(isServer, ({ registration_endpoint: _gone, ...value }) => value) },
    named: ["registration"],
    says: /cannot register themselves/,
  },
  {
    fault: "a registration that is refused",
    faults: {
      instead: ({ method, path }) => (method === "POST" && path === "/oauth/register" ? plain(403, "no") : undefined),
    },
    named: ["registration"],
    says: /answers 403, with no error/,
  },
  {
    fault: "a missing sign-in method",
    faults: { instead: ({ path }) => (path.startsWith("/authorize") ? plain(403, "<p>no</p>") : undefined) },
    named: ["consent"],
    says: /no sign-in method is configured/,
  },
  {
    fault: "a consent page that can be framed",
    faults: {
      gives: (given, { path }) => (path.startsWith("/authorize") ? without(given, "content-security-policy") : given),
    },
    named: ["consent"],
    says: /can be framed/,
  },
  {
    fault: "a token endpoint that answers with an HTML page",
    faults: {
      instead: ({ method, path }) => (method === "POST" && path === "/oauth/token" ? plain(400, "<html>") : undefined),
    },
    named: ["token endpoint"],
    says: /answers 400, with no error/,
  },
  {
    fault: "a version that rejects Basic together with client_id",
    faults: {
      instead: ({ path, headers, body }) =>
        path === "/oauth/token" && headers.has("authorization") && body.includes("client_id=")
          ? plain(400, JSON.stringify({ error: "invalid_request", error_description: "multiple methods" }))
          : undefined,
    },
    named: ["token endpoint (Python clients)"],
    says: /^it answers 400 \("invalid_request"\) to a client that sends Basic and client_id$/,
  },
  {
    fault: "a proxy that removes the Authorization header at the token endpoint",
    faults: { asks: (asked) => (asked.path === "/oauth/token" ? withoutAuthorization(asked) : asked) },
    named: ["token endpoint"],
    says: /^it answers 40[01] \("invalid_(?:client|request)"\)$/,
  },
  ...[
    { fault: "a missing endpoint at the URL with a slash", at: "/mcp/", says: /from the URL with a slash at the end$/ },
    { fault: "an HTML page instead of JSON at POST /", at: "/", says: /from POST \/$/ },
    { fault: "an HTML page instead of JSON at /sse", at: "/sse", says: /from GET \/sse$/ },
    {
      fault: "missing metadata at the URL without the suffix",
      at: "/.well-known/oauth-protected-resource",
      says: /from metadata without the suffix$/,
    },
  ].map(({ fault, at, says }): Case => ({
    fault,
    faults: { instead: ({ path }) => (path === at ? plain(404, "<html>") : undefined) },
    named: ["addresses"],
    says,
  })),
  {
    fault: "a challenge at / whose JSON names no endpoint",
    faults: {
      gives: (given, { method, path }) => (method === "POST" && path === "/" ? { ...given, text: "{}" } : given),
    },
    named: ["addresses"],
    says: /from POST \/$/,
  },
];

/** Faults that the doctor finds only with an access token. */
export const INSIDE_CASES: readonly Case[] = [
  ...["application/json", "*/*", "application/*", "Application/JSON, Text/Event-Stream", ""].map((accept): Case => ({
    fault: `a version that refuses Accept ${JSON.stringify(accept)}`,
    faults: {
      instead: ({ path, headers }) =>
        path === "/mcp" && headers.has("mcp-session-id") && headers.get("accept") === accept
          ? plain(406, "{}")
          : undefined,
    },
    named: ["accept (2025)"],
    says: new RegExp(`if their Accept is ${JSON.stringify(accept).replaceAll("*", "\\*")} \\(406\\)$`),
  })),
  {
    fault: "a version that looks for a tool by its encoded name",
    faults: { instead: ({ headers }) => (isEncoded(headers) ? plain(200, UNKNOWN_TOOL) : undefined) },
    named: ["encoded headers (2026)"],
    says: /not found by its encoded name \(200\)$/,
  },
  {
    fault: "a rule in front that corrects undecodable headers",
    faults: {
      asks: (asked) => {
        if (asked.headers.get("mcp-name") !== "=?base64?%?=") return asked;
        const headers = new Headers(asked.headers);
        headers.set("mcp-name", "describe");
        return { ...asked, headers };
      },
    },
    named: ["encoded headers (2026)"],
    says: /gets 200, not 400$/,
  },
];

const UNKNOWN_TOOL = JSON.stringify({ jsonrpc: "2.0", id: 1, error: { code: -32602, message: "Tool not found" } });

function isEncoded(headers: Headers): boolean {
  return headers.get("mcp-name")?.startsWith("=?base64?") ?? false;
}

function withoutAuthorization(asked: Asked): Asked {
  return { ...asked, headers: new Headers([...asked.headers].filter(([name]) => name !== "authorization")) };
}

function shifted(given: Given, seconds: number): Given {
  const headers = new Headers(given.headers);
  headers.set("date", new Date(Date.now() + seconds * 1000).toUTCString());
  return { ...given, headers };
}
