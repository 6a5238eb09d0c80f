// Sign-in to this server's pages: what a browser session gives access to, when it ends, where sign-in redirects, and attacks on it.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { createBrowserSessions } from "../../src/sign-in/browser-session.ts";
import { CSRF_FIELD } from "../../src/sign-in/csrf.tsx";
import { resolveReturnUrl } from "../../src/sign-in/return-path.ts";
import type { Identity } from "../../src/lib/identity.ts";
import { newId } from "../../src/lib/ids.ts";
import { createBrowserSessionStore } from "../../src/sign-in/browser-session-store.ts";
import { createBrowser, readForm } from "../support/forms.ts";
import type { Browser, Page } from "../support/forms.ts";
import { ORIGIN, initialize, send } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";
const NOW = 1_700_000_000_000;
const IDLE_SECONDS = 600;
const MAX_SECONDS = 3600;

/** Browser sessions over the real table, with the test's clock. */
function createTestSessions() {
  const clock = { ms: NOW };
  const store = createBrowserSessionStore(env.GATEHOUSE_DB);
  const limits = { idleSeconds: IDLE_SECONDS, maxSeconds: MAX_SECONDS };
  return { clock, sessions: createBrowserSessions({ store, ...limits, now: () => clock.ms }) };
}

function createIdentity(): Identity {
  return { subjectId: newId(), email: "ann@example.com", groups: ["sales"] };
}

/** A request of a browser that has stored the cookie. */
function requestWith(headers: Headers): Request {
  const [cookie = ""] = headers.getSetCookie().map((line) => line.split(";")[0]);
  return new Request(`${ORIGIN}/`, { headers: { cookie: `theme=dark; ${cookie}` } });
}

async function usedMsOf({ subjectId }: Identity): Promise<number | null> {
  return env.GATEHOUSE_DB.prepare("SELECT used_ms FROM browser_session WHERE subject_id = ?")
    .bind(subjectId)
    .first("used_ms");
}

describe("a browser session", () => {
  it("identifies the user by its cookie", async () => {
    const { sessions } = createTestSessions();
    const identity = createIdentity();
    const headers = await sessions.begin(identity);
    expect(await sessions.read(requestWith(headers))).toMatchObject({ identity });
    expect(await sessions.read(new Request(ORIGIN))).toBeUndefined();
  });

  it("has a cookie that scripts, other hosts and other sites' requests cannot use", async () => {
    const [cookie] = (await createTestSessions().sessions.begin(createIdentity())).getSetCookie();
    expect(cookie).toMatch(
      /^__Host-gatehouse-session=[0-9a-f]{32}; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600$/,
    );
  });

  it.each(["", "x", "0".repeat(32), "' OR 1 = 1 --", "%00"])("is not found by the forged id %j", async (id) => {
    const { sessions } = createTestSessions();
    await sessions.begin(createIdentity());
    const request = new Request(ORIGIN, { headers: { cookie: `__Host-gatehouse-session=${id}` } });
    expect(await sessions.read(request)).toBeUndefined();
  });

  it("is stored without its id and its CSRF token", async () => {
    const { sessions } = createTestSessions();
    const headers = await sessions.begin(createIdentity());
    const request = requestWith(headers);
    const id = /session=([0-9a-f]{32})/.exec(request.headers.get("cookie") ?? "")?.[1] ?? "";
    const { results } = await env.GATEHOUSE_DB.prepare("SELECT * FROM browser_session").all();
    const stored = JSON.stringify(results);
    expect(id).toHaveLength(32);
    expect(stored).not.toContain(id);
    expect(stored).not.toContain((await sessions.read(request))?.csrfToken ?? id);
  });

  it("ends when it has been idle too long, and not while it is used", async () => {
    const { sessions, clock } = createTestSessions();
    const request = requestWith(await sessions.begin(createIdentity()));
    for (let use = 0; use < 3; use += 1) {
      clock.ms += (IDLE_SECONDS - 1) * 1000;
      expect(await sessions.read(request)).toBeDefined();
    }
    clock.ms += IDLE_SECONDS * 1000;
    expect(await sessions.read(request)).toBeUndefined();
  });

  it("ends at its maximum age although it is used", async () => {
    const { sessions, clock } = createTestSessions();
    const request = requestWith(await sessions.begin(createIdentity()));
    for (; clock.ms < NOW + MAX_SECONDS * 1000; clock.ms += 300_000) expect(await sessions.read(request)).toBeDefined();
    expect(await sessions.read(request)).toBeUndefined();
  });

  it("stores the time of use at most once a minute", async () => {
    const { sessions, clock } = createTestSessions();
    const identity = createIdentity();
    const request = requestWith(await sessions.begin(identity));
    clock.ms += 59_999;
    await sessions.read(request);
    expect(await usedMsOf(identity)).toBe(NOW);
    clock.ms += 1;
    await sessions.read(request);
    expect(await usedMsOf(identity)).toBe(NOW + 60_000);
  });

  it("is deleted by the next sign-in of any user when it has expired", async () => {
    const { sessions, clock } = createTestSessions();
    const identity = createIdentity();
    await sessions.begin(identity);
    clock.ms += IDLE_SECONDS * 1000;
    await sessions.begin(createIdentity());
    expect(await usedMsOf(identity)).toBeNull();
  });

  it("ends alone when one browser signs out, and in every browser when the account ends", async () => {
    const { sessions } = createTestSessions();
    const identity = createIdentity();
    const otherUser = requestWith(await sessions.begin(createIdentity()));
    const [laptop, phone, tablet] = [
      requestWith(await sessions.begin(identity)),
      requestWith(await sessions.begin(identity)),
      requestWith(await sessions.begin(identity)),
    ];
    const cleared = await sessions.end(laptop);
    expect(cleared.get("set-cookie")).toContain("__Host-gatehouse-session=; ");
    expect(cleared.get("set-cookie")).toContain("Max-Age=0");
    expect(await sessions.read(laptop)).toBeUndefined();
    expect(await sessions.read(phone)).toBeDefined();
    await sessions.endAll(identity.subjectId);
    expect([await sessions.read(phone), await sessions.read(tablet)]).toEqual([undefined, undefined]);
    expect(await sessions.read(otherUser)).toBeDefined();
  });

  it("accepts forms and headers only with the CSRF token of the same session", async () => {
    const { sessions } = createTestSessions();
    const [mine, theirs] = [
      await sessions.read(requestWith(await sessions.begin(createIdentity()))),
      await sessions.read(requestWith(await sessions.begin(createIdentity()))),
    ];
    if (mine === undefined || theirs === undefined) throw new Error("no session");
    const formOf = (token: string): FormData => {
      const form = new FormData();
      form.set(CSRF_FIELD, token);
      return form;
    };
    expect(sessions.hasCsrfToken(mine, formOf(mine.csrfToken))).toBe(true);
    expect(sessions.hasCsrfToken(mine, mine.csrfToken)).toBe(true);
    for (const wrong of [theirs.csrfToken, "", mine.csrfToken.slice(1), mine.csrfToken.toUpperCase()]) {
      expect(sessions.hasCsrfToken(mine, formOf(wrong))).toBe(false);
      expect(sessions.hasCsrfToken(mine, wrong)).toBe(false);
    }
    expect(sessions.hasCsrfToken(mine, new FormData())).toBe(false);
    expect(sessions.hasCsrfToken(mine, null)).toBe(false);
  });
});

async function signIn(browser: Browser, to = "/"): Promise<Page> {
  const accounts = await browser.open(`${ORIGIN}/sign-in?to=${encodeURIComponent(to)}`);
  return browser.press(accounts, "account", ANALYST);
}

describe("sign-in to the pages", () => {
  it("redirects to the requested page, and at once when the user is already signed in", async () => {
    const browser = createBrowser(send);
    const finished = await signIn(browser, "/sign-out?from=test");
    expect(finished.response.status).toBe(302);
    expect(finished.response.headers.get("location")).toBe(`${ORIGIN}/sign-out?from=test`);
    expect((await browser.open(`${ORIGIN}/sign-out`)).html).toContain(ANALYST);
    const secondVisit = await browser.open(`${ORIGIN}/sign-in?to=/sign-out`);
    expect(secondVisit.response.headers.get("location")).toBe(`${ORIGIN}/sign-out`);
  });

  it.each([
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "/\t/evil.example/",
    "javascript:alert(1)",
    "@evil.example",
    ".evil.example",
    "",
    `/${"x".repeat(1001)}`,
  ])("redirects to the start page when the requested path is %j", async (to) => {
    const finished = await signIn(createBrowser(send), to);
    expect(finished.response.headers.get("location")).toBe(`${ORIGIN}/`);
  });

  it("stays on this origin when a path normalises to two slashes", () => {
    expect(resolveReturnUrl("/.//evil.example", ORIGIN)).toBe(`${ORIGIN}//evil.example`);
  });

  it("lets two tabs sign in at the same time", async () => {
    const browser = createBrowser(send);
    const [firstTab, secondTab] = [
      await browser.open(`${ORIGIN}/sign-in?to=/one`),
      await browser.open(`${ORIGIN}/sign-in?to=/two`),
    ];
    expect((await browser.press(firstTab, "account", ANALYST)).response.headers.get("location")).toBe(`${ORIGIN}/one`);
    expect((await browser.press(secondTab, "account", ANALYST)).response.headers.get("location")).toBe(`${ORIGIN}/two`);
  });

  it("can be finished only once, and only by the browser that started it (login CSRF)", async () => {
    const attacker = createBrowser(send);
    const accounts = await attacker.open(`${ORIGIN}/sign-in`);
    const { action } = readForm(accounts.html);
    const victim = await send(new URL(action, ORIGIN).href, {
      method: "POST",
      body: new URLSearchParams({ account: ANALYST }),
    });
    expect(victim.status).toBe(400);
    expect(victim.headers.getSetCookie()).toEqual([]);
    expect((await attacker.press(accounts, "account", ANALYST)).response.status).toBe(302);
    expect((await attacker.press(accounts, "account", ANALYST)).response.status).toBe(400);
  });

  it("creates a new session id each time, and ends the previous session", async () => {
    const browser = createBrowser(send);
    const idOf = ({ response }: Page): string =>
      response.headers
        .getSetCookie()
        .flatMap((line) => /^__Host-gatehouse-session=([0-9a-f]+)/.exec(line)?.[1] ?? [])
        .join();
    // Both start before the first is finished, because a signed-in browser is redirected without a sign-in.
    const [firstTab, secondTab] = [await browser.open(`${ORIGIN}/sign-in`), await browser.open(`${ORIGIN}/sign-in`)];
    const first = idOf(await browser.press(firstTab, "account", ANALYST));
    const second = idOf(await browser.press(secondTab, "account", "owner@harbor.example"));
    expect([first.length, second.length]).toEqual([32, 32]);
    expect(second).not.toBe(first);
    const signedOut = await send(`${ORIGIN}/sign-out`, { headers: { cookie: `__Host-gatehouse-session=${first}` } });
    expect(signedOut.status).toBe(302);
  });

  it.each([
    ["an account that does not exist", "application/x-www-form-urlencoded", "account=root@harbor.example", 403],
    ["a body that is not a form", "text/plain", `account=${ANALYST}`, 400],
  ] as const)("refuses %s", async (_name, type, body, status) => {
    const opened = await send(`${ORIGIN}/sign-in`);
    const cookie = opened.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const { action } = readForm(await opened.text());
    const response = await send(new URL(action, ORIGIN).href, {
      method: "POST",
      body,
      headers: { cookie, "content-type": type },
    });
    expect(response.status).toBe(status);
    expect(response.headers.getSetCookie().join()).not.toContain("gatehouse-session=");
  });

  it("refuses to finish when the cookie of the pending sign-in was altered", async () => {
    const opened = await send(`${ORIGIN}/sign-in`);
    const cookie = opened.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const { action } = readForm(await opened.text());
    for (const altered of [cookie.slice(0, -4), cookie.replace(/=.*/, "=%7B%7D"), cookie.replace(/=.*/, "=%")]) {
      const response = await send(new URL(action, ORIGIN).href, {
        method: "POST",
        body: new URLSearchParams({ account: ANALYST }),
        headers: { cookie: altered },
      });
      expect(response.status).toBe(400);
    }
  });

  it("compares the whole state, not only the part in the cookie's name", async () => {
    const opened = await send(`${ORIGIN}/sign-in`);
    const cookie = opened.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const { action } = readForm(await opened.text());
    const actionWithChangedState = action.slice(0, -1) + (action.endsWith("0") ? "1" : "0");
    const finish = async (path: string): Promise<number> => {
      const body = new URLSearchParams({ account: ANALYST });
      return (await send(new URL(path, ORIGIN).href, { method: "POST", body, headers: { cookie } })).status;
    };
    expect(await finish(actionWithChangedState)).toBe(400);
    expect(await finish(action)).toBe(302);
  });
});

describe("sign-out", () => {
  it("ends the session only when the form has its CSRF token", async () => {
    const browser = createBrowser(send);
    const finished = await signIn(browser);
    const cookie = finished.response.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const signOut = async (body: Record<string, string>): Promise<number> =>
      (await send(`${ORIGIN}/sign-out`, { method: "POST", body: new URLSearchParams(body), headers: { cookie } }))
        .status;
    const isSignedIn = async (): Promise<boolean> =>
      (await send(`${ORIGIN}/sign-out`, { headers: { cookie } })).status === 200;
    expect(await signOut({})).toBe(403);
    expect(await signOut({ csrf: "0".repeat(64) })).toBe(403);
    expect(await isSignedIn()).toBe(true);
    const page = await browser.open(`${ORIGIN}/sign-out`);
    expect(await signOut(Object.fromEntries(readForm(page.html).hidden))).toBe(302);
    expect(await isSignedIn()).toBe(false);
  });

  it("refuses a browser session at /mcp", async () => {
    const finished = await signIn(createBrowser(send));
    const cookie = finished.response.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const headers = { cookie, "content-type": "application/json", accept: "application/json, text/event-stream" };
    const response = await send(`${ORIGIN}/mcp`, { method: "POST", headers, body: JSON.stringify(initialize()) });
    expect(response.status).toBe(401);
  });
});
