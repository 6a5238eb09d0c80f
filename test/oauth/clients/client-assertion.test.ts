// Clients that sign (`private_key_jwt`): the server finds their keys by their metadata document and accepts each assertion once.
import { SignJWT, importJWK } from "jose";
import type { JWTPayload } from "jose";
import { describe, expect, it } from "vitest";
import { PRIVATE_KEY } from "../../support/assertion-key.ts";
import { REDIRECT_URI, authorizeUrl, readJson, requestToken, signIn } from "../../support/oauth.ts";
import { ORIGIN, flow, initialize, post, send } from "../../support/worker.ts";

const ANALYST = "analyst@harbor.example";
const VERIFIER = "test-verifier-test-verifier-test-verifier-0";
const CLIENT = "https://signing.example/client.json";
const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

interface AssertionOptions {
  readonly claims?: JWTPayload;
  readonly header?: Readonly<Record<string, unknown>>;
}

/** Signs an assertion of a client, valid unless `claims` or `header` change it. */
async function sign(clientId: string, { claims = {}, header = {} }: AssertionOptions = {}): Promise<string> {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const payload: JWTPayload = {
    iss: clientId,
    sub: clientId,
    aud: ORIGIN,
    exp: nowSeconds + 60,
    jti: crypto.randomUUID(),
    ...claims,
  };
  const key = await importJWK(PRIVATE_KEY, "ES256");
  return new SignJWT(payload).setProtectedHeader({ alg: "ES256", kid: "test", ...header }).sign(key);
}

async function signInForCode(clientId: string): Promise<string> {
  const callback = await signIn(flow, { clientId, redirectUri: REDIRECT_URI }, ANALYST);
  return callback.searchParams.get("code") ?? "";
}

async function exchange(clientId: string, extra: Record<string, string>): Promise<Response> {
  return requestToken(flow, {
    grant_type: "authorization_code",
    code: await signInForCode(clientId),
    client_id: clientId,
    redirect_uri: REDIRECT_URI,
    code_verifier: VERIFIER,
    ...extra,
  });
}

const assertionFields = (assertion: string) => ({ client_assertion: assertion, client_assertion_type: ASSERTION_TYPE });

describe("a client that signs", () => {
  it.each([
    ["keys in its document", CLIENT],
    ["keys at its jwks_uri", "https://signing.example/keys-apart.json"],
    ["a document that makes signing optional", "https://signing.example/either.json"],
  ])("gets and refreshes an access token with %s", async (_name, clientId) => {
    const tokens = await readJson(await exchange(clientId, assertionFields(await sign(clientId))));
    expect((await post(String(tokens["access_token"]), initialize())).status).toBe(200);
    const refreshed = await requestToken(flow, {
      grant_type: "refresh_token",
      refresh_token: String(tokens["refresh_token"]),
      client_id: clientId,
      ...assertionFields(await sign(clientId)),
    });
    expect(refreshed.status).toBe(200);
  });

  it("finds private_key_jwt in the server's metadata", async () => {
    const metadata = await readJson(await send(`${ORIGIN}/.well-known/oauth-authorization-server`));
    expect(metadata["token_endpoint_auth_methods_supported"]).toContain("private_key_jwt");
    expect(metadata["token_endpoint_auth_signing_alg_values_supported"]).toEqual(["RS256", "ES256"]);
  });

  it("is refused without an assertion when its document requires one", async () => {
    expect((await exchange(CLIENT, {})).status).toBe(401);
  });

  it.each<[string, AssertionOptions]>([
    ["with another audience", { claims: { aud: "https://other.example" } }],
    ["with another issuer", { claims: { iss: "https://signing.example/either.json" } }],
    ["with another subject", { claims: { sub: "https://signing.example/either.json" } }],
    ["that has expired", { claims: { exp: 1_700_000_000 } }],
    ["that is valid for a day", { claims: { exp: Math.floor(Date.now() / 1000) + 86_400 } }],
    ["without a jti", { claims: { jti: "" } }],
    ["of another JWT type", { header: { typ: "at+jwt" } }],
    ["signed by an unknown key", { header: { kid: "unknown" } }],
    [
      "of the explicit type for the token endpoint",
      {
        header: { typ: "client-authentication+jwt" },
        claims: { aud: `${ORIGIN}/oauth/token` },
      },
    ],
  ])("is refused with an assertion %s", async (_name, options) => {
    const response = await exchange(CLIENT, assertionFields(await sign(CLIENT, options)));
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: "invalid_client" });
  });

  it("is refused with the signature of another assertion", async () => {
    const [header, payload] = (await sign(CLIENT)).split(".");
    const [, , otherSignature] = (await sign(CLIENT)).split(".");
    expect((await exchange(CLIENT, assertionFields(`${header}.${payload}.${otherSignature}`))).status).toBe(401);
  });

  it("is refused with an assertion that it used before", async () => {
    const assertion = await sign(CLIENT);
    expect((await exchange(CLIENT, assertionFields(assertion))).status).toBe(200);
    expect((await exchange(CLIENT, assertionFields(assertion))).status).toBe(401);
  });

  it.each([
    ["a redirect leads to its keys", "https://signing.example/keys-redirected.json"],
    ["its keys are at an IP address", "https://signing.example/keys-inside.json"],
    ["its key is not a point on the curve", "https://signing.example/bad-point.json"],
    ["its key is too short", "https://signing.example/short-key.json"],
    ["its keys are not UTF-8", "https://signing.example/binary-keys.json"],
  ])("is refused when %s", async (_reason, clientId) => {
    expect((await exchange(clientId, assertionFields(await sign(clientId)))).status).toBe(401);
  });

  it("is refused when its document holds a private key", async () => {
    const client = { clientId: "https://signing.example/private-key.json", redirectUri: REDIRECT_URI };
    expect((await send(await authorizeUrl(flow, client))).status).toBe(400);
  });

  it.each(["client_id", "client_assertion", "client_assertion_type"])(
    "is refused when %s is repeated",
    async (name) => {
      const body = new URLSearchParams({
        grant_type: "authorization_code",
        code: await signInForCode(CLIENT),
        client_id: CLIENT,
        redirect_uri: REDIRECT_URI,
        code_verifier: VERIFIER,
        ...assertionFields(await sign(CLIENT)),
      });
      body.append(name, body.get(name) ?? "");
      expect((await send(`${ORIGIN}/oauth/token`, { method: "POST", body })).status).toBe(400);
    },
  );

  it("is refused with an assertion and a second credential", async () => {
    const assertion = await sign(CLIENT);
    expect((await exchange(CLIENT, { ...assertionFields(assertion), client_secret: "s" })).status).toBe(400);
    const body = new URLSearchParams({
      grant_type: "authorization_code",
      client_id: CLIENT,
      ...assertionFields(assertion),
    });
    const headers = { Authorization: `Basic ${btoa(`${encodeURIComponent(CLIENT)}:s`)}` };
    expect((await send(`${ORIGIN}/oauth/token`, { method: "POST", headers, body })).status).toBe(400);
  });
});
