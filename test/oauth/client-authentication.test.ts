// How clients authenticate at the token endpoint: Python clients repeat their client_id in the body beside `Authorization: Basic`,
// which is accepted; every other combination of methods is refused (RFC 6749 §2.3, §3.2.1).
import { describe, expect, it } from "vitest";
import { authorizeUrl, exchangeCode, readJson, register, signIn } from "../support/oauth.ts";
import type { Registered, Tokens } from "../support/oauth.ts";
import { flow, initialize, post, send } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";
const VERIFIER = "test-verifier-test-verifier-test-verifier-0";

interface ConfidentialClient extends Registered {
  readonly clientSecret: string;
}

/** Registers like the Python clients: without `token_endpoint_auth_method`, and so with a secret. */
async function registerConfidential(extra: Record<string, unknown> = {}): Promise<ConfidentialClient> {
  const redirectUri = "http://localhost:3030/callback";
  const body = JSON.stringify({
    response_types: ["code"],
    client_name: "A Python client",
    redirect_uris: [redirectUri],
    grant_types: ["authorization_code", "refresh_token"],
    application_type: "native",
    ...extra,
  });
  const headers = { "content-type": "application/json" };
  const registered = await readJson(await send(`${flow.origin}/oauth/register`, { method: "POST", headers, body }));
  if (extra["token_endpoint_auth_method"] === undefined)
    expect(registered["token_endpoint_auth_method"]).toBe("client_secret_basic");
  return { clientId: String(registered["client_id"]), clientSecret: String(registered["client_secret"]), redirectUri };
}

const encodeBasic = (user: string, password: string): string => `Basic ${btoa(`${user}:${password}`)}`;

const basicOf = ({ clientId, clientSecret }: ConfidentialClient): string => encodeBasic(clientId, clientSecret);

async function sendTokenRequest(
  fields: Record<string, string> | readonly (readonly [string, string])[],
  authorization?: string,
): Promise<Response> {
  const pairs = Array.isArray(fields) ? fields : Object.entries(fields);
  const headers = {
    "content-type": "application/x-www-form-urlencoded",
    ...(authorization === undefined ? {} : { authorization }),
  };
  const body = new URLSearchParams(pairs.map(([name, value]) => [name, value])).toString();
  return send(`${flow.origin}/oauth/token`, { method: "POST", headers, body });
}

async function signInForCode(client: Registered): Promise<Record<string, string>> {
  const callback = await signIn(flow, client, ANALYST);
  return {
    grant_type: "authorization_code",
    code: callback.searchParams.get("code") ?? "",
    redirect_uri: client.redirectUri,
    code_verifier: VERIFIER,
    resource: `${flow.origin}/mcp`,
  };
}

async function connect(client: ConfidentialClient): Promise<Tokens> {
  const fields = { ...(await signInForCode(client)), client_id: client.clientId };
  const tokens = await readJson(await sendTokenRequest(fields, basicOf(client)));
  return { accessToken: String(tokens["access_token"]), refreshToken: String(tokens["refresh_token"]) };
}

const initializeStatus = async (accessToken: string): Promise<number> => (await post(accessToken, initialize())).status;

describe("a client that sends Basic and its client_id in the body", () => {
  it("exchanges its code, refreshes, repeats a refresh, and revokes", async () => {
    const client = await registerConfidential();
    const { accessToken, refreshToken } = await connect(client);
    expect(await initializeStatus(accessToken)).toBe(200);

    const refresh = { grant_type: "refresh_token", refresh_token: refreshToken, client_id: client.clientId };
    const refreshed = await sendTokenRequest({ ...refresh, resource: `${flow.origin}/mcp` }, basicOf(client));
    expect(refreshed.status).toBe(200);
    const text = await refreshed.text();
    // Within the grace period, the same client gets the same reply for the spent refresh token.
    expect(await (await sendTokenRequest(refresh, basicOf(client))).text()).toBe(text);

    const { access_token: newAccessToken, refresh_token: newRefreshToken }: Record<string, unknown> = JSON.parse(text);
    expect(await initializeStatus(String(newAccessToken))).toBe(200);
    const revocation = { token: String(newRefreshToken), client_id: client.clientId };
    expect((await sendTokenRequest(revocation, basicOf(client))).status).toBe(200);
    expect(await initializeStatus(String(newAccessToken))).toBe(401);
  });

  it.each([
    [
      "percent-encodes the Basic user",
      (id: string) => Array.from(id, (c) => `%${c.charCodeAt(0).toString(16)}`).join(""),
    ],
    ["does not encode the Basic user", (id: string) => id],
  ])("is recognised when it %s", async (_name, encode) => {
    const client = await registerConfidential();
    const fields = { ...(await signInForCode(client)), client_id: client.clientId };
    expect((await sendTokenRequest(fields, encodeBasic(encode(client.clientId), client.clientSecret))).status).toBe(
      200,
    );
  });

  it("is recognised when its other credentials are empty parameters", async () => {
    const client = await registerConfidential();
    const fields = {
      ...(await signInForCode(client)),
      client_id: client.clientId,
      client_secret: "",
      client_assertion: "",
    };
    expect((await sendTokenRequest(fields, basicOf(client))).status).toBe(200);
  });

  it("gets 401 when the secret is wrong", async () => {
    const client = await registerConfidential();
    const fields = { ...(await signInForCode(client)), client_id: client.clientId };
    const refused = await sendTokenRequest(fields, encodeBasic(client.clientId, "x".repeat(32)));
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toContain("Basic");
    expect(await refused.json()).toMatchObject({ error: "invalid_client" });
    // The refused request did not use up the code.
    expect((await sendTokenRequest(fields, basicOf(client))).status).toBe(200);
  });

  it("gets invalid_grant for another client's code", async () => {
    const [client, other] = [await registerConfidential(), await registerConfidential()];
    const fields = { ...(await signInForCode(client)), client_id: other.clientId };
    expect(await (await sendTokenRequest(fields, basicOf(other))).json()).toMatchObject({ error: "invalid_grant" });
  });
});

type Fields = readonly (readonly [string, string])[];

/** Invalid combination → the extra parameters of the body, and the header. */
const REFUSED: readonly (readonly [
  string,
  (client: ConfidentialClient, other: ConfidentialClient) => { readonly fields: Fields; readonly basic?: string },
])[] = [
  ["another client's id in the body", (_client, other) => ({ fields: [["client_id", other.clientId]] })],
  ["its id in other letter case", ({ clientId }) => ({ fields: [["client_id", swapCase(clientId)]] })],
  ["its id and a trailing space", ({ clientId }) => ({ fields: [["client_id", `${clientId} `]] })],
  [
    "its secret in the body too",
    ({ clientId, clientSecret }) => ({
      fields: [
        ["client_id", clientId],
        ["client_secret", clientSecret],
      ],
    }),
  ],
  ["only its secret in the body", ({ clientSecret }) => ({ fields: [["client_secret", clientSecret]] })],
  [
    "an assertion in the body",
    ({ clientId }) => ({
      fields: [
        ["client_id", clientId],
        ["client_assertion", "a.b.c"],
      ],
    }),
  ],
  [
    "an assertion type in the body",
    ({ clientId }) => ({
      fields: [
        ["client_id", clientId],
        ["client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"],
      ],
    }),
  ],
  [
    "its id in the body twice",
    ({ clientId }) => ({
      fields: [
        ["client_id", clientId],
        ["client_id", clientId],
      ],
    }),
  ],
  [
    "its id and another in the body",
    ({ clientId }, other) => ({
      fields: [
        ["client_id", clientId],
        ["client_id", other.clientId],
      ],
    }),
  ],
  ["credentials that are not Base64", ({ clientId }) => ({ fields: [["client_id", clientId]], basic: "Basic %%%" })],
  ["empty credentials", ({ clientId }) => ({ fields: [["client_id", clientId]], basic: "Basic" })],
  [
    "credentials without a colon",
    ({ clientId }) => ({ fields: [["client_id", clientId]], basic: `Basic ${btoa(clientId)}` }),
  ],
  [
    "credentials with an invalid percent encoding",
    ({ clientId, clientSecret }) => ({
      fields: [["client_id", clientId]],
      basic: encodeBasic(`${clientId}%zz`, clientSecret),
    }),
  ],
  [
    "two credentials",
    (client) => ({ fields: [["client_id", client.clientId]], basic: `${basicOf(client)} ${basicOf(client)}` }),
  ],
  [
    "an id in the body that equals the encoded Basic user",
    ({ clientId, clientSecret }) => {
      const encoded = `%${clientId.charCodeAt(0).toString(16)}${clientId.slice(1)}`;
      return { fields: [["client_id", encoded]], basic: encodeBasic(encoded, clientSecret) };
    },
  ],
];

function swapCase(text: string): string {
  return Array.from(text, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase())).join("");
}

describe.each(REFUSED)("Basic authentication with %s", (_name, build) => {
  it("is refused for a code, a refresh and a revocation without using them up", async () => {
    const [client, other] = [await registerConfidential(), await registerConfidential()];
    const { accessToken, refreshToken } = await connect(client);
    const code = await signInForCode(client);
    const { fields, basic = basicOf(client) } = build(client, other);
    for (const request of [
      Object.entries(code),
      Object.entries({ grant_type: "refresh_token", refresh_token: refreshToken }),
      Object.entries({ token: refreshToken }),
      Object.entries({ token: accessToken }),
    ]) {
      const refused = await sendTokenRequest([...request, ...fields], basic);
      expect(refused.status).toBe(400);
      expect(await refused.json()).toMatchObject({ error: "invalid_request" });
    }
    expect(await initializeStatus(accessToken)).toBe(200);
    expect((await sendTokenRequest({ ...code, client_id: client.clientId }, basicOf(client))).status).toBe(200);
    const refresh = { grant_type: "refresh_token", refresh_token: refreshToken };
    expect((await sendTokenRequest(refresh, basicOf(client))).status).toBe(200);
  });
});

describe("other methods of authentication", () => {
  it("accept client_secret_post, and Basic without a client_id, from clients that registered them", async () => {
    const byPost = await registerConfidential({ token_endpoint_auth_method: "client_secret_post" });
    const credentials = { client_id: byPost.clientId, client_secret: byPost.clientSecret };
    expect((await sendTokenRequest({ ...(await signInForCode(byPost)), ...credentials })).status).toBe(200);
    const byBasic = await registerConfidential();
    expect((await sendTokenRequest(await signInForCode(byBasic), basicOf(byBasic))).status).toBe(200);
  });

  it("ignore a Bearer header beside the client_id of a public client", async () => {
    const client = await register(flow);
    const page = await send(await authorizeUrl(flow, client));
    expect(page.status).toBe(200);
    const tokens = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
    const refresh = { grant_type: "refresh_token", refresh_token: tokens.refreshToken, client_id: client.clientId };
    expect((await sendTokenRequest(refresh, `Bearer ${tokens.accessToken}`)).status).toBe(200);
  });
});
