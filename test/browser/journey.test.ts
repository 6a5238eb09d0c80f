// The way of a person from the first visit to a connected client, and back: a real client and a real browser without scripts,
// over real HTTP; then the connection is ended, and with it what it holds.
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { Page } from "playwright-core";
import { connectWith } from "../support/node/clients.ts";
import { BrowserAuth, decide, openAnswerPort } from "../support/node/browser-auth.ts";
import type { AnswerPort } from "../support/node/browser-auth.ts";
import { chooseAccount, signInAt, useBrowser } from "../support/node/browser.ts";
import { requestToken } from "../support/oauth.ts";
import { openWireSession } from "../support/node/wire.ts";

const origin = inject("origin");
const resource = `${origin}/mcp`;
const browser = useBrowser();
let answers: AnswerPort;

beforeAll(async () => {
  answers = await openAnswerPort();
});
afterAll(() => answers.close());

/** What a person does who wants to connect. */
async function approve(page: Page, url: URL, account: string): Promise<void> {
  await decide(page, url, "Connect");
  await chooseAccount(page, account);
  await page.getByText("You may close this page.").waitFor();
}

const rowOf = (page: Page, name: string) => page.locator(".rows > li").filter({ hasText: name });

describe("a person", () => {
  it("goes from the first visit to a connected client that answers a question", async () => {
    const page = await browser.open({ javaScriptEnabled: false });
    await page.goto(origin);
    const line = (await page.locator(".card .copy").first().textContent()) ?? "";
    const url = line.split(" ").at(-1) ?? "";
    const auth = new BrowserAuth("First client", answers, (to) => approve(page, to, "analyst@harbor.example"));
    const client = await connectWith("sdk v2, 2026", url, auth);
    const answer = await client.call("query", { source: "shop", sql: "SELECT count(*) FROM orders" });
    expect(answer.structured).toMatchObject({ rows: [[12_000]] });
    await client.close();
    await signInAt(page, origin, "analyst@harbor.example");
    expect(await rowOf(page, "First client").count()).toBe(1);
  });

  it("is told on consent who asks, and where the answer goes", async () => {
    const page = await browser.open({ javaScriptEnabled: false });
    const auth = new BrowserAuth("Careful client", answers, async (to) => {
      await page.goto(to.href);
      expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe(
        "Connect an assistant to Harbor Supply?",
      );
      const facts = await page.locator("dl").textContent();
      expect(facts).toContain("Careful client");
      expect(facts).toContain("unverified");
      expect(facts).toContain("127.0.0.1");
      await page.getByRole("button", { name: "Connect", exact: true }).click();
      await chooseAccount(page, "analyst@harbor.example");
      await page.getByText("You may close this page.").waitFor();
    });
    await (await connectWith("sdk v1", resource, auth)).close();
  });

  it("who says no is sent back to the client without a code, and nothing is connected", async () => {
    const page = await browser.open({ javaScriptEnabled: false });
    const auth = new BrowserAuth("Refused client", answers, async (to) => {
      await decide(page, to, "Do not connect");
      await page.getByText("You may close this page.").waitFor();
    });
    await expect(connectWith("sdk v2, 2025", resource, auth)).rejects.toThrow();
    expect(auth.callback?.searchParams.get("error")).toBe("access_denied");
    expect(auth.callback?.searchParams.get("code")).toBeNull();
    await signInAt(page, origin, "analyst@harbor.example");
    expect(await rowOf(page, "Refused client").count()).toBe(0);
  });

  it("ends a connection: its stream ends, its tokens are worth nothing, and others go on", async () => {
    const page = await browser.open({ javaScriptEnabled: false });
    const connect = async (name: string): Promise<BrowserAuth> => {
      const own = await browser.open({ javaScriptEnabled: false });
      const auth = new BrowserAuth(name, answers, (to) => approve(own, to, "owner@harbor.example"));
      await (await connectWith("sdk v2, 2026", resource, auth)).close();
      return auth;
    };
    const [ended, kept] = [await connect("Client to end"), await connect("Client to keep")];
    const sessionOf = ({ accessToken }: BrowserAuth) =>
      openWireSession(origin, "", { headers: { authorization: `Bearer ${accessToken}` } });
    const [endedSession, keptSession] = [await sessionOf(ended), await sessionOf(kept)];
    const stream = await endedSession.listen();
    expect(stream.status).toBe(200);

    await signInAt(page, origin, "owner@harbor.example");
    const end = rowOf(page, "Client to end").getByRole("button");
    expect(await end.textContent()).toBe("End the connection of Client to end");
    await end.click();
    await page.waitForURL(`${origin}/#connections`);
    expect(await rowOf(page, "Client to end").count()).toBe(0);
    expect(await rowOf(page, "Client to keep").count()).toBe(1);

    let event = await stream.next();
    while (event !== undefined) event = await stream.next();
    const ping = { jsonrpc: "2.0", id: 1, method: "ping" };
    expect((await endedSession.request(ping)).status).toBe(401);
    expect((await keptSession.request(ping)).status).toBe(200);
    expect(await refresh(ended)).toMatchObject({ error: "invalid_grant" });
    expect(await refresh(kept)).toHaveProperty("access_token");
  });

  it("sees nobody else's connections", async () => {
    const page = await browser.open({ javaScriptEnabled: false });
    await signInAt(page, origin, "reviewer@harbor.example");
    expect(await page.locator("main").textContent()).toContain("Connections that act for you");
    expect(await rowOf(page, "First client").count()).toBe(0);
  });
});

async function refresh(auth: BrowserAuth): Promise<unknown> {
  const parameters = {
    grant_type: "refresh_token",
    refresh_token: auth.tokens()?.refresh_token ?? "",
    client_id: auth.clientInformation()?.client_id ?? "",
  };
  return (await requestToken({ origin, send: fetch }, parameters)).json();
}
