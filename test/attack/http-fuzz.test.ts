// Sends malformed requests from a seeded generator to every endpoint. Each answer must be a refusal in the endpoint's own form: never an
// internal error, never the text of another system, never a redirect to a foreign origin.
import { beforeAll, describe, expect, it, vi } from "vitest";
import { createRandom } from "../../sample/random.ts";
import type { Random } from "../../sample/random.ts";
import { authorizeUrl, register } from "../support/oauth.ts";
import type { Registered } from "../support/oauth.ts";
import { ACCEPT, ORIGIN, RESOURCE, flow, initialize, openSession, send, tokenOf } from "../support/worker.ts";

const SEEDS = [1, 2];
const REQUESTS = 120;
const TIMEOUT_MS = 60_000;

/** Texts that break code that expects other text. */
const TEXTS = [
  "",
  " ",
  "null",
  "undefined",
  "0",
  "-1",
  "1e999",
  "true",
  "[]",
  "{}",
  "__proto__",
  "constructor",
  "toString",
  "../../etc/passwd",
  "%00",
  "%",
  "%zz",
  "%ff%fe",
  "\u0000",
  "\u001b[2J",
  "\ud800",
  "\u202e",
  "a:b:c",
  "a:b:c:d",
  ":::",
  "::",
  "x".repeat(5000),
  "<script>alert(1)</script>",
  "'\"><img src=x onerror=alert(1)>",
  "javascript:alert(1)",
  "data:text/html,x",
  "https://evil.example/cb",
  "https://evil.example\\@localhost/cb",
  "http://127.0.0.1:45454/callback#x",
  "http://[::1",
  "//evil.example",
  "cursor://x",
  "https://127.0.0.1/metadata.json",
  "S256",
  "plain",
  "none",
  "read",
  "read read read",
  "authorization_code",
  "refresh_token",
  "client_credentials",
  "urn:ietf:params:oauth:grant-type:jwt-bearer",
  "token",
  "code id_token",
  "2025-11-25",
  "2026-07-28",
  "tools/call",
  "initialize",
];

function anyJson(random: Random, depth = 0): unknown {
  const kind = random.between(0, depth > 3 ? 5 : 8);
  if (kind <= 2) return random.pick(TEXTS);
  if (kind === 3) return random.pick([0, -1, 1.5, Number.MAX_SAFE_INTEGER, 1e308]);
  if (kind === 4) return random.pick([true, false, null]);
  if (kind === 5) return random.pick([[], {}]);
  if (kind === 6) return Array.from({ length: random.between(1, 4) }, () => anyJson(random, depth + 1));
  return objectWith(random, ["jsonrpc", "id", "method", "params", "name", "arguments", "_meta", "__proto__"], depth);
}

function objectWith(random: Random, keys: readonly string[], depth = 0): Record<string, unknown> {
  const present = keys.filter(() => random.chance(0.6));
  return JSON.parse(
    `{${present.map((key) => `${JSON.stringify(key)}:${JSON.stringify(anyJson(random, depth + 1))}`).join(",")}}`,
  );
}

/** Builds parameters that are mostly valid, so that requests get past the first check; some are invalid, repeated or missing. */
function parameters(random: Random, valid: Readonly<Record<string, string>>): URLSearchParams {
  const all = new URLSearchParams();
  for (const [name, value] of Object.entries(valid)) {
    if (random.chance(0.1)) continue;
    all.append(name, random.chance(0.75) ? value : wellFormed(random.pick(TEXTS)));
    if (random.chance(0.07)) all.append(name, wellFormed(random.pick(TEXTS)));
  }
  return all;
}

/** Builds parameters without a client id that is a URL, because the server would fetch that metadata document. */
function clientParameters(random: Random, valid: Readonly<Record<string, string>>): URLSearchParams {
  const all = parameters(random, valid);
  const ids = all.getAll("client_id").filter((id) => !id.startsWith("https:"));
  all.delete("client_id");
  for (const id of ids) all.append("client_id", id);
  return all;
}

const wellFormed = (text: string): string => text.toWellFormed();

interface Attempt {
  readonly url: string;
  readonly init: { readonly method: string; readonly headers: HeadersInit; readonly body?: string };
}

const METHODS = ["GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];
const TYPES = [
  "application/json",
  "application/x-www-form-urlencoded",
  "text/plain",
  "multipart/form-data",
  "application/json; charset=x",
  "",
];

function withBody(random: Random, url: string, method: string, type: string, body: string): Attempt {
  const bodyless = method === "GET" || method === "HEAD";
  const cut = random.chance(0.1) ? body.slice(0, random.between(0, body.length)) : body;
  const headers: Record<string, string> = type === "" ? {} : { "content-type": type };
  return { url, init: { method, headers, ...(bodyless ? {} : { body: cut }) } };
}

let client: Registered;
let token = "";
let session = "";

beforeAll(async () => {
  client = await register(flow);
  token = await tokenOf("analyst");
  session = await openSession(token);
});

/** Generators of one malformed request, by endpoint. */
const ENDPOINTS: Readonly<Record<string, (random: Random) => Promise<Attempt>>> = {
  async authorize(random) {
    const valid = Object.fromEntries(new URL(await authorizeUrl(flow, client)).searchParams);
    const method = random.pick(["GET", "GET", "GET", ...METHODS]);
    const all = clientParameters(random, {
      ...valid,
      decision: "approve",
      handle: "h",
      prompt: "none",
      request_uri: "urn:x",
    });
    return withBody(random, `${ORIGIN}/authorize?${all.toString()}`, method, random.pick(TYPES), all.toString());
  },
  async "sign-in"(random) {
    const all = parameters(random, { to: "/", state: "s", account: "analyst@harbor.example", code: "c", iss: ORIGIN });
    return withBody(
      random,
      `${ORIGIN}/sign-in?${all.toString()}`,
      random.pick(METHODS),
      random.pick(TYPES),
      all.toString(),
    );
  },
  async register(random) {
    const keys = [
      "client_name",
      "redirect_uris",
      "grant_types",
      "response_types",
      "token_endpoint_auth_method",
      "client_uri",
      "logo_uri",
      "jwks",
      "jwks_uri",
      "scope",
      "contacts",
      "application_type",
    ];
    const uris = random.chance(0.7)
      ? { redirect_uris: [client.redirectUri, ...(random.chance(0.5) ? [anyJson(random)] : [])] }
      : {};
    const body = random.chance(0.1) ? anyJson(random) : { ...objectWith(random, keys), ...uris };
    return withBody(random, `${ORIGIN}/oauth/register`, random.pick(METHODS), random.pick(TYPES), JSON.stringify(body));
  },
  async token(random) {
    const all = clientParameters(random, {
      grant_type: random.pick(["authorization_code", "refresh_token"]),
      code: "user:grant:secret",
      refresh_token: "user:grant:secret",
      client_id: client.clientId,
      redirect_uri: client.redirectUri,
      code_verifier: "v".repeat(43),
      resource: RESOURCE,
      token: "user:grant:secret",
      client_secret: "s",
      client_assertion: "a.b.c",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    });
    const attempt = withBody(random, `${ORIGIN}/oauth/token`, random.pick(METHODS), random.pick(TYPES), all.toString());
    const authorization = random.pick([
      "",
      "",
      "Basic",
      "Basic !!!",
      "Basic YTpi",
      "Basic Og==",
      "Bearer x",
      "Basic /////w==",
    ]);
    const headers = {
      ...Object.fromEntries(new Headers(attempt.init.headers)),
      ...(authorization === "" ? {} : { authorization }),
    };
    return { ...attempt, init: { ...attempt.init, headers } };
  },
  async metadata(random) {
    const path = random.pick([
      "oauth-authorization-server",
      "oauth-protected-resource",
      "openid-configuration",
      "%2e%2e",
      "x",
    ]);
    const rest = random.pick([
      "",
      "/mcp",
      "/",
      "//",
      "/mcp/",
      "/%00",
      `/${encodeURIComponent(wellFormed(random.pick(TEXTS)))}`,
    ]);
    return withBody(random, `${ORIGIN}/.well-known/${path}${rest}`, random.pick(METHODS), random.pick(TYPES), "{}");
  },
  async mcp(random) {
    const message = random.chance(0.5)
      ? anyJson(random)
      : {
          jsonrpc: "2.0",
          id: anyJson(random),
          method: random.pick([
            "tools/call",
            "tools/list",
            "initialize",
            "ping",
            "resources/read",
            "completion/complete",
            "x",
            "server/discover",
            "subscriptions/listen",
            "logging/setLevel",
          ]),
          params: anyJson(random),
        };
    const attempt = withBody(
      random,
      RESOURCE,
      random.pick(METHODS.filter((method) => method !== "GET" && method !== "DELETE")),
      random.pick(TYPES),
      JSON.stringify(random.chance(0.1) ? [message, initialize()] : message),
    );
    const headers = new Headers(attempt.init.headers);
    if (random.chance(0.9)) headers.set("authorization", random.chance(0.9) ? `Bearer ${token}` : "Bearer a:b:c");
    headers.set("accept", random.chance(0.9) ? ACCEPT : "*/*");
    if (random.chance(0.8)) headers.set("content-type", "application/json");
    for (const [name, valid] of [
      ["mcp-session-id", session],
      ["mcp-protocol-version", "2026-07-28"],
      ["mcp-method", "tools/call"],
      ["mcp-name", "query"],
      ["last-event-id", "1"],
    ] as const) {
      if (random.chance(0.5)) continue;
      const value = random.chance(0.6) ? valid : random.pick(TEXTS);
      if (/^[\u0020-\u007e]*$/.test(value)) headers.set(name, value);
    }
    return { ...attempt, init: { ...attempt.init, headers } };
  },
};

/** Describes what is wrong with an answer; undefined when it is acceptable. */
async function faultOf(name: string, response: Response): Promise<string | undefined> {
  const { status, headers } = response;
  const type = headers.get("content-type") ?? "";
  // An opened stream does not end, so its content is not read here.
  const text = type.startsWith("text/event-stream") ? "" : await response.text();
  if (type.startsWith("text/event-stream")) await response.body?.cancel();
  if (status >= 500) return `status ${status}: ${text.slice(0, 200)}`;
  if (/TypeError|RangeError|SyntaxError|ReferenceError|D1_ERROR|SQLITE_|\bat \w+ \(|\/src\/|node_modules/.test(text))
    return `internal text: ${text.slice(0, 200)}`;
  const location = headers.get("location");
  if (location !== null && new URL(location, ORIGIN).host !== new URL(client.redirectUri).host)
    return `redirects to ${location}`;
  if (/<script|onerror=alert/i.test(text) && type.startsWith("text/html")) return "unescaped text";
  if (type.startsWith("text/html") && !headers.get("content-security-policy")?.includes("frame-ancestors 'none'"))
    return "a page without its Content-Security-Policy";
  if (["register", "token"].includes(name) && status >= 400 && status !== 405 && status !== 404) {
    const { error }: { error?: unknown } = JSON.parse(text);
    if (typeof error !== "string") return `not an OAuth error: ${text.slice(0, 200)}`;
  }
  return undefined;
}

describe.each(Object.entries(ENDPOINTS))("malformed requests to %s", (name, createAttempt) => {
  it.each(SEEDS)("are refused in the endpoint's own form (seed %i)", { timeout: TIMEOUT_MS }, async (seed) => {
    const random = createRandom(seed);
    const errors = vi.spyOn(console, "error").mockImplementation(() => {});
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const faults: string[] = [];
    const statuses = new Set<number>();
    for (let count = 0; count < REQUESTS; count += 1) {
      const { url, init } = await createAttempt(random);
      const response = await send(url, init);
      statuses.add(response.status);
      const fault = await faultOf(name, response);
      const headers = JSON.stringify([...new Headers(init.headers)]);
      const request = `${init.method} ${url.slice(0, 300)} ${headers} ${init.body?.slice(0, 300)}`;
      if (fault !== undefined) faults.push(`${fault} ← ${request}`);
      if (errors.mock.calls.length > 0)
        faults.push(`logged an internal error: ${errors.mock.calls.splice(0).map(String).join(" ")} ← ${request}`);
    }
    vi.restoreAllMocks();
    expect(faults.slice(0, 5)).toEqual([]);
    // The generator reaches more than one check.
    expect(statuses.size).toBeGreaterThan(1);
  });
});

describe("credentials that are longer than a key of the store", () => {
  const long = "x".repeat(600);
  const form = (fields: Record<string, string>, headers: Record<string, string> = {}) =>
    send(`${ORIGIN}/oauth/token`, { method: "POST", headers, body: new URLSearchParams(fields) });

  it.each([`${long}:b:c`, `a:${long}:c`, `a:b:${long}`, "\u00fc".repeat(300)])(
    "get 401 as an access token (case %#)",
    async (bearer) => {
      const headers = { authorization: `Bearer ${encodeURI(bearer)}`, "content-type": "application/json" };
      const response = await send(RESOURCE, { method: "POST", headers, body: JSON.stringify(initialize()) });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/);
    },
  );

  it("get an OAuth error as a code, refresh token or client id", async () => {
    const code = { code_verifier: "v".repeat(43), redirect_uri: client.redirectUri };
    const of = { client_id: client.clientId };
    const answers = [
      await form({ grant_type: "authorization_code", ...of, ...code, code: `${long}:b:c` }),
      await form({ grant_type: "refresh_token", ...of, refresh_token: `${long}:b:c` }),
      await form({ grant_type: "refresh_token", client_id: long, refresh_token: "a:b:c" }),
      await form(
        { grant_type: "refresh_token", refresh_token: "a:b:c" },
        { authorization: `Basic ${btoa(`${long}:x`)}` },
      ),
    ];
    const errors = await Promise.all(answers.map(async (answer): Promise<unknown> => answer.json()));
    expect(errors).toEqual([
      expect.objectContaining({ error: "invalid_grant" }),
      expect.objectContaining({ error: "invalid_grant" }),
      expect.objectContaining({ error: "invalid_client" }),
      expect.objectContaining({ error: "invalid_client" }),
    ]);
    // Revoking an unknown token is not an error (RFC 7009 §2.2).
    expect((await form({ ...of, token: `${long}:b:c` })).status).toBe(200);
    const page = await send(await authorizeUrl(flow, { ...client, clientId: long }));
    expect(page.status).toBe(400);
  });
});
