// Sign-in at a real OpenID Connect issuer: who gets in, which tokens are refused, and what a refresh learns of the person.
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
  ["in ID tokens", true],
  ["by the user info", false],
])("claims that come %s", (_name, claimsInIdToken) => {
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

  it("signs in with address and groups; the subject is of issuer and subject claim, never of the address", async () => {
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

  it("signs in to our own pages too, as the same subject", async () => {
    const { tokens } = await worker().connect();
    const identity = await worker().identityOf(tokens);
    expect(await worker().signInToPages(createBrowser(fetch))).toEqual(identity);
  });

  it("asks for consent first: the issuer hears nothing before it", async () => {
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
    expect(issuer.requests.filter((one) => one !== "GET /.well-known/openid-configuration")).toEqual([]);
  });

  it.each([
    ["another nonce", (claims: object) => ({ ...claims, nonce: "another" }), "nonce"],
    ["no nonce", (claims: object) => ({ ...claims, nonce: undefined }), "nonce"],
    ["another audience", (claims: object) => ({ ...claims, aud: "another-client" }), "aud"],
    ["another issuer", (claims: object) => ({ ...claims, iss: "https://login.evil.example" }), "iss"],
    ["an end more than the tolerated 30 s ago", (claims: object) => ({ ...claims, exp: seconds(-40) }), "exp"],
    ["a beginning more than 30 s ahead", (claims: object) => ({ ...claims, nbf: seconds(40) }), "nbf"],
  ])("refuses an ID token with %s: vague outside, exact in the log", async (_case, claims, logged) => {
    issuerOf().alter = { claims };
    const { response, html } = await worker().signIn(await register(worker().flow));
    expect(response.status).toBe(403);
    expect(textOf(html)).toContain(VAGUE);
    expect(textOf(html)).not.toMatch(new RegExp(`\\b${logged}\\b`));
    const log = await worker().log();
    expect(log).toContain(logged);
  });

  it("takes an ID token of a clock that is 20 s off", async () => {
    issuerOf().alter = { claims: (claims) => ({ ...claims, iat: seconds(20), nbf: seconds(20), exp: seconds(3600) }) };
    expect(await worker().identityOf((await worker().connect()).tokens)).toBeDefined();
  });

  it("refuses an ID token that another key signed", async () => {
    const { privateKey } = await generateKeyPair("RS256");
    issuerOf().alter = { claims: (claims) => claims, key: privateKey };
    expect((await worker().signIn(await register(worker().flow))).html).toContain(VAGUE);
    expect(await worker().log()).toContain("signature");
  });

  it("takes new keys of the issuer at once, for sign-in and for refresh", async () => {
    const before = await worker().connect();
    await issuerOf().rotateKeys();
    expect(await worker().identityOf((await worker().connect()).tokens)).toBeDefined();
    expect((await worker().refresh(before)).status).toBe(200);
  });

  it.each([
    ["the state", (url: URL) => url.searchParams.set("state", "A".repeat(43))],
    ["the code", (url: URL) => url.searchParams.set("code", "forged")],
    ["the issuer of the answer", (url: URL) => url.searchParams.set("iss", "https://login.evil.example")],
  ])("refuses a callback when somebody changed %s", async (_case, change) => {
    const page = await worker().signIn(await register(worker().flow), (url) => {
      if (url.pathname === "/sign-in/callback") change(url);
      return url;
    });
    expect([400, 403]).toContain(page.response.status);
    expect(page.response.headers.get("location")).toBeNull();
  });

  it("a code that another browser got is good for nothing there", async () => {
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

  it("says so when the person declines at the issuer, and offers the way back to the client", async () => {
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
    ["an address that is not verified", { email: "ann@example.com", email_verified: false }],
    ["an address of which nothing is said", { email: "ann@example.com", email_verified: undefined }],
  ])("refuses %s", async (_case, claims) => {
    issuerOf().accounts.set("ann-1", { ...claims, groups: ["sales"] });
    const { response, html } = await worker().signIn(await register(worker().flow));
    expect(response.status).toBe(403);
    expect(html).toContain("verified email address");
    expect(await worker().log()).toMatch(/refused: (?:there is no email claim|email_verified is not)/);
  });

  it("gives a verified address in its one spelling", async () => {
    issuerOf().accounts.set("ann-1", { email: "Zed@Red.Example", email_verified: true, groups: [] });
    const { tokens } = await worker().connect();
    expect(await worker().identityOf(tokens)).toMatchObject({ email: "zed@red.example" });
    expect(await worker().signInToPages(createBrowser(fetch))).toMatchObject({ email: "zed@red.example" });
  });

  it.each([
    ["the Kelvin sign, which Unicode folds to k", "\u212Aate@red.example", "…@red.example (with U+212A)"],
    ["a trailing space", "kate@red.example ", "k…@red.example (with U+0020)"],
    ["a line feed", "kate@red.example\nsign-in: forged", "k…@red.example (with U+000A, U+0020)"],
    ["a quoted local part", '"kate"@red.example', '"…@red.example'],
  ])("refuses a verified address with %s, plainly, for a client and for the pages", async (_case, email, logged) => {
    issuerOf().accounts.set("ann-1", { email, email_verified: true, groups: ["sales"] });
    const { response, html } = await worker().signIn(await register(worker().flow));
    expect(response.status).toBe(403);
    expect(textOf(html)).toContain("this server cannot take. An address is written in ASCII");
    expect(await worker().log()).toContain(`refused: the email address cannot be taken: ${logged}`);
    expect(
      await worker()
        .signInToPages(createBrowser(fetch))
        .catch(() => undefined),
    ).toBeUndefined();
  });

  describe("at a refresh", () => {
    it("an address that cannot be taken ends the grant", async () => {
      const signedIn = await worker().connect();
      issuerOf().accounts.set("ann-1", { email: "\u212Aate@red.example", email_verified: true, groups: [] });
      expect(await (await worker().refresh(signedIn)).json()).toMatchObject({ error: "invalid_grant" });
      expect(await worker().log()).toContain("the email address cannot be taken");
      expect(await worker().identityOf(signedIn.tokens)).toBeUndefined();
    });

    it("groups and address are those of today, again and again, though the issuer replaces its refresh token", async () => {
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

    it("a disabled account ends the grant with its tokens, and the sign-in to our pages", async () => {
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
      // For good: an account that comes back signs in again.
      issuer.accounts.set("ann-1", { email: "ann@example.com", email_verified: true, groups: [] });
      expect((await worker().refresh(signedIn)).status).toBe(400);
    });

    it("an address that is no longer verified ends it", async () => {
      const signedIn = await worker().connect();
      issuerOf().accounts.set("ann-1", { email: "ann@example.com", email_verified: false, groups: ["sales"] });
      expect((await worker().refresh(signedIn)).status).toBe(400);
      expect(await worker().identityOf(signedIn.tokens)).toBeUndefined();
    });

    it.each([
      ["does not answer", 503, {}],
      ["limits our rate", 429, {}],
      ["no longer takes our client secret", 401, { error: "invalid_client" }],
      ["answers what nobody understands", 200, {}],
    ])("an issuer that %s is a passing fault: nobody is signed out", async (_case, status, body) => {
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

    it("an ID token of somebody else is not taken for this person", async () => {
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

  it("is said to be, in words, and nothing else comes of it", async () => {
    issuers.at(-1)?.instead.set("/.well-known/openid-configuration", { status: 503, body: {} });
    const { response, html } = await worker().signIn(await register(worker().flow));
    expect(response.status).toBe(503);
    expect(textOf(html)).toContain("cannot be reached at the moment");
    expect(await worker().log()).toContain("the issuer cannot be reached");
  });
});

describe("an issuer that gives no refresh token", () => {
  const worker = useIdentityWorker(issuerWith({ claimsInIdToken: true, hasRefreshTokens: false }));

  it("signs in for one access token, as nobody could be asked later, and the log says how to mend it", async () => {
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
    const again = await requestToken(flow, {
      grant_type: "refresh_token",
      refresh_token: "x:y:z",
      client_id: client.clientId,
    });
    expect(again.status).toBe(400);
  });
});

function seconds(ahead: number): number {
  return Math.floor(Date.now() / 1000) + ahead;
}

/** What the person reads. */
function textOf(html: string): string {
  return html.replace(/^.*<main>/s, "").replaceAll(/<[^>]*>/g, "");
}
