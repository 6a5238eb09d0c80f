// Fakes the outside network for tests in workerd: it serves valid and invalid client metadata documents, and counts the requests for
// each. Any other request fails the run.
import { Response } from "miniflare";
import { PRIVATE_KEY, PUBLIC_KEY } from "../assertion-key.ts";

const REDIRECT_URIS = ["http://127.0.0.1:45454/callback"];
const JSON_TYPE = "application/json";
/** Answers with the number of requests for the URL in its query. */
const COUNTER_HOST = "requests.example";

const requests = new Map<string, number>();

/** Answers an outgoing request of the Worker. */
export function outside({ url }: { readonly url: string }): Response {
  const { hostname, searchParams } = new URL(url);
  if (hostname === COUNTER_HOST) return Response.json(requests.get(searchParams.get("url") ?? "") ?? 0);
  requests.set(url, (requests.get(url) ?? 0) + 1);
  const answer = ANSWERS[url];
  if (answer !== undefined) return answer(url);
  // The Worker under test might swallow an error, so the run itself fails.
  console.error(`unexpected outgoing request to ${url}`);
  process.exitCode = 1;
  return new Response(null, { status: 500 });
}

type Answer = (url: string) => Response;

const SIGNS = { token_endpoint_auth_method: "private_key_jwt" };

const ANSWERS: Readonly<Record<string, Answer>> = {
  "https://client.example/metadata.json": document(),
  "https://client.example:8443/oauth/metadata.json?version=2": document(),
  "https://documents.example/cached.json": document({ headers: { "Cache-Control": "public, max-age=600" } }),
  "https://documents.example/own-type.json": document({ type: "application/vnd.client+json; charset=utf-8" }),
  "https://unreachable.example/metadata.json": () => new Response(null, { status: 502 }),
  // An open redirect, and the attacker's document that it leads to.
  "https://documents.example/open-redirect?to=https://attacker.example/document.json": redirect(
    "https://attacker.example/document.json",
  ),
  "https://attacker.example/document.json": () =>
    document()("https://documents.example/open-redirect?to=https://attacker.example/document.json"),
  "https://documents.example/loop.json": redirect("https://documents.example/loop.json"),
  "https://documents.example/html.json": document({ type: "text/html" }),
  "https://documents.example/text.json": document({ type: "text/plain" }),
  "https://documents.example/lookalike-type.json": document({ type: "application/jsonp" }),
  "https://documents.example/created.json": document({ status: 201 }),
  "https://documents.example/partial.json": document({ status: 206 }),
  "https://documents.example/missing.json": document({ status: 404 }),
  "https://documents.example/large.json": document({ more: { padding: "x".repeat(5 * 1024) } }),
  "https://documents.example/another.json": () => document()("https://documents.example/cached.json"),
  "https://documents.example/secret.json": document({ more: { client_secret: "a secret" } }),
  "https://documents.example/nameless.json": document({ more: { client_name: " " } }),
  "https://documents.example/scripts.json": document({ more: { redirect_uris: ["javascript:alert(1)"] } }),
  "https://signing.example/client.json": document({ more: { ...SIGNS, jwks: { keys: [PUBLIC_KEY] } } }),
  "https://signing.example/either.json": document({
    more: { token_endpoint_auth_methods_supported: ["none", "private_key_jwt"], jwks: { keys: [PUBLIC_KEY] } },
  }),
  "https://signing.example/keys-apart.json": document({
    more: { ...SIGNS, jwks_uri: "https://signing.example/keys.json" },
  }),
  "https://signing.example/keys.json": () => Response.json({ keys: [PUBLIC_KEY] }),
  "https://signing.example/keys-redirected.json": document({
    more: { ...SIGNS, jwks_uri: "https://signing.example/redirect.json" },
  }),
  "https://signing.example/redirect.json": redirect("https://signing.example/keys.json"),
  "https://signing.example/keys-inside.json": document({ more: { ...SIGNS, jwks_uri: "https://10.0.0.5/keys.json" } }),
  "https://signing.example/bad-point.json": document({
    more: { ...SIGNS, jwks: { keys: [{ ...PUBLIC_KEY, y: PUBLIC_KEY.x }] } },
  }),
  "https://signing.example/short-key.json": document({
    more: { ...SIGNS, jwks: { keys: [{ kty: "EC", crv: "P-256", kid: "test", x: "AA", y: "AA" }] } },
  }),
  "https://signing.example/binary-keys.json": document({
    more: { ...SIGNS, jwks_uri: "https://signing.example/binary.json" },
  }),
  "https://signing.example/binary.json": () =>
    new Response(new Uint8Array([0xff, 0xfe]), { headers: { "Content-Type": JSON_TYPE } }),
  "https://signing.example/private-key.json": document({ more: { ...SIGNS, jwks: { keys: [PRIVATE_KEY] } } }),
  "https://documents.example/list.json": () => Response.json([]),
  "https://documents.example/broken.json": () => new Response("{", { headers: { "Content-Type": JSON_TYPE } }),
};

interface DocumentOptions {
  readonly type?: string;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly more?: Readonly<Record<string, unknown>>;
}

/** Answers with a valid document, except for what `options` change. */
function document({ type = JSON_TYPE, status = 200, headers = {}, more = {} }: DocumentOptions = {}): Answer {
  return (url) =>
    new Response(
      JSON.stringify({ client_id: url, client_name: "Documented client", redirect_uris: REDIRECT_URIS, ...more }),
      { status, headers: { "Content-Type": type, ...headers } },
    );
}

function redirect(location: string): Answer {
  return () => new Response(null, { status: 302, headers: { Location: location } });
}
