// Clients whose id is the URL of a metadata document: what this server fetches, which documents it accepts, and what the consent
// page shows of them.
import { describe, expect, it } from "vitest";
import { REDIRECT_URI, authorizeUrl, exchangeCode, openConsent, requestToken, signIn } from "../../support/oauth.ts";
import { flow, initialize, post, send } from "../../support/worker.ts";

const ANALYST = "analyst@harbor.example";

const clientAt = (clientId: string) => ({ clientId, redirectUri: REDIRECT_URI });

/** Counts the requests that the outside network got for a URL. */
async function requestsFor(url: string): Promise<number> {
  return (await fetch(`https://requests.example/?url=${encodeURIComponent(url)}`)).json();
}

describe("a metadata document that cannot be used", () => {
  it.each([
    ["an open redirect of its site leads elsewhere", "/open-redirect?to=https://attacker.example/document.json"],
    ["its address redirects to itself", "/loop.json"],
    ["it is HTML", "/html.json"],
    ["it is plain text", "/text.json"],
    ["its content type only starts like that of JSON", "/lookalike-type.json"],
    ["it comes with status 201", "/created.json"],
    ["it comes with status 206", "/partial.json"],
    ["it comes with status 404", "/missing.json"],
    ["it is larger than 5 KiB", "/large.json"],
    ["its client_id is another client's", "/another.json"],
    ["it holds a secret", "/secret.json"],
    ["its name is blank", "/nameless.json"],
    ["its only redirect URI is a script", "/scripts.json"],
    ["it is a list", "/list.json"],
    ["it is not JSON", "/broken.json"],
  ])("is refused with one request when %s", async (_reason, path) => {
    const clientId = `https://documents.example${path}`;
    const before = await requestsFor(clientId);
    const page = await send(await authorizeUrl(flow, clientAt(clientId)));
    expect(page.status).toBe(400);
    const html = await page.text();
    expect(html).toContain("documents.example");
    expect(html).not.toContain("Documented client");
    expect(html).not.toContain("attacker.example/");
    expect(await requestsFor(clientId)).toBe(before + 1);
    expect(await requestsFor("https://attacker.example/document.json")).toBe(0);
  });

  it("is refused with the same page for every response of its host", async () => {
    const pages = await Promise.all(
      ["/missing.json", "/html.json", "/loop.json", "/broken.json"].map(async (path) => {
        const page = await send(await authorizeUrl(flow, clientAt(`https://documents.example${path}`)));
        return (await page.text()).replaceAll(/nonce="[^"]+"|nonce-[^']+/g, "");
      }),
    );
    expect(new Set(pages).size).toBe(1);
  });
});

describe("a client_id at an address that this server does not fetch", () => {
  it.each([
    "https://127.0.0.1/metadata.json",
    "https://10.0.0.5:8443/metadata.json",
    "https://169.254.169.254/latest/meta-data",
    "https://8.8.8.8/metadata.json",
    "https://127.1/metadata.json",
    "https://2130706433/metadata.json",
    "https://0x7f000001/metadata.json",
    "https://0177.0.0.1/metadata.json",
    "https://127.0.0.1./metadata.json",
    "https://①②⑦.0.0.1/metadata.json",
    "https://%31%32%37.0.0.1/metadata.json",
    "https://[::1]/metadata.json",
    "https://[::ffff:127.0.0.1]/metadata.json",
    "https://[::ffff:7f00:1]/metadata.json",
    "https://[2606:4700::1111]/metadata.json",
    "https://localhost/metadata.json",
    "https://LOCALHOST/metadata.json",
    "https://localhost./metadata.json",
    "https://client.localhost/metadata.json",
    "https://printer.local/metadata.json",
    "https://metadata.google.internal/metadata.json",
    "https://intranet/metadata.json",
    "https://user:password@client.example/metadata.json",
    "https://client.example/a/../metadata.json",
    "https://client.example/%2e%2e/metadata.json",
    "https://client.example/metadata.json#part",
    "https://client.example\\@attacker.example/metadata.json",
    "https://CLIENT.example/metadata.json",
    "https://сlient.example/metadata.json",
    `https://client.example/${"x".repeat(500)}.json`,
    "http://client.example/metadata.json",
  ])("is refused without a request: %s", async (clientId) => {
    const page = await send(await authorizeUrl(flow, clientAt(clientId)));
    expect(page.status).toBe(400);
    expect(page.headers.get("location")).toBeNull();
    const tokenResponse = await requestToken(flow, {
      grant_type: "refresh_token",
      refresh_token: "x",
      client_id: clientId,
    });
    expect(tokenResponse.status).toBe(401);
    expect(await tokenResponse.json()).toMatchObject({ error: "invalid_client" });
    // The outside network of the tests answers this query; any unexpected request fails the run.
    expect(await requestsFor(clientId)).toBe(0);
  });
});

describe("a metadata document that can be used", () => {
  it("is fetched once for a consent page", async () => {
    const clientId = "https://documents.example/own-type.json";
    const { consent } = await openConsent(flow, clientAt(clientId));
    expect(consent.html).toContain("Documented client");
    expect(await requestsFor(clientId)).toBe(1);
  });

  it("is shown on the consent page with the whole client_id: host, port, path and query", async () => {
    const { consent } = await openConsent(flow, clientAt("https://client.example:8443/oauth/metadata.json?version=2"));
    expect(consent.html).toContain("<strong>client.example:8443</strong>");
    expect(consent.html).toContain("https://client.example:8443/oauth/metadata.json?version=2");
  });

  it("is fetched once for a whole sign-in when its Cache-Control allows caching", async () => {
    const clientId = "https://documents.example/cached.json";
    const client = clientAt(clientId);
    const tokens = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
    expect((await post(tokens.accessToken, initialize())).status).toBe(200);
    expect(await requestsFor(clientId)).toBe(1);
  });

  it("is fetched again by each request without Cache-Control", async () => {
    const clientId = "https://client.example/metadata.json";
    const before = await requestsFor(clientId);
    await openConsent(flow, clientAt(clientId));
    await openConsent(flow, clientAt(clientId));
    expect(await requestsFor(clientId)).toBe(before + 2);
  });

  it("does not end a connection while it is unreachable", async () => {
    const response = await requestToken(flow, {
      grant_type: "refresh_token",
      refresh_token: "user:grant:secret",
      client_id: "https://unreachable.example/metadata.json",
    });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: "temporarily_unavailable" });
  });
});
