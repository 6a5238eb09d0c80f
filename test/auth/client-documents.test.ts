// Clients that name themselves by the address of a metadata document: what this server asks for, what it takes, and what the consent page says of it.
import { describe, expect, it } from "vitest";
import { REDIRECT_URI, authorizeUrl, exchangeCode, openConsent, requestToken, signIn } from "../support/oauth.ts";
import { flow, initialize, post, send } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";

const clientAt = (clientId: string) => ({ clientId, redirectUri: REDIRECT_URI });

/** How often the outside was asked for a URL. */
async function requestsFor(url: string): Promise<number> {
  return (await fetch(`https://requests.example/?url=${encodeURIComponent(url)}`)).json();
}

describe("a metadata document that cannot be used", () => {
  it.each([
    ["a redirect of another site leads to it", "/open-redirect?to=https://attacker.example/document.json"],
    ["its address redirects to itself", "/loop.json"],
    ["it is HTML", "/html.json"],
    ["it is plain text", "/text.json"],
    ["its type only begins like JSON's", "/lookalike-type.json"],
    ["it comes with status 201", "/created.json"],
    ["it comes with status 206", "/partial.json"],
    ["it comes with status 404", "/missing.json"],
    ["it is larger than 5 KiB", "/large.json"],
    ["it is another client's", "/another.json"],
    ["it holds a secret", "/secret.json"],
    ["its name is blank", "/nameless.json"],
    ["its only redirect URI is a script", "/scripts.json"],
    ["it is a list", "/list.json"],
    ["it is not JSON", "/broken.json"],
  ])("is refused with one request when %s", async (_why, path) => {
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

  it("says the same to a stranger whatever its host answered", async () => {
    const pages = await Promise.all(
      ["/missing.json", "/html.json", "/loop.json", "/broken.json"].map(async (path) => {
        const page = await send(await authorizeUrl(flow, clientAt(`https://documents.example${path}`)));
        return (await page.text()).replaceAll(/nonce="[^"]+"|nonce-[^']+/g, "");
      }),
    );
    expect(new Set(pages).size).toBe(1);
  });
});

describe("an address that this server does not ask", () => {
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
  ])("refuses %s without a request", async (clientId) => {
    const page = await send(await authorizeUrl(flow, clientAt(clientId)));
    expect(page.status).toBe(400);
    expect(page.headers.get("location")).toBeNull();
    const token = await requestToken(flow, { grant_type: "refresh_token", refresh_token: "x", client_id: clientId });
    expect(token.status).toBe(401);
    expect(await token.json()).toMatchObject({ error: "invalid_client" });
    // An unexpected request to the outside fails the run; this one has an answer there.
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

  it("is kept as long as its Cache-Control says, and its client signs in", async () => {
    const clientId = "https://documents.example/cached.json";
    const client = clientAt(clientId);
    const tokens = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
    expect((await post(tokens.accessToken, initialize())).status).toBe(200);
    expect(await requestsFor(clientId)).toBe(1);
  });

  it("is asked for again by each request when its Cache-Control says nothing", async () => {
    const clientId = "https://client.example/metadata.json";
    const before = await requestsFor(clientId);
    await openConsent(flow, clientAt(clientId));
    await openConsent(flow, clientAt(clientId));
    expect(await requestsFor(clientId)).toBe(before + 2);
  });

  it("does not end a connection when it is out of reach for a moment", async () => {
    const answer = await requestToken(flow, {
      grant_type: "refresh_token",
      refresh_token: "user:grant:secret",
      client_id: "https://unreachable.example/metadata.json",
    });
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ error: "temporarily_unavailable" });
  });
});
