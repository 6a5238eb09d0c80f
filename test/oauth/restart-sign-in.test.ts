// Pages that users see when their client arrives with an unusable registration, consent or metadata document.
import { describe, expect, it } from "vitest";
import { readForm } from "../support/forms.ts";
import { REDIRECT_URI, authorizeUrl, openConsent, register } from "../support/oauth.ts";
import { ORIGIN, flow, send } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";
const CLIENTS = ["Claude Code", "Claude.ai", "ChatGPT", "Cursor", "VS Code", "Codex", "Gemini CLI", "mcp-remote"];

async function readPage(page: Response): Promise<string> {
  expect(page.status).toBe(400);
  expect(page.headers.get("location")).toBeNull();
  return page.text();
}

function expectClearing(html: string): void {
  for (const client of CLIENTS) expect(html).toContain(`<strong>${client}`);
  for (const command of ["codex mcp logout", "claude mcp remove", "Clear All MCP Tokens", "/mcp"])
    expect(html).toContain(command);
}

describe("the page for a sign-in that cannot continue", () => {
  it("says what to clear in each client when the client_id is unknown", async () => {
    const stale = { clientId: "aStaleClientId", redirectUri: REDIRECT_URI };
    const html = await readPage(await send(await authorizeUrl(flow, stale)));
    expect(html).toContain("does not know your assistant");
    expectClearing(html);
  });

  it("says what to clear when the client_id is an address that this server does not fetch", async () => {
    const client = { clientId: "https://10.0.0.5/metadata.json", redirectUri: REDIRECT_URI };
    const html = await readPage(await send(await authorizeUrl(flow, client)));
    expect(html).toContain("an address from which this server fetches no description");
    expectClearing(html);
  });

  it("says what to clear when the consent was already used", async () => {
    const { browser, consent } = await openConsent(flow, await register(flow));
    await browser.press(consent, "decision", "approve");
    for (const decision of ["approve", "deny"]) {
      const again = await browser.press(consent, "decision", decision);
      expect(again.response.status).toBe(400);
      expectClearing(again.html);
    }
  });

  it("says what to clear when another browser opened the consent", async () => {
    const { consent } = await openConsent(flow, await register(flow));
    const body = new URLSearchParams([...readForm(consent.html).hidden, ["decision", "approve"]]);
    expectClearing(await readPage(await send(`${ORIGIN}/authorize`, { method: "POST", body })));
  });

  it("says what to clear when the sign-in was already used", async () => {
    const { browser, consent } = await openConsent(flow, await register(flow));
    const accounts = await browser.press(consent, "decision", "approve");
    expect((await browser.press(accounts, "account", ANALYST)).response.status).toBe(302);
    const again = await browser.press(accounts, "account", ANALYST);
    expect(again.response.status).toBe(400);
    expectClearing(again.html);
  });

  it("says what to clear when a known client sends an unregistered redirect URI", async () => {
    const url = await authorizeUrl(flow, await register(flow), { redirect_uri: "https://evil.example/callback" });
    const html = await readPage(await send(url));
    expect(html).toContain("Invalid redirect URI");
    expect(html).toContain("codex mcp logout");
    expect(html).not.toContain("evil.example");
  });

  it("names the host when a metadata document cannot be fetched", async () => {
    const client = { clientId: "https://unreachable.example/metadata.json", redirectUri: REDIRECT_URI };
    const html = await readPage(await send(await authorizeUrl(flow, client)));
    expect(html).toContain("<strong>unreachable.example</strong>");
    expect(html).toContain("GATEHOUSE_CLIENT_METADATA_DOCUMENTS=off");
    expect(html).not.toContain("502");
  });

  it("names the host when the redirect URI is invalid too and the metadata document cannot be fetched", async () => {
    const client = { clientId: "https://unreachable.example/metadata.json", redirectUri: "unlisted://callback" };
    const html = await readPage(await send(await authorizeUrl(flow, client)));
    expect(html).toContain("<strong>unreachable.example</strong>");
  });
});
