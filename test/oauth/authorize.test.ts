// The authorization flow over HTTP: what its pages show and refuse, and what the issued tokens allow.
import { describe, expect, it } from "vitest";
import { createSampleSignIn } from "../../src/sign-in/sample-sign-in.tsx";
import { readForm } from "../support/forms.ts";
import { everythingStored } from "../support/grants.ts";
import {
  REDIRECT_URI,
  authorizeUrl,
  exchangeCode,
  openConsent,
  readJson,
  register,
  requestToken,
  signIn,
  tokensFor,
} from "../support/oauth.ts";
import { ORIGIN, flow, initialize, post, send } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";

describe("discovery", () => {
  it("publishes the resource, its authorization server and the supported scopes", async () => {
    expect(await readJson(await send(`${ORIGIN}/.well-known/oauth-protected-resource/mcp`))).toMatchObject({
      resource: `${ORIGIN}/mcp`,
      authorization_servers: [ORIGIN],
      scopes_supported: ["read"],
    });
    expect(await readJson(await send(`${ORIGIN}/.well-known/oauth-authorization-server`))).toMatchObject({
      issuer: ORIGIN,
      scopes_supported: ["read", "offline_access"],
      code_challenge_methods_supported: ["S256"],
      client_id_metadata_document_supported: true,
      registration_endpoint: `${ORIGIN}/oauth/register`,
      revocation_endpoint: `${ORIGIN}/oauth/token`,
    });
  });

  it("registers a client with a private-use and a loopback redirect URI, as Cursor does", async () => {
    const client = await register(flow, {
      redirect_uris: ["cursor://anysphere.cursor-mcp/oauth/callback", REDIRECT_URI],
    });
    expect((await openConsent(flow, client)).consent.response.status).toBe(200);
  });
});

describe("the consent page", () => {
  it("shows the client, where the answer goes and what the client will be able to do", async () => {
    const { consent } = await openConsent(flow, await register(flow, { client_name: "My assistant" }));
    expect(consent.html).toContain("My assistant");
    expect(consent.html).toContain("unverified");
    expect(consent.html).toContain("127.0.0.1");
    expect(consent.html).toContain("program on your own computer");
    expect(consent.html).toContain("Read the data and documents that you may read");
    expect(readForm(consent.html).buttons).toEqual([
      ["decision", "approve"],
      ["decision", "deny"],
    ]);
  });

  it("escapes the name of the client", async () => {
    const { consent } = await openConsent(flow, await register(flow, { client_name: '<script>alert("x")</script>' }));
    expect(consent.html).not.toContain("<script");
    expect(consent.html).toContain("&lt;script&gt;");
  });

  it("forbids framing, caching and loading other resources", async () => {
    const { headers } = (await openConsent(flow, await register(flow))).consent.response;
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("content-security-policy")).toMatch(
      /default-src 'none'; style-src 'nonce-[^']+'; form-action 'self' http: https:; frame-ancestors 'none'/,
    );
  });

  it("accepts one decision, from the browser that opened it only", async () => {
    const { browser, consent } = await openConsent(flow, await register(flow));
    const form = readForm(consent.html);
    const body = new URLSearchParams([...form.hidden, ["decision", "approve"]]);
    const stolen = await send(`${ORIGIN}/authorize`, { method: "POST", body });
    expect(stolen.status).toBe(400);
    expect((await browser.press(consent, "decision", "approve")).response.status).toBe(200);
    expect((await browser.press(consent, "decision", "approve")).response.status).toBe(400);
  });

  it("returns a denial to the client with state and issuer and without a code", async () => {
    const { browser, consent } = await openConsent(flow, await register(flow));
    const denied = await browser.press(consent, "decision", "deny");
    const location = new URL(denied.response.headers.get("location") ?? "");
    expect(location.href).toContain(REDIRECT_URI);
    expect(Object.fromEntries(location.searchParams)).toMatchObject({
      error: "access_denied",
      state: "client-state",
      iss: ORIGIN,
    });
    expect(location.searchParams.get("code")).toBeNull();
  });

  it("responds 400 when neither button was pressed", async () => {
    const { browser, consent } = await openConsent(flow, await register(flow));
    const { action, hidden } = readForm(consent.html);
    const fields = { ...Object.fromEntries(hidden), decision: "maybe" };
    expect((await browser.post(new URL(action, consent.url).href, fields)).response.status).toBe(400);
  });

  it.each([
    ["another redirect URI", { redirect_uri: "https://evil.example/callback" }],
    ["an unknown client", { client_id: "unknown" }],
  ])("shows an error page without a redirect for %s", async (_name, extra) => {
    const page = await send(await authorizeUrl(flow, await register(flow), extra));
    expect(page.status).toBe(400);
    expect(page.headers.get("location")).toBeNull();
  });

  it.each([
    ["no PKCE", { code_challenge: undefined, code_challenge_method: undefined }, "invalid_request"],
    ["plain PKCE", { code_challenge_method: "plain" }, "invalid_request"],
    ["another resource", { resource: "https://other.example/mcp" }, "invalid_target"],
    ["the implicit grant", { response_type: "token" }, "unsupported_response_type"],
  ])("rejects a request with %s", async (_name, extra, error) => {
    const page = await send(await authorizeUrl(flow, await register(flow), extra));
    expect(page.status).toBe(302);
    expect(new URL(page.headers.get("location") ?? "").searchParams.get("error")).toBe(error);
  });

  it("requires PKCE of clients with a secret too", async () => {
    const client = await register(flow, { token_endpoint_auth_method: "client_secret_post" });
    const page = await send(
      await authorizeUrl(flow, client, { code_challenge: undefined, code_challenge_method: undefined }),
    );
    expect(new URL(page.headers.get("location") ?? "").searchParams.get("error")).toBe("invalid_request");
  });
});

describe("the sample sign-in", () => {
  it("offers the accounts as buttons of a form without scripts", async () => {
    const { browser, consent } = await openConsent(flow, await register(flow));
    const accounts = await browser.press(consent, "decision", "approve");
    expect(readForm(accounts.html).buttons).toContainEqual(["account", ANALYST]);
    expect(readForm(accounts.html).buttons).toHaveLength(5);
    expect(accounts.html).not.toContain("<script");
  });

  it.each([
    ["an account that is not offered", "root@harbor.example", 403],
    ["an account that is offered", ANALYST, 302],
  ])("cannot be repeated after a choice of %s", async (_name, account, status) => {
    const { browser, consent } = await openConsent(flow, await register(flow));
    const accounts = await browser.press(consent, "decision", "approve");
    const { action, hidden } = readForm(accounts.html);
    const fields = { ...Object.fromEntries(hidden), account };
    expect((await browser.post(new URL(action, accounts.url).href, fields)).response.status).toBe(status);
    expect((await browser.press(accounts, "account", ANALYST)).response.status).toBe(400);
  });

  it("rejects a choice from another browser", async () => {
    const { browser, consent } = await openConsent(flow, await register(flow));
    const accounts = await browser.press(consent, "decision", "approve");
    const { action } = readForm(accounts.html);
    const stolen = await send(new URL(action, ORIGIN).href, {
      method: "POST",
      body: new URLSearchParams({ account: ANALYST }),
    });
    expect(stolen.status).toBe(400);
  });

  it("also offers the members of the members table, each once, and none whose address is misspelt", async () => {
    const added = ["cora@harbor.example", ANALYST, "Ünal@harbor.example", " bob@harbor.example"];
    const signInMethod = createSampleSignIn({
      members: [{ email: ANALYST, name: "Ana", roles: [], attributes: {} }],
      listTableMembers: async () => added,
    });
    const choose = async (account: string) => {
      const body = new URLSearchParams({ account });
      return signInMethod.finish(new Request(`${ORIGIN}/sign-in/callback?state=x`, { method: "POST", body }), null);
    };
    const { next } = await signInMethod.start();
    const step = await next("x");
    const html = "page" in step ? String(step.page.body) : "";
    expect([...html.matchAll(/value="([^"]*)"/g)].map(([, email]) => email)).toEqual([ANALYST, "cora@harbor.example"]);
    expect(await choose("cora@harbor.example")).toMatchObject({ claims: { email: "cora@harbor.example" } });
    added.shift();
    expect(await choose("cora@harbor.example")).toEqual({ refused: "There is no such account." });
  });

  it.each(["https://gatehouse.example.com", "http://10.0.0.5:8787", "http://localhost.evil.example"])(
    "refuses to sign in at %s, which is not localhost",
    async (origin) => {
      const signInMethod = createSampleSignIn({ members: [], listTableMembers: async () => [] });
      const request = new Request(`${origin}/sign-in/callback?state=x`, {
        method: "POST",
        body: new URLSearchParams({ account: ANALYST }),
      });
      expect(signInMethod.findRefusal(request)).toContain("localhost");
      expect(await signInMethod.finish(request, null)).toMatchObject({ refused: expect.stringContaining("localhost") });
    },
  );
});

describe("access and refresh tokens", () => {
  it("are bound to this resource and get only known, requested scopes", async () => {
    const client = await register(flow);
    const callback = await signIn(flow, client, ANALYST, { scope: "read everything admin" });
    const response = await requestToken(flow, {
      grant_type: "authorization_code",
      code: callback.searchParams.get("code") ?? "",
      client_id: client.clientId,
      redirect_uri: client.redirectUri,
      code_verifier: "test-verifier-test-verifier-test-verifier-0",
    });
    expect(await readJson(response)).toMatchObject({ scope: "read", resource: `${ORIGIN}/mcp`, expires_in: 3600 });
  });

  it("are issued once for a code, to its client, with its verifier", async () => {
    const client = await register(flow);
    const callback = await signIn(flow, client, ANALYST);
    const exchange = (extra: Record<string, string>) =>
      requestToken(flow, {
        grant_type: "authorization_code",
        code: callback.searchParams.get("code") ?? "",
        client_id: client.clientId,
        redirect_uri: client.redirectUri,
        code_verifier: "test-verifier-test-verifier-test-verifier-0",
        ...extra,
      });
    expect((await exchange({ code_verifier: "x".repeat(43) })).status).toBe(400);
    expect((await exchange({ client_id: (await register(flow)).clientId })).status).toBe(400);
    expect(callback.searchParams.get("iss")).toBe(ORIGIN);
    expect((await exchange({})).status).toBe(200);
    expect((await exchange({})).status).toBe(400);
  });

  it("are refreshed, and revoked with their connection", async () => {
    const client = await register(flow);
    const tokens = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
    const refreshed = await readJson(
      await requestToken(flow, {
        grant_type: "refresh_token",
        refresh_token: tokens.refreshToken,
        client_id: client.clientId,
      }),
    );
    const accessToken = String(refreshed["access_token"]);
    expect((await post(accessToken, initialize())).status).toBe(200);
    expect(
      (await requestToken(flow, { token: String(refreshed["refresh_token"]), client_id: client.clientId })).status,
    ).toBe(200);
    expect((await post(accessToken, initialize())).status).toBe(401);
    expect(
      (
        await requestToken(flow, {
          grant_type: "refresh_token",
          refresh_token: String(refreshed["refresh_token"]),
          client_id: client.clientId,
        })
      ).status,
    ).toBe(400);
  });

  it("stay valid when the user signs in on a second device", async () => {
    const client = await register(flow);
    const first = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
    await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
    expect((await post(first.accessToken, initialize())).status).toBe(200);
  });

  it("name one subject per account, and neither they nor email addresses are stored unencrypted", async () => {
    const [first, second, ownerTokens] = await Promise.all([
      tokensFor(flow, ANALYST),
      tokensFor(flow, ANALYST),
      tokensFor(flow, "owner@harbor.example"),
    ]);
    const subjectOf = (accessToken: string): string => accessToken.split(":")[0] ?? "";
    expect(subjectOf(first.accessToken)).toBe(subjectOf(second.accessToken));
    expect(subjectOf(first.accessToken)).not.toBe(subjectOf(ownerTokens.accessToken));
    const stored = await everythingStored();
    const storedText = stored.join("\n");
    expect(stored.length).toBeGreaterThan(5);
    expect(storedText).not.toContain("harbor.example");
    for (const { accessToken, refreshToken } of [first, second, ownerTokens]) {
      expect(storedText).not.toContain(accessToken);
      expect(storedText).not.toContain(refreshToken);
    }
  });
});

describe("a client with a metadata document", () => {
  it("is shown with its verified domain and gets an access token without registration", async () => {
    const client = { clientId: "https://client.example/metadata.json", redirectUri: REDIRECT_URI };
    const { consent } = await openConsent(flow, client);
    expect(consent.html).toContain("Documented client");
    expect(consent.html).toContain("<strong>client.example</strong>");
    expect(consent.html).not.toContain("unverified");
    const tokens = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
    expect((await post(tokens.accessToken, initialize())).status).toBe(200);
  });

  it("gets an error page when the document cannot be fetched", async () => {
    const client = { clientId: "https://unreachable.example/metadata.json", redirectUri: REDIRECT_URI };
    const page = await send(await authorizeUrl(flow, client));
    expect(page.status).toBe(400);
    expect(await page.text()).toContain("description could not be fetched");
  });
});

describe("other pages", () => {
  it("the start page says how to connect, and an unknown page links to it", async () => {
    const home = await (await send(`${ORIGIN}/`)).text();
    expect(home).toContain(`claude mcp add --transport http gatehouse ${ORIGIN}/mcp`);
    const missing = await send(`${ORIGIN}/nothing`);
    expect(missing.status).toBe(404);
    expect(await missing.text()).toContain('href="/"');
  });
});
