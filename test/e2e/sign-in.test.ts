// The product itself with a company's identity provider: `npm start` takes it from the environment, and a real client signs in
// through it, asks, and comes back with a refreshed token.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { startIssuer, variablesFor } from "../support/node/issuer.ts";
import { queryShop } from "../support/node/query.ts";
import { freePort, startServer } from "../support/node/server.ts";
import { createBrowser } from "../support/forms.ts";
import { authorizeUrl, exchangeCode, readJson, register, requestToken } from "../support/oauth.ts";

it("a person of the identity provider reads what the policy gives their address, also after a refresh", async () => {
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
    const browser = createBrowser(fetch);
    let page = await browser.press(await browser.open(await authorizeUrl(flow, client)), "decision", "approve");
    for (;;) {
      const location = new URL(page.response.headers.get("location") ?? "", page.url);
      if (location.href.startsWith(client.redirectUri)) break;
      page = await browser.open(location.href);
    }
    const tokens = await exchangeCode(flow, client, new URL(page.response.headers.get("location") ?? ""));
    expect(await orderCount(origin, tokens.accessToken)).toContain("12000");
    const refreshed = await readJson(
      await requestToken(flow, {
        grant_type: "refresh_token",
        refresh_token: tokens.refreshToken,
        client_id: client.clientId,
      }),
    );
    expect(await orderCount(origin, String(refreshed["access_token"]))).toContain("12000");
  } finally {
    await server.stop("SIGTERM");
    issuer.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
}, 90_000);

async function orderCount(origin: string, token: string): Promise<string> {
  return (await queryShop(origin, token, "SELECT count(*) FROM orders")).text();
}
