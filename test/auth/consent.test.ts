// Consent and sign-in cannot be forged, replayed, framed or confused between clients.
import { describe, expect, it } from "vitest";
import { readForm } from "../support/forms.ts";
import type { Browser, Page } from "../support/forms.ts";
import { openConsent, register } from "../support/oauth.ts";
import type { Registered } from "../support/oauth.ts";
import { ORIGIN, flow, send } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";

/** Posts a form as the browser would, without its cookies unless they are given. */
async function submit(path: string, fields: Record<string, string>, cookie?: string): Promise<Response> {
  const headers: Record<string, string> = { "content-type": "application/x-www-form-urlencoded" };
  if (cookie !== undefined) headers["cookie"] = cookie;
  return send(`${ORIGIN}${path}`, { method: "POST", headers, body: new URLSearchParams(fields).toString() });
}

const cookieOf = (page: Page): string =>
  page.response.headers
    .getSetCookie()
    .map((line) => line.split(";")[0])
    .join("; ");

const handleOf = (page: Page): string => readForm(page.html).hidden.get("handle") ?? "";

async function opened(client?: Registered): Promise<{ browser: Browser; consent: Page; client: Registered }> {
  const registered = client ?? (await register(flow));
  return { ...(await openConsent(flow, registered)), client: registered };
}

describe("consent cannot be forged", () => {
  it.each([
    ["a made-up handle", () => "x".repeat(43), (cookie: string) => cookie],
    ["no handle", () => "", (cookie: string) => cookie],
    ["another browser's handle", (handle: string) => handle, () => undefined],
    [
      "a cookie of the right name with another value",
      (handle: string) => handle,
      (cookie: string) => `${cookie.split("=")[0]}=${"0".repeat(64)}`,
    ],
  ])("%s", async (_what, handle, cookie) => {
    const { consent } = await opened();
    const fields = { handle: handle(handleOf(consent)), decision: "approve" };
    const refused = await submit("/authorize", fields, cookie(cookieOf(consent)));
    expect(refused.status).toBe(400);
    expect(refused.headers.get("location")).toBeNull();
    // The person's own page is as good as before.
    expect(
      (await submit("/authorize", { handle: handleOf(consent), decision: "approve" }, cookieOf(consent))).status,
    ).toBe(200);
  });

  it("by a form in another format, as other sites can send one", async () => {
    const { consent } = await opened();
    const body = new FormData();
    body.set("handle", handleOf(consent));
    body.set("decision", "approve");
    const refused = await send(`${ORIGIN}/authorize`, { method: "POST", headers: { cookie: cookieOf(consent) }, body });
    expect(refused.status).toBe(400);
  });

  it("its cookies go nowhere else: host-only, not for scripts, not from other sites' forms", async () => {
    const { consent } = await opened();
    for (const line of consent.response.headers.getSetCookie())
      expect(line).toMatch(/^__Host-.*Path=\/; Secure; HttpOnly; SameSite=Lax/);
  });
});

describe("consent cannot be replayed", () => {
  it("pressed twice at once, it leads to one sign-in", async () => {
    const { consent } = await opened();
    const press = async (): Promise<Response> =>
      submit("/authorize", { handle: handleOf(consent), decision: "approve" }, cookieOf(consent));
    const statuses = (await Promise.all([press(), press(), press()])).map(({ status }) => status);
    expect(statuses.toSorted((one, other) => one - other)).toEqual([200, 400, 400]);
  });

  it("agreed and refused at once, it is one of the two", async () => {
    const { consent } = await opened();
    const press = async (decision: string): Promise<Response> =>
      submit("/authorize", { handle: handleOf(consent), decision }, cookieOf(consent));
    const statuses = (await Promise.all([press("approve"), press("deny")])).map(({ status }) => status);
    expect(statuses.filter((status) => status === 400)).toHaveLength(1);
  });

  it("a sign-in finished twice at once makes one connection", async () => {
    const { browser, consent } = await opened();
    const accounts = await browser.press(consent, "decision", "approve");
    const { action } = readForm(accounts.html);
    const finish = async (): Promise<Response> => submit(action, { account: ANALYST }, cookieOf(accounts));
    const done = await Promise.all([finish(), finish(), finish()]);
    expect(done.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([302, 400, 400]);
    expect(done.filter(({ headers }) => headers.get("location") !== null)).toHaveLength(1);
  });
});

describe("consent cannot be framed", () => {
  it("neither its page nor the sign-in's nor an error's", async () => {
    const { browser, consent } = await opened();
    const accounts = await browser.press(consent, "decision", "approve");
    const error = await browser.press(consent, "decision", "approve");
    for (const { response } of [consent, accounts, error]) {
      expect(response.headers.get("x-frame-options")).toBe("DENY");
      expect(response.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
      expect(response.headers.get("cache-control")).toBe("no-store");
    }
  });
});

describe("consent cannot be confused between clients", () => {
  it("what was agreed for one is nothing for another, in the same browser", async () => {
    const mine = await opened();
    const evil = await opened(await register(flow, { client_name: "Evil" }));
    // Both are open. The cookie of one does not carry the other's handle, whatever the form says.
    const crossed = await submit(
      "/authorize",
      { handle: handleOf(evil.consent), decision: "approve" },
      cookieOf(mine.consent),
    );
    expect(crossed.status).toBe(400);
  });

  it("a form field cannot change client, redirect or scopes", async () => {
    const evil = await register(flow, { client_name: "Evil", redirect_uris: ["https://evil.example/callback"] });
    const { consent } = await opened();
    const fields = {
      handle: handleOf(consent),
      decision: "approve",
      client_id: evil.clientId,
      redirect_uri: "https://evil.example/callback",
      scope: "read everything",
    };
    const accounts = await submit("/authorize", fields, cookieOf(consent));
    const cookie = accounts.headers
      .getSetCookie()
      .map((line) => line.split(";")[0])
      .join("; ");
    const { action } = readForm(await accounts.text());
    const done = await submit(action, { account: ANALYST, redirect_uri: "https://evil.example/callback" }, cookie);
    expect(done.headers.get("location")).toMatch(/^http:\/\/127\.0\.0\.1:45454\/callback\?/);
  });

  it("a consent handle does not finish a sign-in, nor the other way round", async () => {
    const { browser, consent } = await opened();
    const other = await opened();
    const accounts = await browser.press(consent, "decision", "approve");
    const callback = new URL(readForm(accounts.html).action, ORIGIN);
    const upstream = cookieOf(accounts)
      .split("; ")
      .find((pair) => pair.includes("upstream"));
    const asState = await submit(
      `${callback.pathname}?state=${encodeURIComponent(handleOf(other.consent))}`,
      { account: ANALYST },
      cookieOf(other.consent).replaceAll("consent", "upstream"),
    );
    expect(asState.status).toBe(400);
    const asHandle = await submit(
      "/authorize",
      { handle: callback.searchParams.get("state") ?? "", decision: "approve" },
      upstream?.replaceAll("upstream", "consent"),
    );
    expect(asHandle.status).toBe(400);
  });

  it("a code is good for the client that it was made for alone", async () => {
    const { browser, consent } = await opened();
    const accounts = await browser.press(consent, "decision", "approve");
    const done = await browser.press(accounts, "account", ANALYST);
    const code = new URL(done.response.headers.get("location") ?? "").searchParams.get("code") ?? "";
    const other = await register(flow);
    const stolen = await submit("/oauth/token", {
      grant_type: "authorization_code",
      code,
      client_id: other.clientId,
      redirect_uri: other.redirectUri,
      code_verifier: "test-verifier-test-verifier-test-verifier-0",
    });
    expect(stolen.status).toBe(400);
    expect(await stolen.json()).toMatchObject({ error: "invalid_grant" });
  });
});
