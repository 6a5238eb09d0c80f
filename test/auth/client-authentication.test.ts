// How a client says who it is at the token endpoint: Python clients name themselves in the body beside `Authorization: Basic`, and
// every other pair of methods is refused (RFC 6749 §2.3, §3.2.1).
import { describe, expect, it } from "vitest";
import { authorizeUrl, exchangeCode, readJson, register, signIn } from "../support/oauth.ts";
import type { Registered, Tokens } from "../support/oauth.ts";
import { flow, initialize, post, send } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";
const VERIFIER = "test-verifier-test-verifier-test-verifier-0";

interface ConfidentialClient extends Registered {
  readonly clientSecret: string;
}

/** Registers as the Python clients do: without `token_endpoint_auth_method`, and so with a secret. */
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

async function ask(
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

async function newCode(client: Registered): Promise<Record<string, string>> {
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
  const fields = { ...(await newCode(client)), client_id: client.clientId };
  const tokens = await readJson(await ask(fields, basicOf(client)));
  return { accessToken: String(tokens["access_token"]), refreshToken: String(tokens["refresh_token"]) };
}

const statusOf = async (accessToken: string): Promise<number> => (await post(accessToken, initialize())).status;

describe("a client that sends Basic and its client_id in the body", () => {
  it("gets tokens for its code, refreshes, is answered a repeated refresh, and revokes", async () => {
    const client = await registerConfidential();
    const { accessToken, refreshToken } = await connect(client);
    expect(await statusOf(accessToken)).toBe(200);

    const refresh = { grant_type: "refresh_token", refresh_token: refreshToken, client_id: client.clientId };
    const refreshed = await ask({ ...refresh, resource: `${flow.origin}/mcp` }, basicOf(client));
    expect(refreshed.status).toBe(200);
    const text = await refreshed.text();
    // Within the grace period the spent refresh token gets the very same answer, if this is the same client.
    expect(await (await ask(refresh, basicOf(client))).text()).toBe(text);

    const { access_token: newAccessToken, refresh_token: newRefreshToken }: Record<string, unknown> = JSON.parse(text);
    expect(await statusOf(String(newAccessToken))).toBe(200);
    const revocation = { token: String(newRefreshToken), client_id: client.clientId };
    expect((await ask(revocation, basicOf(client))).status).toBe(200);
    expect(await statusOf(String(newAccessToken))).toBe(401);
  });

  it.each([
    [
      "percent-encodes the Basic user",
      (id: string) => Array.from(id, (c) => `%${c.charCodeAt(0).toString(16)}`).join(""),
    ],
    ["writes the Basic user as it is", (id: string) => id],
  ])("is recognised when it %s", async (_what, encode) => {
    const client = await registerConfidential();
    const fields = { ...(await newCode(client)), client_id: client.clientId };
    expect((await ask(fields, encodeBasic(encode(client.clientId), client.clientSecret))).status).toBe(200);
  });

  it("is recognised when its other credentials are empty parameters, which count as not sent", async () => {
    const client = await registerConfidential();
    const fields = { ...(await newCode(client)), client_id: client.clientId, client_secret: "", client_assertion: "" };
    expect((await ask(fields, basicOf(client))).status).toBe(200);
  });

  it("gets 401 when the secret is wrong", async () => {
    const client = await registerConfidential();
    const fields = { ...(await newCode(client)), client_id: client.clientId };
    const refused = await ask(fields, encodeBasic(client.clientId, "x".repeat(32)));
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toContain("Basic");
    expect(await refused.json()).toMatchObject({ error: "invalid_client" });
    // The guess used up nothing.
    expect((await ask(fields, basicOf(client))).status).toBe(200);
  });

  it("does not get tokens for another client's code", async () => {
    const [client, other] = [await registerConfidential(), await registerConfidential()];
    const fields = { ...(await newCode(client)), client_id: other.clientId };
    expect(await (await ask(fields, basicOf(other))).json()).toMatchObject({ error: "invalid_grant" });
  });
});

type Fields = readonly (readonly [string, string])[];

/** What is wrong → the extra parameters of the body, and the header. */
const REFUSED: readonly (readonly [
  string,
  (client: ConfidentialClient, other: ConfidentialClient) => { readonly fields: Fields; readonly basic?: string },
])[] = [
  ["another client's id in the body", (_client, other) => ({ fields: [["client_id", other.clientId]] })],
  ["its id in other letter case", ({ clientId }) => ({ fields: [["client_id", swapCase(clientId)]] })],
  ["its id with a space behind it", ({ clientId }) => ({ fields: [["client_id", `${clientId} `]] })],
  [
    "its secret in the body too",
    ({ clientId, clientSecret }) => ({
      fields: [
        ["client_id", clientId],
        ["client_secret", clientSecret],
      ],
    }),
  ],
  ["its secret in the body alone", ({ clientSecret }) => ({ fields: [["client_secret", clientSecret]] })],
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
    "an assertion's type in the body",
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
  ["Basic that is no Base64", ({ clientId }) => ({ fields: [["client_id", clientId]], basic: "Basic %%%" })],
  ["Basic that is empty", ({ clientId }) => ({ fields: [["client_id", clientId]], basic: "Basic" })],
  [
    "Basic without a colon",
    ({ clientId }) => ({ fields: [["client_id", clientId]], basic: `Basic ${btoa(clientId)}` }),
  ],
  [
    "Basic with a broken percent encoding",
    ({ clientId, clientSecret }) => ({
      fields: [["client_id", clientId]],
      basic: encodeBasic(`${clientId}%zz`, clientSecret),
    }),
  ],
  [
    "Basic that has a second credential behind it",
    (client) => ({ fields: [["client_id", client.clientId]], basic: `${basicOf(client)} ${basicOf(client)}` }),
  ],
  [
    "an id in the body that equals the Basic user before it is decoded",
    ({ clientId, clientSecret }) => {
      const encoded = `%${clientId.charCodeAt(0).toString(16)}${clientId.slice(1)}`;
      return { fields: [["client_id", encoded]], basic: encodeBasic(encoded, clientSecret) };
    },
  ],
];

function swapCase(text: string): string {
  return Array.from(text, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase())).join("");
}

describe.each(REFUSED)("refuses Basic with %s", (_what, build) => {
  it("for a code, for a refresh, and to revoke; none of them is used up", async () => {
    const [client, other] = [await registerConfidential(), await registerConfidential()];
    const { accessToken, refreshToken } = await connect(client);
    const code = await newCode(client);
    const { fields, basic = basicOf(client) } = build(client, other);
    for (const request of [
      Object.entries(code),
      Object.entries({ grant_type: "refresh_token", refresh_token: refreshToken }),
      Object.entries({ token: refreshToken }),
      Object.entries({ token: accessToken }),
    ]) {
      const refused = await ask([...request, ...fields], basic);
      expect(refused.status).toBe(400);
      expect(await refused.json()).toMatchObject({ error: "invalid_request" });
    }
    expect(await statusOf(accessToken)).toBe(200);
    expect((await ask({ ...code, client_id: client.clientId }, basicOf(client))).status).toBe(200);
    const refresh = { grant_type: "refresh_token", refresh_token: refreshToken };
    expect((await ask(refresh, basicOf(client))).status).toBe(200);
  });
});

describe("the other ways of authentication", () => {
  it("takes client_secret_post and Basic alone from the clients that registered them", async () => {
    const byPost = await registerConfidential({ token_endpoint_auth_method: "client_secret_post" });
    const credentials = { client_id: byPost.clientId, client_secret: byPost.clientSecret };
    expect((await ask({ ...(await newCode(byPost)), ...credentials })).status).toBe(200);
    const byBasic = await registerConfidential();
    expect((await ask(await newCode(byBasic), basicOf(byBasic))).status).toBe(200);
  });

  it("leaves a Bearer header beside a public client's id alone", async () => {
    const client = await register(flow);
    const page = await send(await authorizeUrl(flow, client));
    expect(page.status).toBe(200);
    const tokens = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
    const refresh = { grant_type: "refresh_token", refresh_token: tokens.refreshToken, client_id: client.clientId };
    expect((await ask(refresh, `Bearer ${tokens.accessToken}`)).status).toBe(200);
  });
});
