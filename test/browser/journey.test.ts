// A user's way from the first visit to a connected client, with real clients and a browser without scripts over HTTP, and the end of
// that connection.
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

/** Approves the connection and signs in, as a user who connects a client does. */
async function approve(page: Page, url: URL, account: string): Promise<void> {
  await decide(page, url, "Connect");
  await chooseAccount(page, account);
  await page.getByText("You may close this page.").waitFor();
}

const connectionRow = (page: Page, name: string) => page.locator(".rows > li").filter({ hasText: name });

describe("a user", () => {
  it("gets from the first visit to a connected client that answers a question", async () => {
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
    expect(await connectionRow(page, "First client").count()).toBe(1);
  });

  it("sees on the consent page which client asks and where the code is sent", async () => {
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

  it("who declines is redirected to the client without a code, and no connection is created", async () => {
    const page = await browser.open({ javaScriptEnabled: false });
    const auth = new BrowserAuth("Refused client", answers, async (to) => {
      await decide(page, to, "Do not connect");
      await page.getByText("You may close this page.").waitFor();
    });
    await expect(connectWith("sdk v2, 2025", resource, auth)).rejects.toThrow();
    expect(auth.callback?.searchParams.get("error")).toBe("access_denied");
    expect(auth.callback?.searchParams.get("code")).toBeNull();
    await signInAt(page, origin, "analyst@harbor.example");
    expect(await connectionRow(page, "Refused client").count()).toBe(0);
  });

  it("ends a connection with its stream and tokens, and other connections stay", async () => {
    const page = await browser.open({ javaScriptEnabled: false });
    const connect = async (name: string): Promise<BrowserAuth> => {
      const consentPage = await browser.open({ javaScriptEnabled: false });
      const auth = new BrowserAuth(name, answers, (to) => approve(consentPage, to, "owner@harbor.example"));
      await (await connectWith("sdk v2, 2026", resource, auth)).close();
      return auth;
    };
    const [endedClient, remainingClient] = [await connect("Client to end"), await connect("Client to keep")];
    const sessionOf = ({ accessToken }: BrowserAuth) =>
      openWireSession(origin, "", { headers: { authorization: `Bearer ${accessToken}` } });
    const [endedSession, remainingSession] = [await sessionOf(endedClient), await sessionOf(remainingClient)];
    const stream = await endedSession.listen();
    expect(stream.status).toBe(200);

    await signInAt(page, origin, "owner@harbor.example");
    const endButton = connectionRow(page, "Client to end").getByRole("button");
    expect(await endButton.textContent()).toBe("End the connection of Client to end");
    await endButton.click();
    await page.waitForURL(`${origin}/#connections`);
    expect(await connectionRow(page, "Client to end").count()).toBe(0);
    expect(await connectionRow(page, "Client to keep").count()).toBe(1);

    let event = await stream.next();
    while (event !== undefined) event = await stream.next();
    const ping = { jsonrpc: "2.0", id: 1, method: "ping" };
    expect((await endedSession.request(ping)).status).toBe(401);
    expect((await remainingSession.request(ping)).status).toBe(200);
    expect(await refresh(endedClient)).toMatchObject({ error: "invalid_grant" });
    expect(await refresh(remainingClient)).toHaveProperty("access_token");
  });

  it("does not see connections of other users", async () => {
    const page = await browser.open({ javaScriptEnabled: false });
    await signInAt(page, origin, "reviewer@harbor.example");
    expect(await page.locator("main").textContent()).toContain("Connections that act for you");
    expect(await connectionRow(page, "First client").count()).toBe(0);
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
