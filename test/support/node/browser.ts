// A real Chromium for the tests of a file, and what holds on each of our pages whatever is done there: nothing is loaded from
// elsewhere, no script runs, no dialog opens, and no rule of the page's own policy is broken.
import axe from "axe-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { launchChromium } from "../../../scripts/chromium.ts";

export type Look = "light" | "dark";
export const LOOKS: readonly Look[] = ["light", "dark"];
/** A phone's width, and a desk's. */
export const PHONE = { width: 390, height: 844 };
export const DESK = { width: 1280, height: 900 };

export interface TestBrowser {
  /** A page of a person of their own: no cookies, nothing kept. */
  open(options?: BrowserContextOptions): Promise<Page>;
  /** One on which rules may be broken, for those who try to. */
  openWatched(): Promise<Page>;
}

/** One browser for a file; what its pages did against the rules fails the test that they did it in. */
export function useBrowser(): TestBrowser {
  let browser: Browser | undefined;
  const contexts: BrowserContext[] = [];
  const offences: string[] = [];
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    expect(offences.splice(0)).toEqual([]);
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
        offences.push(`a dialog opened: ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on("console", (message) => {
        if (/Content Security Policy|Content-Security-Policy/.test(message.text())) offences.push(message.text());
      });
      return page;
    },
  };
}

/** Chooses an account of the sample sign-in and waits until that leads on. */
export async function chooseAccount(page: Page, account: string): Promise<void> {
  await page.locator(`button[name=account][value="${account}"]`).click();
}

/** Signs in to our own pages, by the link of the start page. */
export async function signInAt(page: Page, origin: string, account: string): Promise<void> {
  await page.goto(origin);
  await page.getByRole("link", { name: "Sign in", exact: true }).click();
  await chooseAccount(page, account);
  await page.waitForURL(`${origin}/`);
}

/** Rules of WCAG 2.2 A and AA, and axe's good practice, that the page breaks seriously, as `rule: element`. */
export async function seriousFindings(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const findings = await page.evaluate(async () => {
    const run: typeof axe = Reflect.get(window, "axe");
    const { violations } = await run.run(document);
    return violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map(({ html }) => html).join(" ") }));
  });
  return findings
    .filter(({ impact }) => impact === "serious" || impact === "critical" || impact === "moderate")
    .map(({ id, where }) => `${id}: ${where.slice(0, 200)}`);
}

/** Whether something is wider than the window. */
export async function scrollsSideways(page: Page): Promise<boolean> {
  return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}
