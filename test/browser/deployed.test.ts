// A deployment that has just been made: its start page says to whoever runs it what to do next, and to everybody that it is not
// ready; also what assistants would be told.
import { describe, expect, it } from "vitest";
import { LOOKS, PHONE, scrollsSideways, seriousFindings, useBrowser } from "../support/node/browser.ts";
import { usePolicyServer } from "../support/node/policy-server.ts";

const origin = usePolicyServer("test/browser/policies/empty.ts", { bindings: { GATEHOUSE_SIGN_IN: "none" } });
const browser = useBrowser();

describe("a deployment without sources", () => {
  it.each(LOOKS)("says what to do next, in commands that can be copied, %s", async (colorScheme) => {
    const page = await browser.open({ colorScheme });
    await page.goto(origin());
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Newcomers Ltd: a new Gatehouse");
    expect(await page.locator(".steps .copy").allTextContents()).toEqual([
      "npm run introspect -- crm.sqlite",
      "npm run policy -- check",
      "npm run deploy",
    ]);
    expect(await page.getByRole("link", { name: "Sign in" }).count()).toBe(0);
    expect(await seriousFindings(page)).toEqual([]);
    await page.setViewportSize(PHONE);
    expect(await seriousFindings(page)).toEqual([]);
    expect(await scrollsSideways(page)).toBe(false);
  });

  it("lets nobody sign in, and says why", async () => {
    const page = await browser.open();
    await page.goto(`${origin()}/sign-in`);
    expect(await page.locator("main").textContent()).toContain("no sign-in method yet");
  });
});
