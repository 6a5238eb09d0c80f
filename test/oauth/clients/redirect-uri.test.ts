// Redirect URIs with private-use schemes, such as `cursor://…`: which schemes a client may register, that a request must use
// exactly the registered URI, and what the consent page shows.
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { prepareRegistration } from "../../../src/oauth/clients/client-registration.ts";
import { createGrantStore } from "../../../src/oauth/grants/grant-kv-store.ts";
import { newId } from "../../../src/lib/ids.ts";
import { authorizeUrl, openConsent, readJson, requestToken, signIn } from "../../support/oauth.ts";
import type { Registered } from "../../support/oauth.ts";
import { ORIGIN, flow, initialize, post, send } from "../../support/worker.ts";

const CURSOR = "cursor://anysphere.cursor-mcp/oauth/callback";
const USABLE = "http://127.0.0.1:45454/callback";
const VERIFIER = "test-verifier-test-verifier-test-verifier-0";

const metadataOf = (redirectUris: readonly unknown[]): object => ({
  client_name: "Editor",
  redirect_uris: redirectUris,
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  token_endpoint_auth_method: "none",
});

async function sendRegistration(redirectUris: readonly unknown[]): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return send(`${ORIGIN}/oauth/register`, { method: "POST", headers, body: JSON.stringify(metadataOf(redirectUris)) });
}

async function registerClient(...redirectUris: readonly [string, ...string[]]): Promise<Registered> {
  const { client_id: clientId } = await readJson(await sendRegistration(redirectUris));
  return { clientId: String(clientId), redirectUri: redirectUris[0] };
}

/** Stores a client as an older version did, with a scheme that is not allowed. */
async function storeUncheckedClient(redirectUri: string): Promise<Registered> {
  const clientId = newId();
  const record = {
    clientId,
    redirectUris: [redirectUri, USABLE],
    clientName: "Old client",
    grantTypes: ["authorization_code", "refresh_token"],
    responseTypes: ["code"],
    tokenEndpointAuthMethod: "none",
    registrationDate: Math.floor(Date.now() / 1000),
  };
  await createGrantStore(env.GRANT).put(`client:${clientId}`, JSON.stringify(record));
  return { clientId, redirectUri };
}

const OTHER_SCHEMES = [
  "vscode://vscode.github-authentication/callback",
  "cursors://anysphere.cursor-mcp/callback",
  "cursor.evil://callback",
  "x-cursor://callback",
  "com.example.app:/oauth2redirect",
  "ms-msdt://callback",
  "intent://callback",
  "view-source:https://client.example/callback",
  "filesystem:https://client.example/callback",
  "ws://client.example/callback",
  "ftp://client.example/callback",
  "chrome-extension://abc/callback",
  "JAVASCRIPT:alert(1)",
  "cursor\u0131://callback",
  "urn:ietf:wg:oauth:2.0:oob",
];

describe("an allowed private-use scheme", () => {
  it.each([CURSOR, "claude://claude.ai/callback", "cursor:/callback", "CURSOR://Anysphere/callback"])(
    "signs in through %s and gets a valid access token",
    async (redirectUri) => {
      const client = await registerClient(redirectUri);
      const callback = await signIn(flow, client, "analyst@harbor.example");
      expect(callback.href.toLowerCase()).toContain(`${redirectUri.toLowerCase()}?code=`);
      const tokenResponse = await requestToken(flow, {
        grant_type: "authorization_code",
        code: callback.searchParams.get("code") ?? "",
        client_id: client.clientId,
        redirect_uri: redirectUri,
        code_verifier: VERIFIER,
      });
      const { access_token: accessToken } = await readJson(tokenResponse);
      expect((await post(String(accessToken), initialize())).status).toBe(200);
    },
  );

  it.each([
    ["another path", `${CURSOR}2`],
    ["a longer path", `${CURSOR}/evil`],
    ["a query", `${CURSOR}?next=evil`],
    ["another host", "cursor://anysphere.cursor-mcp.evil/oauth/callback"],
    ["a port", "cursor://anysphere.cursor-mcp:1/oauth/callback"],
    ["another allowed scheme", CURSOR.replace("cursor:", "claude:")],
    ["other letter case", CURSOR.replace("cursor:", "CURSOR:")],
    ["a trailing slash", `${CURSOR}/`],
    ["a fragment", `${CURSOR}#x`],
    ["user information", "cursor://user@anysphere.cursor-mcp/oauth/callback"],
  ])("refuses a URI that differs from the registered one by %s", async (_name, redirectUri) => {
    const client = await registerClient(CURSOR, USABLE);
    const page = await send(await authorizeUrl(flow, { ...client, redirectUri }));
    expect(page.status).toBe(400);
    expect(page.headers.get("location")).toBeNull();
    expect(await page.text()).not.toContain('href="cursor:');
  });

  it.each(["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "[::1]"])(
    "requires the registered port of the loopback host %s, unlike http",
    async (host) => {
      const client = await registerClient(`cursor://${host}:1001/callback`);
      expect((await send(await authorizeUrl(flow, client))).status).toBe(200);
      for (const redirectUri of [`cursor://${host}:1002/callback`, `cursor://${host}/callback`])
        expect((await send(await authorizeUrl(flow, { ...client, redirectUri }))).status).toBe(400);
    },
  );

  it.each([
    ["without a challenge", { code_challenge: undefined, code_challenge_method: undefined }],
    ["with the method plain", { code_challenge: VERIFIER, code_challenge_method: "plain" }],
    ["without a method", { code_challenge_method: undefined }],
  ])("needs PKCE: a request %s gets an error page without a redirect", async (_name, parameters) => {
    const client = await registerClient("cursor://localhost/callback");
    const page = await send(await authorizeUrl(flow, client, parameters));
    expect(page.status).toBe(400);
    expect(page.headers.get("location")).toBeNull();
  });

  it("needs the PKCE verifier to exchange its code", async () => {
    const client = await registerClient(CURSOR);
    const callback = await signIn(flow, client, "analyst@harbor.example");
    const refused = await requestToken(flow, {
      grant_type: "authorization_code",
      code: callback.searchParams.get("code") ?? "",
      client_id: client.clientId,
      redirect_uri: CURSOR,
    });
    expect(refused.status).toBe(400);
  });

  it("is shown on the consent page with its whole URI, and added to the form targets", async () => {
    const { browser, consent } = await openConsent(flow, await registerClient(CURSOR, USABLE));
    const accounts = await browser.press(consent, "decision", "approve");
    expect(consent.html).toContain("<strong>cursor:</strong>");
    expect(consent.html).toContain(CURSOR);
    expect(consent.html).toContain("Any program on your computer can claim");
    for (const { response } of [consent, accounts])
      expect(response.headers.get("content-security-policy")).toContain("form-action 'self' http: https: cursor:;");
  });

  it("is shown on the consent page as a scheme even if its host is localhost", async () => {
    const { consent } = await openConsent(flow, await registerClient("claude://localhost/callback"));
    expect(consent.html).toContain("<strong>claude:</strong>");
    expect(consent.html).not.toContain("<strong>localhost</strong>");
    expect(consent.html).not.toContain("a program on your own computer");
  });

  it("is not added to the form targets of a request with an http redirect URI", async () => {
    const { consent } = await openConsent(flow, await registerClient(USABLE, CURSOR));
    expect(consent.response.headers.get("content-security-policy")).toContain("form-action 'self' http: https:;");
    expect(consent.html).not.toContain("<strong>cursor:</strong>");
    expect(consent.html).not.toContain("can claim");
  });
});

describe.each(OTHER_SCHEMES)("a redirect URI whose scheme is not allowed, %s", (redirectUri) => {
  it("is refused at registration when it is the only one", async () => {
    const response = await sendRegistration([redirectUri]);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: "invalid_client_metadata" });
  });

  it("is dropped at registration beside usable ones, as the response shows", async () => {
    const response = await sendRegistration([redirectUri, CURSOR, USABLE]);
    expect(response.status).toBe(201);
    expect((await response.json<{ redirect_uris: unknown }>()).redirect_uris).toEqual([CURSOR, USABLE]);
  });

  it.each([{}, { code_challenge_method: "plain" }, { response_type: "token" }])(
    "gets no code, redirect or link for a client that an older version stored (%j)",
    async (parameters) => {
      const client = await storeUncheckedClient(redirectUri);
      const page = await send(await authorizeUrl(flow, client, parameters));
      expect(page.status).toBe(400);
      expect(page.headers.get("location")).toBeNull();
      expect(await page.text()).not.toContain(`href="${redirectUri.split(":")[0]}:`);
      // The client's other redirect URI still works.
      expect((await send(await authorizeUrl(flow, { ...client, redirectUri: USABLE }))).status).toBe(200);
    },
  );
});

describe("a metadata document with private-use schemes", () => {
  const DOCUMENT = "https://client.example/editor.json";

  beforeEach(() =>
    vi
      .spyOn(globalThis, "fetch")
      .mockImplementation(async () =>
        Response.json({ ...metadataOf(["evil://callback", CURSOR, USABLE]), client_id: DOCUMENT }),
      ),
  );
  afterEach(() => vi.restoreAllMocks());

  it.each([CURSOR, USABLE])("gets a consent page for the redirect URI %s", async (redirectUri) => {
    const page = await send(await authorizeUrl(flow, { clientId: DOCUMENT, redirectUri }));
    expect(page.status).toBe(200);
    expect((await page.text()).includes("<strong>cursor:</strong>")).toBe(redirectUri === CURSOR);
  });

  it.each(["evil://callback", `${CURSOR}/evil`, "claude://anysphere.cursor-mcp/oauth/callback"])(
    "gets an error page without a redirect for the redirect URI %s",
    async (redirectUri) => {
      const page = await send(
        await authorizeUrl(flow, { clientId: DOCUMENT, redirectUri }, { response_type: "token" }),
      );
      expect(page.status).toBe(400);
      expect(page.headers.get("location")).toBeNull();
      expect(await page.text()).not.toContain("evil:");
    },
  );
});

describe("the setting allowedRedirectSchemes", () => {
  const prepare = async (uris: readonly string[], schemes: readonly string[]): Promise<unknown> => {
    const body = JSON.stringify(metadataOf(uris));
    const request = new Request(`${ORIGIN}/oauth/register`, { method: "POST", body });
    const prepared = await prepareRegistration(request, schemes);
    if (prepared instanceof Response) return prepared.status;
    return (await prepared.json<{ redirect_uris: unknown }>()).redirect_uris;
  };

  it("replaces the default, so that only its schemes can be registered", async () => {
    const uris = ["vscode://a/b", CURSOR, USABLE];
    expect(await prepare(uris, ["vscode"])).toEqual(["vscode://a/b", USABLE]);
    expect(await prepare(uris, [])).toEqual([USABLE]);
    expect(await prepare([CURSOR], [])).toBe(400);
  });
});
