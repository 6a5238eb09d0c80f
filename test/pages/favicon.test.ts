// The icon that browsers show beside the titles of pages.
import { expect, it } from "vitest";
import { ORIGIN, send } from "../support/worker.ts";

it.each(["/favicon.svg", "/favicon.ico"])("serves an SVG icon at %s without sign-in", async (path) => {
  const response = await send(`${ORIGIN}${path}`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("image/svg+xml");
  expect(await response.text()).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg".*<\/svg>$/);
});

it("is part of every page, which loads nothing else for it", async () => {
  const response = await send(`${ORIGIN}/no-such-page`);
  const icon = /<link rel="icon"[^>]* href="([^"]+)"/.exec(await response.text())?.[1] ?? "";
  expect(response.headers.get("content-security-policy")).toContain("img-src data:");
  expect(icon).toMatch(/^data:image\/svg\+xml,%3Csvg/);
});
