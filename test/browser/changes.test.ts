// A change of data with real clients and a real Chromium: an assistant proposes, a person approves on a page while another user's client
// watches, the row changes, and an undo restores it.
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { CLIENT_KINDS, connectAs } from "../support/node/clients.ts";
import type { TestClient } from "../support/node/clients.ts";
import { DESK, LOOKS, PHONE, scrollsSideways, seriousFindings, signInAt, useBrowser } from "../support/node/browser.ts";

const origin = inject("origin");
const resource = `${origin}/mcp`;
const browser = useBrowser();
const SUPPORT = "support@harbor.example";
const REVIEWER = "reviewer@harbor.example";

type Answer = Readonly<Record<string, unknown>>;

async function callTool(client: TestClient, name: string, args: Record<string, unknown>): Promise<Answer> {
  const answer = await client.call(name, args);
  expect(answer.isError, answer.text).toBe(false);
  return answer.structured as Answer;
}

async function readTicket(client: TestClient, id: number): Promise<unknown> {
  const answer = await callTool(client, "query", {
    source: "shop",
    sql: "SELECT status, priority FROM tickets WHERE id = ?",
    params: [id],
  });
  return answer["rows"];
}

/** Finds open tickets of the support desk's region, one for each kind of client. */
async function findOpenTickets(client: TestClient): Promise<readonly number[]> {
  const answer = await callTool(client, "query", {
    source: "shop",
    sql: "SELECT id FROM tickets WHERE status = 'open' AND priority <> 'high' ORDER BY id LIMIT 10",
  });
  return (answer["rows"] as readonly (readonly [number])[]).map(([id]) => id);
}

/** Opens a change as a person who is signed in. */
async function openChange(page: Page, url: unknown): Promise<void> {
  await page.goto(String(url));
}

let tickets: readonly number[] = [];
beforeAll(async () => {
  const client = await connectAs("sdk v1", resource, SUPPORT);
  tickets = await findOpenTickets(client);
  await client.close();
});

describe.each(CLIENT_KINDS.map((kind, index) => ({ kind, index })))("a client of $kind", ({ kind, index }) => {
  it("proposes a change that a person approves on the page, and that an undo takes back", async () => {
    const [client, watcher] = [await connectAs(kind, resource, SUPPORT), await connectAs(kind, resource, REVIEWER)];
    const id = tickets[index] ?? 0;
    const before = await readTicket(client, id);
    let updates = 0;
    let onUpdate: () => void = () => {};
    const updated = new Promise<void>((resolve) => (onUpdate = resolve));
    await watcher.watch("gatehouse://dataset/shop/tickets", () => {
      updates += 1;
      onUpdate();
    });
    const proposed = await callTool(client, "change", {
      dataset: "shop.tickets",
      action: "update",
      where: { id },
      values: { priority: "high" },
      reason: "The customer waits <script>alert(1)</script>",
    });
    expect(proposed).toMatchObject({ state: "proposed", rows: 1 });
    expect(await readTicket(client, id)).toEqual(before);

    const page = await browser.open();
    await signInAt(page, origin, SUPPORT);
    await openChange(page, proposed["url"]);
    expect(await page.locator("main").innerText()).toContain("<script>alert(1)</script>");
    await page.getByRole("button", { name: "Approve" }).click();
    await page.getByRole("button", { name: "Undo this change" }).waitFor();
    expect(JSON.stringify(await readTicket(client, id))).toContain("high");
    expect(await callTool(client, "fetch", { id: String(proposed["change"]) })).toMatchObject({
      metadata: { state: "applied" },
    });
    // Another user's client hears of it.
    await updated;
    expect(updates).toBe(1);

    const undo = await callTool(client, "undo", { change: String(proposed["change"]), reason: "It was a mistake." });
    await openChange(page, undo["url"]);
    await page.getByRole("button", { name: "Approve" }).click();
    await page
      .getByText("It has been decided.")
      .or(page.getByRole("heading", { name: "Undo" }))
      .first()
      .waitFor();
    expect(await readTicket(client, id)).toEqual(before);
    await client.close();
    await watcher.close();
  }, 60_000);
});

describe("a change that needs a reviewer", () => {
  it("is approved by the reviewer on a page, who is not the user who asked", async () => {
    const client = await connectAs("sdk v2, 2026", resource, SUPPORT);
    const proposed = await callTool(client, "change", {
      dataset: "shop.refunds",
      action: "insert",
      values: {
        order_id: 7,
        amount_cents: 450,
        reason: "late",
        status: "requested",
        created_at: "2026-06-30 10:00:00",
      },
      reason: "The parcel came late.",
    });
    const page = await browser.open();
    await signInAt(page, origin, SUPPORT);
    await openChange(page, proposed["url"]);
    expect(await page.getByRole("button", { name: "Approve" }).count()).toBe(0);
    const reviewing = await browser.open();
    await signInAt(reviewing, origin, REVIEWER);
    await reviewing.goto(`${origin}/changes`);
    await reviewing
      .locator(`a[href$="${String(proposed["change"])}"]`)
      .first()
      .click();
    await reviewing.getByRole("button", { name: "Approve" }).click();
    await reviewing.getByRole("button", { name: "Approve" }).waitFor({ state: "detached" });
    expect(await callTool(client, "fetch", { id: String(proposed["change"]) })).toMatchObject({
      metadata: { state: "applied" },
    });
    await client.close();
  }, 60_000);
});

describe.each(LOOKS)("the pages of changes in %s", (colorScheme) => {
  it("have no serious axe findings and fit a phone", async () => {
    const client = await connectAs("sdk v1", resource, SUPPORT);
    const proposed = await callTool(client, "change", {
      dataset: "shop.tickets",
      action: "update",
      where: { id: tickets[5] ?? 0 },
      values: { status: "pending" },
      reason: "To look at the page.",
    });
    const page = await browser.open({ colorScheme, viewport: colorScheme === "light" ? DESK : PHONE });
    await signInAt(page, origin, SUPPORT);
    for (const url of [`${origin}/changes`, String(proposed["url"])]) {
      await page.goto(url);
      expect(await seriousFindings(page)).toEqual([]);
      await page.setViewportSize(PHONE);
      expect(await scrollsSideways(page)).toBe(false);
    }
    await client.close();
  }, 60_000);
});
