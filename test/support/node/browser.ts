// Runs a real Chromium for the tests of a file. A test fails when one of our pages opens a dialog or violates its own
// Content-Security-Policy, for example by a script or by loading something from another origin.
import axe from "axe-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { launchChromium } from "../../../scripts/chromium.ts";

export type Look = "light" | "dark";
export const LOOKS: readonly Look[] = ["light", "dark"];
/** Viewports of a phone and of a desktop. */
export const PHONE = { width: 390, height: 844 };
export const DESK = { width: 1280, height: 900 };

/** Opens pages for tests. */
interface TestBrowser {
  /** Opens a page in a new context, without cookies or storage. */
  open(options?: BrowserContextOptions): Promise<Page>;
  /** Opens a page on which violations do not fail the test, for tests that cause them. */
  openWatched(): Promise<Page>;
}

/** Runs one browser for a file. A violation fails the test in which it happened. */
export function useBrowser(): TestBrowser {
  let browser: Browser | undefined;
  const contexts: BrowserContext[] = [];
  const violations: string[] = [];
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    expect(violations.splice(0)).toEqual([]);
  });
  afterAll(async () => browser?.close());
  const open = async (options?: BrowserContextOptions): Promise<Page> => {
    if (browser === undefined) throw new Error("the browser runs during tests only");
    const context = await browser.newContext(options);
    contexts.push(context);
    return context.newPage();
  };
  return {
    openWatched: open,
    async open(options) {
      const page = await open(options);
      page.on("dialog", (dialog) => {
        violations.push(`a dialog opened: ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on("console", (message) => {
        if (/Content Security Policy|Content-Security-Policy/.test(message.text())) violations.push(message.text());
      });
      return page;
    },
  };
}

/** Chooses an account of the sample sign-in. */
export async function chooseAccount(page: Page, account: string): Promise<void> {
  await page.locator(`button[name=account][value="${account}"]`).click();
}

/** Signs in to our own pages through the link on the start page. */
export async function signInAt(page: Page, origin: string, account: string): Promise<void> {
  await page.goto(origin);
  await page.getByRole("link", { name: "Sign in", exact: true }).click();
  await chooseAccount(page, account);
  await page.waitForURL(`${origin}/`);
}

/** Lists moderate and worse violations of axe's rules (WCAG 2.2 A and AA and best practice), as `rule: elements`. */
export async function seriousFindings(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const findings = await page.evaluate(async () => {
    const run: typeof axe = Reflect.get(window, "axe");
    const { violations: broken } = await run.run(document);
    return broken.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map(({ html }) => html).join(" ") }));
  });
  return findings
    .filter(({ impact }) => impact === "serious" || impact === "critical" || impact === "moderate")
    .map(({ id, where }) => `${id}: ${where.slice(0, 200)}`);
}

/** Whether the page is wider than the window. */
export async function scrollsSideways(page: Page): Promise<boolean> {
  return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}
