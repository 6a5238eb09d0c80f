// How a refresh treats the identity provider's errors: which end the connection, which are temporary, and which are configuration errors.
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { register } from "../../support/oauth.ts";
import { createBrowser } from "../../support/forms.ts";
import { useIdentityWorker } from "../../support/node/identity-worker.ts";
import { startIssuer, variablesFor } from "../../support/node/issuer.ts";
import type { Issuer } from "../../support/node/issuer.ts";

const OTHER = "https://login.other.example";
const issuers: Issuer[] = [];

function issuerOf(): Issuer {
  const issuer = issuers.at(-1);
  if (issuer === undefined) throw new Error("no issuer runs");
  return issuer;
}

const worker = useIdentityWorker(async (origin) => {
  issuers.push(await startIssuer({ redirectUri: `${origin}/sign-in/callback`, claimsInIdToken: true }));
  return variablesFor(issuerOf());
});

beforeEach(async () => {
  const issuer = issuerOf();
  issuer.alter = undefined;
  issuer.instead.clear();
  issuer.accounts.set("ann-1", { email: "ann@example.com", email_verified: true, groups: ["sales"] });
  issuer.person = "ann-1";
  await worker().log();
});

afterAll(() => {
  for (const issuer of issuers) issuer.close();
});

describe("a refresh that the identity provider refuses because the user must act", () => {
  it.each([
    ["interaction_required", 400],
    ["consent_required", 400],
    ["login_required", 400],
    ["account_selection_required", 400],
    ["unmet_authentication_requirements", 400],
    ["access_denied", 403],
    ["interaction_required", 401],
  ])("ends the connection with invalid_grant when the error is %s with status %i", async (error, status) => {
    const browser = createBrowser(fetch);
    const signedIn = await worker().connect();
    expect(await worker().signInToPages(browser)).toBeDefined();
    issuerOf().instead.set("/token", { status, body: { error, error_description: "AADSTS50076" } });
    const refused = await worker().refresh(signedIn);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ error: "invalid_grant" });
    expect(await worker().log()).toMatch(new RegExp(`ended at its refresh: .*${error}`));
    expect(await worker().identityOf(signedIn.tokens)).toBeUndefined();
    // The account stays valid: an issuer that asks for a second factor must not end automations and other sign-ins.
    expect((await browser.open(`${worker().flow.origin}/who`)).html).toContain("ann@example.com");
    issuerOf().instead.clear();
    expect((await worker().refresh(signedIn)).status).toBe(400);
    // The user can sign in again with the same client.
    expect(await worker().identityOf((await worker().connect()).tokens)).toBeDefined();
  });

  it.each([
    ["invalid_client", 401],
    ["unauthorized_client", 400],
    ["invalid_request", 400],
    ["invalid_scope", 400],
    ["unsupported_grant_type", 400],
    ["temporarily_unavailable", 503],
    ["server_error", 500],
    ["interaction_required_soon", 400],
  ])("leaves the connection when the error is %s, which is not about the user", async (error, status) => {
    const signedIn = await worker().connect();
    issuerOf().instead.set("/token", { status, body: { error } });
    const refused = await worker().refresh(signedIn);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: "temporarily_unavailable" });
    issuerOf().instead.clear();
    expect((await worker().refresh(signedIn)).status).toBe(200);
  });
});

describe("an issuer that does not match its settings", () => {
  it("leaves the connection and logs both values when a refresh returns an ID token of another issuer", async () => {
    const signedIn = await worker().connect();
    issuerOf().alter = { claims: (claims) => ({ ...claims, iss: OTHER }) };
    const refused = await worker().refresh(signedIn);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: "temporarily_unavailable" });
    const log = await worker().log();
    expect(log).toContain("configuration fault");
    expect(log).toContain(JSON.stringify(issuerOf().url));
    expect(log).toContain(JSON.stringify(OTHER));
    expect(await worker().identityOf(signedIn.tokens)).toBeDefined();
  });

  it("logs both values and shows neither to the user when a sign-in returns an ID token of another issuer", async () => {
    issuerOf().alter = { claims: (claims) => ({ ...claims, iss: OTHER }) };
    const { response, html } = await worker().signIn(await register(worker().flow));
    expect(response.status).toBe(403);
    expect(html).not.toContain(OTHER);
    expect(await worker().log()).toMatch(new RegExp(`configuration fault.*${issuerOf().url}.*${OTHER}`));
  });

  it("logs both values when the authorization response names another issuer", async () => {
    const { response, html } = await worker().signIn(await register(worker().flow), (url) => {
      if (url.pathname === "/sign-in/callback") url.searchParams.set("iss", OTHER);
      return url;
    });
    expect(response.status).toBe(403);
    expect(html).not.toContain(OTHER);
    expect(await worker().log()).toMatch(new RegExp(`configuration fault.*${issuerOf().url}.*${OTHER}`));
  });
});
