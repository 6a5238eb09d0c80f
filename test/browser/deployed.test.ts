// The start page of a new deployment without sources: it shows the operator the next steps, and users that it is not ready.
import { describe, expect, it } from "vitest";
import { LOOKS, PHONE, scrollsSideways, seriousFindings, useBrowser } from "../support/node/browser.ts";
import { usePolicyServer } from "../support/node/policy-server.ts";

const origin = usePolicyServer("test/browser/policies/empty.ts", { bindings: { GATEHOUSE_SIGN_IN: "none" } });
const browser = useBrowser();

describe("a deployment without sources", () => {
  it.each(LOOKS)("shows the next steps with commands to copy, in %s", async (colorScheme) => {
    const page = await browser.open({ colorScheme });
    await page.goto(origin());
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Newcomers Ltd: a new Gatehouse");
    expect(await page.locator(".steps .copy").allTextContents()).toEqual([
      "npm run introspect -- crm.sqlite",
      "npm run gatehouse -- open crm.orders crm.customers",
      "npm run policy -- check",
      "npm run deploy",
    ]);
    expect(await page.getByRole("link", { name: "Sign in" }).count()).toBe(0);
    expect(await seriousFindings(page)).toEqual([]);
    await page.setViewportSize(PHONE);
    expect(await seriousFindings(page)).toEqual([]);
    expect(await scrollsSideways(page)).toBe(false);
  });

  it("refuses sign-in, and says why", async () => {
    const page = await browser.open();
    await page.goto(`${origin()}/sign-in`);
    expect(await page.locator("main").textContent()).toContain("no sign-in method yet");
  });
});
