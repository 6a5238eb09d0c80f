// The pages in a real browser: accessible, with and without scripts, on desktop and phone, in light and dark, and small.
import type { Page, Response } from "playwright-core";
import { describe, expect, inject, it } from "vitest";
import { authorizeUrl, register } from "../support/oauth.ts";
import {
  DESK,
  LOOKS,
  PHONE,
  chooseAccount,
  scrollsSideways,
  seriousFindings,
  signInAt,
  useBrowser,
} from "../support/node/browser.ts";

const origin = inject("origin");
const resource = `${origin}/mcp`;
const browser = useBrowser();
const flow = { origin, send: fetch };

/** The pages that users see, with the steps that open each. */
const PAGES: Readonly<Record<string, (page: Page) => Promise<unknown>>> = {
  "start page, signed out": (page) => page.goto(origin),
  "start page, signed in": (page) => signInAt(page, origin, "analyst@harbor.example"),
  "start page without a role": (page) => signInAt(page, origin, "guest@harbor.example"),
  "the page of a user's own records": async (page) => {
    await signInAt(page, origin, "analyst@harbor.example");
    await page.getByRole("link", { name: "What was asked in your name" }).click();
  },
  consent: async (page) => page.goto(await authorizeUrl(flow, await register(flow))),
  "sign-in": (page) => page.goto(`${origin}/sign-in`),
  "sign-out": async (page) => {
    await signInAt(page, origin, "analyst@harbor.example");
    await page.goto(`${origin}/sign-out`);
  },
  "the page for an unknown path": (page) => page.goto(`${origin}/nothing`),
  "the error page of the authorization flow": (page) => page.goto(`${origin}/authorize?client_id=nobody`),
};
const EVERY_PAGE = Object.entries(PAGES);

describe.each(EVERY_PAGE)("%s", (_name, openPage) => {
  it.each(LOOKS)("has no serious axe findings in %s, and fits a phone", async (colorScheme) => {
    const page = await browser.open({ colorScheme, viewport: colorScheme === "light" ? DESK : PHONE });
    await openPage(page);
    expect(await seriousFindings(page)).toEqual([]);
    await page.setViewportSize(PHONE);
    expect(await scrollsSideways(page)).toBe(false);
  });

  it("is at most 50 KB in a single response", async () => {
    const page = await browser.open();
    await openPage(page);
    const responses: Response[] = [];
    page.on("response", (response) => responses.push(response));
    await page.reload();
    expect(responses.map((response) => response.url())).toEqual([page.url()]);
    const [body = Buffer.alloc(0)] = await Promise.all(responses.map(async (response) => response.body()));
    expect(body.length).toBeGreaterThan(1000);
    expect(body.length).toBeLessThanOrEqual(50_000);
  });

  it("has no script, cannot be framed, and cannot load anything", async () => {
    const page = await browser.open();
    await openPage(page);
    expect(await page.locator("script").count()).toBe(0);
    const response = await page.reload();
    const headers = response?.headers() ?? {};
    expect(headers["content-security-policy"]).toMatch(/^default-src 'none'; style-src 'nonce-[0-9a-f]{32}'; /);
    expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'; base-uri 'none'");
    expect(headers).toMatchObject({
      "x-frame-options": "DENY",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
    });
  });
});

describe("the start page", () => {
  it("names the organisation, and has a panel with the exact line for each client", async () => {
    const page = await browser.open({ javaScriptEnabled: false });
    await page.goto(origin);
    expect(await page.title()).toBe("Ask your assistant about Harbor Supply");
    const panels = await page.locator(".card h3").allTextContents();
    expect(panels).toEqual([
      "Claude Code",
      "Cursor",
      "VS Code",
      "Codex",
      "Gemini CLI",
      "Any other",
      "Claude.ai, ChatGPT",
    ]);
    const lines = await page.locator(".card .copy").allTextContents();
    expect(lines).toEqual([
      `claude mcp add --transport http gatehouse ${resource}`,
      `{ "mcpServers": { "gatehouse": { "url": "${resource}" } } }`,
      `code --add-mcp '{ "name": "gatehouse", "type": "http", "url": "${resource}" }'`,
      `codex mcp add gatehouse --url ${resource}`,
      `gemini mcp add --transport http gatehouse ${resource}`,
      `{ "mcpServers": { "gatehouse": { "type": "http", "url": "${resource}" } } }`,
    ]);
  });

  it("installs with one click in Cursor and VS Code", async () => {
    const page = await browser.open();
    await page.goto(origin);
    const linkOf = async (name: string): Promise<URL> =>
      new URL((await page.getByRole("link", { name: `Add to ${name}` }).getAttribute("href")) ?? "");
    const cursor = await linkOf("Cursor");
    expect(`${cursor.protocol}//${cursor.host}${cursor.pathname}`).toBe(
      "cursor://anysphere.cursor-deeplink/mcp/install",
    );
    expect(cursor.searchParams.get("name")).toBe("gatehouse");
    expect(JSON.parse(atob(cursor.searchParams.get("config") ?? ""))).toEqual({ url: resource });
    const code = await linkOf("VS Code");
    expect(`${code.protocol}${code.pathname}`).toBe("vscode:mcp/install");
    expect(JSON.parse(decodeURIComponent(code.search.slice(1)))).toEqual({
      name: "gatehouse",
      type: "http",
      url: resource,
    });
  });

  it("selects a whole line with one click, without a script", async () => {
    const page = await browser.open();
    await page.goto(origin);
    await page.locator(".card .copy").first().click();
    expect(await page.evaluate(() => String(getSelection()))).toBe(
      `claude mcp add --transport http gatehouse ${resource}`,
    );
  });

  it("lets the keyboard reach every link and button with a visible focus", async () => {
    const page = await browser.open();
    await signInAt(page, origin, "analyst@harbor.example");
    const controlCount = await page.locator("a, button").count();
    const reached = new Set<number>();
    for (let press = 0; press < controlCount; press += 1) {
      await page.keyboard.press("Tab");
      const focus = await page.evaluate(() => {
        const { activeElement } = document;
        return {
          // Identified by index, because each connection has a button with the same text.
          index: [...document.querySelectorAll("a, button")].findIndex((control) => control === activeElement),
          outline: getComputedStyle(activeElement ?? document.body).outlineStyle,
        };
      });
      expect(focus.outline).toBe("solid");
      reached.add(focus.index);
    }
    expect([...reached].toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: controlCount }, (_value, index) => index),
    );
  });

  it("shows a user what they may see and three questions, and names no data that they may not see", async () => {
    const page = await browser.open({ javaScriptEnabled: false });
    await signInAt(page, origin, "support@harbor.example");
    expect(await page.locator(".asks > li").count()).toBe(3);
    const text = (await page.locator("main").textContent()) ?? "";
    expect(text).toContain("Shop and Handbook");
    expect(text).toContain("as support");
    expect(text).not.toMatch(/Operations|orders|shipments|warehouse|notes/);
  });

  it("shows a user without a role whom to contact, and no questions", async () => {
    const page = await browser.open({ javaScriptEnabled: false });
    await signInAt(page, origin, "guest@harbor.example");
    const text = (await page.locator("main").textContent()) ?? "";
    expect(text).toContain("you have no role here yet");
    expect(text).toContain("The data team (owner@harbor.example)");
    expect(await page.locator(".asks").count()).toBe(0);
    expect(text).not.toMatch(/Shop|Operations|Handbook/);
  });

  it("lets a user sign out, and then shows no user", async () => {
    const page = await browser.open({ javaScriptEnabled: false });
    await page.goto(`${origin}/sign-in`);
    await chooseAccount(page, "owner@harbor.example");
    await page.getByText("owner@harbor.example").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("link", { name: "Sign in", exact: true }).waitFor();
    expect(await page.locator("body").textContent()).not.toContain("owner@harbor.example");
  });
});
