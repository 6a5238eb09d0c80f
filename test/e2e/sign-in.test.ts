// Tests `npm start` with an OpenID Connect provider set in the environment: a user signs in through it, queries, refreshes the access
// token, and loses all access, including personal access tokens, once the account is disabled.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { startIssuer, variablesFor } from "../support/node/issuer.ts";
import { queryShop } from "../support/node/query.ts";
import { freePort, startServer } from "../support/node/server.ts";
import { createBrowser } from "../support/forms.ts";
import type { Browser, Page } from "../support/forms.ts";
import { authorizeUrl, exchangeCode, readJson, register, requestToken } from "../support/oauth.ts";

it("gives a user of the identity provider access by their address until the account is disabled", async () => {
  const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-oidc-"));
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const issuer = await startIssuer({ redirectUri: `${origin}/sign-in/callback`, claimsInIdToken: false });
  issuer.person = "u-1";
  issuer.accounts.set("u-1", { email: "analyst@harbor.example", email_verified: true, groups: ["staff"] });
  const server = await startServer(port, stateDir, variablesFor(issuer));
  try {
    expect(server.output()).not.toContain("Accounts of the sample sign-in");
    const flow = { origin, send: fetch };
    const client = await register(flow);
    const refresh = async (refreshToken: string): Promise<Response> =>
      requestToken(flow, { grant_type: "refresh_token", refresh_token: refreshToken, client_id: client.clientId });
    const browser = createBrowser(fetch);
    const consented = await browser.press(await browser.open(await authorizeUrl(flow, client)), "decision", "approve");
    const tokens = await exchangeCode(flow, client, await redirectsTo(browser, consented, client.redirectUri));
    expect(await orderCount(origin, tokens.accessToken)).toContain("12000");
    const refreshed = await readJson(await refresh(tokens.refreshToken));
    expect(await orderCount(origin, String(refreshed["access_token"]))).toContain("12000");

    const personalAccessToken = await createPersonalAccessToken(origin);
    expect(await orderCount(origin, personalAccessToken)).toContain("12000");
    issuer.accounts.delete("u-1");
    expect(await orderCount(origin, personalAccessToken)).toContain("12000");
    expect((await refresh(String(refreshed["refresh_token"]))).status).toBe(400);
    for (const token of [personalAccessToken, String(refreshed["access_token"])])
      expect((await queryShop(origin, token, "SELECT 1")).status).toBe(401);
  } finally {
    await server.stop("SIGTERM");
    issuer.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
}, 90_000);

/** Follows redirects until one leads to a URL that begins with `end`, and returns that URL. */
async function redirectsTo(browser: Browser, first: Page, end: string): Promise<URL> {
  let page = first;
  for (;;) {
    const location = new URL(page.response.headers.get("location") ?? "", page.url);
    if (location.href.startsWith(end)) return location;
    page = await browser.open(location.href);
  }
}

/** Signs in to our pages and creates a personal access token through the API, as the page's script does. */
async function createPersonalAccessToken(origin: string): Promise<string> {
  let cookie = "";
  const browser = createBrowser(async (url, init) => {
    const response = await fetch(url, init);
    cookie = response.headers.getSetCookie().find((line) => line.startsWith("__Host-gatehouse-session=")) ?? cookie;
    return response;
  });
  await redirectsTo(browser, await browser.open(`${origin}/sign-in?to=/after`), `${origin}/after`);
  const headers = { cookie: cookie.split(";")[0] ?? "", origin, "content-type": "application/json" };
  const { csrfToken } = await readJson(await fetch(`${origin}/api/session`, { headers }));
  const created = await fetch(`${origin}/api/tokens`, {
    method: "POST",
    headers: { ...headers, "x-gatehouse-csrf": String(csrfToken) },
    body: JSON.stringify({ name: "nightly", roles: ["analyst"], days: 1 }),
  });
  expect(created.status).toBe(201);
  return String((await readJson(created))["token"]);
}

async function orderCount(origin: string, token: string): Promise<string> {
  return (await queryShop(origin, token, "SELECT count(*) FROM orders")).text();
}
