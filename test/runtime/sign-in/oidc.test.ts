// Sign-in at a real OpenID Connect issuer: which users can sign in, which ID tokens are refused, and what a refresh reads about the user.
import { generateKeyPair } from "jose";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createBrowser } from "../../support/forms.ts";
import { readJson, register, requestToken, exchangeCode } from "../../support/oauth.ts";
import { useIdentityWorker } from "../../support/node/identity-worker.ts";
import { startIssuer, variablesFor } from "../../support/node/issuer.ts";
import type { Issuer } from "../../support/node/issuer.ts";

const issuers: Issuer[] = [];

function issuerWith(options: { claimsInIdToken: boolean; hasRefreshTokens?: boolean }) {
  return async (origin: string): Promise<Record<string, string>> => {
    const issuer = await startIssuer({ redirectUri: `${origin}/sign-in/callback`, ...options });
    issuers.push(issuer);
    return variablesFor(issuer);
  };
}

afterAll(() => {
  for (const issuer of issuers) issuer.close();
});

const VAGUE = "could not confirm who you are";

describe.each([
  ["ID tokens", true],
  ["the user info", false],
])("an issuer with claims in %s", (_name, claimsInIdToken) => {
  const worker = useIdentityWorker(issuerWith({ claimsInIdToken }));
  const issuerOf = (): Issuer => {
    const issuer = issuers.at(-1);
    if (issuer === undefined) throw new Error("no issuer runs");
    return issuer;
  };

  beforeEach(async () => {
    const issuer = issuerOf();
    issuer.alter = undefined;
    issuer.instead.clear();
    issuer.accounts.clear();
    issuer.accounts.set("ann-1", { email: "ann@example.com", email_verified: true, groups: ["sales", "staff"] });
    issuer.person = "ann-1";
    await worker().log();
  });

  it("signs in with address and groups, and derives the subject from the issuer and the subject claim only", async () => {
    const issuer = issuerOf();
    const { tokens } = await worker().connect();
    const identity = await worker().identityOf(tokens);
    expect(identity).toEqual({
      subjectId: expect.stringMatching(/^[0-9a-f]{40}$/),
      email: "ann@example.com",
      groups: ["sales", "staff"],
    });
    issuer.accounts.set("ann-1", { email: "ann.new@example.com", email_verified: true, groups: [] });
    const renamed = await worker().identityOf((await worker().connect()).tokens);
    expect(renamed).toMatchObject({ subjectId: identity?.["subjectId"], email: "ann.new@example.com" });
    issuer.accounts.set("imposter", { email: "ann@example.com", email_verified: true, groups: [] });
    issuer.person = "imposter";
    const imposter = await worker().identityOf((await worker().connect()).tokens);
    expect(imposter).toMatchObject({ email: "ann@example.com" });
    expect(imposter?.["subjectId"]).not.toBe(identity?.["subjectId"]);
  });

  it("signs in to the pages as the same subject", async () => {
    const { tokens } = await worker().connect();
    const identity = await worker().identityOf(tokens);
    expect(await worker().signInToPages(createBrowser(fetch))).toEqual(identity);
  });

  it("sends nothing to the issuer before the user has consented", async () => {
    const issuer = issuerOf();
    const client = await register(worker().flow);
    issuer.requests.length = 0;
    const refused = await worker()
      .signIn(client, (url) => {
        if (url.origin === issuer.url && url.pathname === "/auth") throw new Error("went to the issuer");
        return url;
      })
      .catch((error: unknown) => String(error));
    expect(refused).toContain("went to the issuer");
    expect(issuer.requests.filter((request) => request !== "GET /.well-known/openid-configuration")).toEqual([]);
  });

  it.each([
    ["another nonce", (claims: object) => ({ ...claims, nonce: "another" }), "nonce"],
    ["no nonce", (claims: object) => ({ ...claims, nonce: undefined }), "nonce"],
    ["another audience", (claims: object) => ({ ...claims, aud: "another-client" }), "aud"],
    ["another issuer", (claims: object) => ({ ...claims, iss: "https://login.evil.example" }), "iss"],
    ["an expiry 40 seconds ago", (claims: object) => ({ ...claims, exp: secondsFromNow(-40) }), "exp"],
    ["a not-before time 40 seconds ahead", (claims: object) => ({ ...claims, nbf: secondsFromNow(40) }), "nbf"],
  ])("refuses an ID token with %s, and names the reason only in the log", async (_case, claims, logged) => {
    issuerOf().alter = { claims };
    const { response, html } = await worker().signIn(await register(worker().flow));
    expect(response.status).toBe(403);
    expect(textOf(html)).toContain(VAGUE);
    expect(textOf(html)).not.toMatch(new RegExp(`\\b${logged}\\b`));
    const log = await worker().log();
    expect(log).toContain(logged);
  });

  it("accepts an ID token when the issuer's clock is 20 seconds ahead", async () => {
    issuerOf().alter = {
      claims: (claims) => ({ ...claims, iat: secondsFromNow(20), nbf: secondsFromNow(20), exp: secondsFromNow(3600) }),
    };
    expect(await worker().identityOf((await worker().connect()).tokens)).toBeDefined();
  });

  it("refuses an ID token that another key signed", async () => {
    const { privateKey } = await generateKeyPair("RS256");
    issuerOf().alter = { claims: (claims) => claims, key: privateKey };
    expect((await worker().signIn(await register(worker().flow))).html).toContain(VAGUE);
    expect(await worker().log()).toContain("signature");
  });

  it("accepts rotated keys of the issuer at once, for sign-in and refresh", async () => {
    const before = await worker().connect();
    await issuerOf().rotateKeys();
    expect(await worker().identityOf((await worker().connect()).tokens)).toBeDefined();
    expect((await worker().refresh(before)).status).toBe(200);
  });

  it.each([
    ["the state", (url: URL) => url.searchParams.set("state", "A".repeat(43))],
    ["the code", (url: URL) => url.searchParams.set("code", "forged")],
    ["the issuer of the response", (url: URL) => url.searchParams.set("iss", "https://login.evil.example")],
  ])("refuses a callback with a changed parameter: %s", async (_case, change) => {
    const page = await worker().signIn(await register(worker().flow), (url) => {
      if (url.pathname === "/sign-in/callback") change(url);
      return url;
    });
    expect([400, 403]).toContain(page.response.status);
    expect(page.response.headers.get("location")).toBeNull();
  });

  it("refuses a callback in a browser that did not start the sign-in", async () => {
    const { flow } = worker();
    let callback = "";
    await worker().signIn(await register(flow), (url) => {
      if (url.pathname === "/sign-in/callback") {
        callback = url.href;
        return new URL("/log", url);
      }
      return url;
    });
    const stolen = await fetch(callback, { redirect: "manual" });
    expect(stolen.status).toBe(400);
  });

  it("shows a refusal with a link back to the client when the user declines at the issuer", async () => {
    const client = await register(worker().flow);
    const page = await worker().signIn(client, (url) => {
      if (url.pathname !== "/sign-in/callback") return url;
      url.searchParams.delete("code");
      url.searchParams.set("error", "access_denied");
      return url;
    });
    expect(page.response.status).toBe(403);
    expect(page.html).toContain("did not sign you in");
    expect(page.html).toContain(`${client.redirectUri}?error=access_denied`);
  });

  it.each([
    ["no address", { email: undefined, email_verified: true }],
    ["an unverified address", { email: "ann@example.com", email_verified: false }],
    ["an address without email_verified", { email: "ann@example.com", email_verified: undefined }],
  ])("refuses a user with %s", async (_case, claims) => {
    issuerOf().accounts.set("ann-1", { ...claims, groups: ["sales"] });
    const { response, html } = await worker().signIn(await register(worker().flow));
    expect(response.status).toBe(403);
    expect(html).toContain("verified email address");
    expect(await worker().log()).toMatch(/refused: (?:there is no email claim|email_verified is not)/);
  });

  it("normalises a verified address", async () => {
    issuerOf().accounts.set("ann-1", { email: "Zed@Red.Example", email_verified: true, groups: [] });
    const { tokens } = await worker().connect();
    expect(await worker().identityOf(tokens)).toMatchObject({ email: "zed@red.example" });
    expect(await worker().signInToPages(createBrowser(fetch))).toMatchObject({ email: "zed@red.example" });
  });

  it.each([
    ["the Kelvin sign (Unicode folds it to k)", "\u212Aate@red.example", "…@red.example (with U+212A)"],
    ["a trailing space", "kate@red.example ", "k…@red.example (with U+0020)"],
    ["a line feed", "kate@red.example\nsign-in: forged", "k…@red.example (with U+000A, U+0020)"],
    ["a quoted local part", '"kate"@red.example', '"…@red.example'],
  ])(
    "refuses a verified address with %s and explains why, for a client and for the pages",
    async (_case, email, logged) => {
      issuerOf().accounts.set("ann-1", { email, email_verified: true, groups: ["sales"] });
      const { response, html } = await worker().signIn(await register(worker().flow));
      expect(response.status).toBe(403);
      expect(textOf(html)).toContain("this server does not accept. An address is written in ASCII");
      expect(await worker().log()).toContain(`refused: the email address is not acceptable: ${logged}`);
      expect(
        await worker()
          .signInToPages(createBrowser(fetch))
          .catch(() => undefined),
      ).toBeUndefined();
    },
  );

  describe("at a refresh", () => {
    it("ends the grant when the address is no longer acceptable", async () => {
      const signedIn = await worker().connect();
      issuerOf().accounts.set("ann-1", { email: "\u212Aate@red.example", email_verified: true, groups: [] });
      expect(await (await worker().refresh(signedIn)).json()).toMatchObject({ error: "invalid_grant" });
      expect(await worker().log()).toContain("the email address is not acceptable");
      expect(await worker().identityOf(signedIn.tokens)).toBeUndefined();
    });

    it("reads groups and address again at each of several refreshes when the issuer rotates its refresh token", async () => {
      const issuer = issuerOf();
      let signedIn = await worker().connect();
      for (const groups of [["sales"], [], ["finance", "staff"]]) {
        issuer.accounts.set("ann-1", { email: `${groups.length}@example.com`, email_verified: true, groups });
        const body = await readJson(await worker().refresh(signedIn));
        const tokens = { accessToken: String(body["access_token"]), refreshToken: String(body["refresh_token"]) };
        signedIn = { ...signedIn, tokens };
        expect(await worker().identityOf(tokens)).toMatchObject({ groups, email: `${groups.length}@example.com` });
      }
    });

    it("ends the grant, its access tokens and the browser sessions when the account is disabled", async () => {
      const issuer = issuerOf();
      const browser = createBrowser(fetch);
      const signedIn = await worker().connect();
      expect(await worker().signInToPages(browser)).toBeDefined();
      issuer.accounts.delete("ann-1");
      const refused = await worker().refresh(signedIn);
      expect(refused.status).toBe(400);
      expect(await refused.json()).toMatchObject({ error: "invalid_grant" });
      expect(await worker().log()).toContain("ended at its refresh");
      expect(await worker().identityOf(signedIn.tokens)).toBeUndefined();
      expect((await browser.open(`${worker().flow.origin}/who`)).html).toBe("null");
      // The grant stays ended when the account is enabled again: the user has to sign in.
      issuer.accounts.set("ann-1", { email: "ann@example.com", email_verified: true, groups: [] });
      expect((await worker().refresh(signedIn)).status).toBe(400);
    });

    it("ends the grant when the address is no longer verified", async () => {
      const signedIn = await worker().connect();
      issuerOf().accounts.set("ann-1", { email: "ann@example.com", email_verified: false, groups: ["sales"] });
      expect((await worker().refresh(signedIn)).status).toBe(400);
      expect(await worker().identityOf(signedIn.tokens)).toBeUndefined();
    });

    it.each([
      ["does not answer", 503, {}],
      ["limits the request rate", 429, {}],
      ["no longer accepts the client secret", 401, { error: "invalid_client" }],
      ["sends an invalid response", 200, {}],
    ])("leaves the connection when the issuer %s", async (_case, status, body) => {
      const issuer = issuerOf();
      const signedIn = await worker().connect();
      issuer.instead.set("/token", { status, body });
      const refused = await worker().refresh(signedIn);
      expect(refused.status).toBe(503);
      expect(refused.headers.get("retry-after")).toBe("30");
      expect(await refused.json()).toMatchObject({ error: "temporarily_unavailable" });
      expect(await worker().log()).toContain("could not be renewed now");
      expect(await worker().identityOf(signedIn.tokens)).toBeDefined();
      issuer.instead.clear();
      expect((await worker().refresh(signedIn)).status).toBe(200);
    });

    it("refuses an ID token of another user", async () => {
      const issuer = issuerOf();
      issuer.accounts.set("bob-1", { email: "bob@example.com", email_verified: true, groups: ["admins"] });
      const signedIn = await worker().connect();
      issuer.alter = { claims: (claims) => ({ ...claims, sub: "bob-1" }) };
      expect((await worker().refresh(signedIn)).status).toBe(400);
    });
  });
});

describe("an issuer that is down", () => {
  const worker = useIdentityWorker(issuerWith({ claimsInIdToken: true }));

  it("answers a sign-in with 503, and the page says that the issuer cannot be reached", async () => {
    issuers.at(-1)?.instead.set("/.well-known/openid-configuration", { status: 503, body: {} });
    const { response, html } = await worker().signIn(await register(worker().flow));
    expect(response.status).toBe(503);
    expect(textOf(html)).toContain("cannot be reached at the moment");
    expect(await worker().log()).toContain("the issuer cannot be reached");
  });
});

describe("an issuer that sends no refresh token", () => {
  const worker = useIdentityWorker(issuerWith({ claimsInIdToken: true, hasRefreshTokens: false }));

  it("signs in without a refresh token, and the log names the settings to change", async () => {
    const issuer = issuers.at(-1);
    issuer?.accounts.set("ann-1", { email: "ann@example.com", email_verified: true, groups: [] });
    if (issuer !== undefined) issuer.person = "ann-1";
    const { flow } = worker();
    const client = await register(flow);
    const page = await worker().signIn(client);
    const tokens = await exchangeCode(flow, client, new URL(page.response.headers.get("location") ?? ""));
    expect(tokens.refreshToken).toBe("undefined");
    expect(await worker().identityOf(tokens)).toBeDefined();
    expect(await worker().log()).toContain("OIDC_SCOPES");
    const refreshed = await requestToken(flow, {
      grant_type: "refresh_token",
      refresh_token: "x:y:z",
      client_id: client.clientId,
    });
    expect(refreshed.status).toBe(400);
  });
});

function secondsFromNow(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

/** The text that the user reads. */
function textOf(html: string): string {
  return html.replace(/^.*<main>/s, "").replaceAll(/<[^>]*>/g, "");
}
