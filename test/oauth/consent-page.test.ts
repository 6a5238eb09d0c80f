// Attacks on consent and sign-in: forgery, replay, framing and mix-up of clients.
import { describe, expect, it } from "vitest";
import { readForm } from "../support/forms.ts";
import type { Browser, Page } from "../support/forms.ts";
import { openConsent, register } from "../support/oauth.ts";
import type { Registered } from "../support/oauth.ts";
import { ORIGIN, flow, send } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";

/** Posts a form like a browser, with the cookie if one is given. */
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

async function openConsentOf(client?: Registered): Promise<{ browser: Browser; consent: Page; client: Registered }> {
  const registered = client ?? (await register(flow));
  return { ...(await openConsent(flow, registered)), client: registered };
}

describe("forged consent", () => {
  it.each([
    ["a made-up handle", () => "x".repeat(43), (cookie: string) => cookie],
    ["no handle", () => "", (cookie: string) => cookie],
    ["another browser's handle", (handle: string) => handle, () => undefined],
    [
      "a cookie of the right name with another value",
      (handle: string) => handle,
      (cookie: string) => `${cookie.split("=")[0]}=${"0".repeat(64)}`,
    ],
  ])("is refused with %s", async (_name, handle, cookie) => {
    const { consent } = await openConsentOf();
    const fields = { handle: handle(handleOf(consent)), decision: "approve" };
    const refused = await submit("/authorize", fields, cookie(cookieOf(consent)));
    expect(refused.status).toBe(400);
    expect(refused.headers.get("location")).toBeNull();
    // The user's own consent page still works.
    expect(
      (await submit("/authorize", { handle: handleOf(consent), decision: "approve" }, cookieOf(consent))).status,
    ).toBe(200);
  });

  it("is refused in a multipart form, as other sites can send one", async () => {
    const { consent } = await openConsentOf();
    const body = new FormData();
    body.set("handle", handleOf(consent));
    body.set("decision", "approve");
    const refused = await send(`${ORIGIN}/authorize`, { method: "POST", headers: { cookie: cookieOf(consent) }, body });
    expect(refused.status).toBe(400);
  });

  it("cannot use the cookies, which are host-only, HttpOnly and SameSite=Lax", async () => {
    const { consent } = await openConsentOf();
    for (const line of consent.response.headers.getSetCookie())
      expect(line).toMatch(/^__Host-.*Path=\/; Secure; HttpOnly; SameSite=Lax/);
  });
});

describe("replayed consent", () => {
  it("leads to one sign-in when the button is pressed three times at once", async () => {
    const { consent } = await openConsentOf();
    const press = async (): Promise<Response> =>
      submit("/authorize", { handle: handleOf(consent), decision: "approve" }, cookieOf(consent));
    const statuses = (await Promise.all([press(), press(), press()])).map(({ status }) => status);
    expect(statuses.toSorted((left, right) => left - right)).toEqual([200, 400, 400]);
  });

  it("counts once when it is approved and denied at once", async () => {
    const { consent } = await openConsentOf();
    const press = async (decision: string): Promise<Response> =>
      submit("/authorize", { handle: handleOf(consent), decision }, cookieOf(consent));
    const statuses = (await Promise.all([press("approve"), press("deny")])).map(({ status }) => status);
    expect(statuses.filter((status) => status === 400)).toHaveLength(1);
  });

  it("creates one connection when the sign-in is finished three times at once", async () => {
    const { browser, consent } = await openConsentOf();
    const accounts = await browser.press(consent, "decision", "approve");
    const { action } = readForm(accounts.html);
    const finish = async (): Promise<Response> => submit(action, { account: ANALYST }, cookieOf(accounts));
    const responses = await Promise.all([finish(), finish(), finish()]);
    expect(responses.map(({ status }) => status).toSorted((left, right) => left - right)).toEqual([302, 400, 400]);
    expect(responses.filter(({ headers }) => headers.get("location") !== null)).toHaveLength(1);
  });
});

describe("framed consent", () => {
  it("is prevented on the consent, sign-in and error pages", async () => {
    const { browser, consent } = await openConsentOf();
    const accounts = await browser.press(consent, "decision", "approve");
    const error = await browser.press(consent, "decision", "approve");
    for (const { response } of [consent, accounts, error]) {
      expect(response.headers.get("x-frame-options")).toBe("DENY");
      expect(response.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
      expect(response.headers.get("cache-control")).toBe("no-store");
    }
  });
});

describe("consent for one client", () => {
  it("does not accept the handle of another client in the same browser", async () => {
    const user = await openConsentOf();
    const attacker = await openConsentOf(await register(flow, { client_name: "Evil" }));
    // Both pages are open, but the cookie of the first does not match the handle of the second.
    const crossed = await submit(
      "/authorize",
      { handle: handleOf(attacker.consent), decision: "approve" },
      cookieOf(user.consent),
    );
    expect(crossed.status).toBe(400);
  });

  it("ignores client, redirect URI and scopes in form fields", async () => {
    const evil = await register(flow, { client_name: "Evil", redirect_uris: ["https://evil.example/callback"] });
    const { consent } = await openConsentOf();
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

  it("does not accept a consent handle for a sign-in, or the reverse", async () => {
    const { browser, consent } = await openConsentOf();
    const other = await openConsentOf();
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

  it("does not give another client tokens for its code", async () => {
    const { browser, consent } = await openConsentOf();
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
