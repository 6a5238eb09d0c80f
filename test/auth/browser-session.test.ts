// Sign-in to our own pages: what a browser session is good for, when it ends, where it leads, and what forges it.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { createBrowserSessions } from "../../src/auth/browser-session.ts";
import { CSRF_FIELD } from "../../src/auth/csrf.tsx";
import { returnUrl } from "../../src/auth/return-path.ts";
import type { Identity } from "../../src/lib/identity.ts";
import { newId } from "../../src/lib/ids.ts";
import { createBrowserSessionStore } from "../../src/storage/browser-sessions.ts";
import { createBrowser, readForm } from "../support/forms.ts";
import type { Browser, Page } from "../support/forms.ts";
import { ORIGIN, initialize, send } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";
const NOW = 1_700_000_000_000;
const IDLE_SECONDS = 600;
const MAX_SECONDS = 3600;

/** Sessions over the real table, with the test's clock. */
function createTestSessions() {
  const clock = { ms: NOW };
  const store = createBrowserSessionStore(env.GATEHOUSE_DB);
  const limits = { idleSeconds: IDLE_SECONDS, maxSeconds: MAX_SECONDS };
  return { clock, sessions: createBrowserSessions({ store, ...limits, now: () => clock.ms }) };
}

function person(): Identity {
  return { subjectId: newId(), email: "ann@example.com", groups: ["sales"] };
}

/** The request of a browser that has taken the cookie. */
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
  it("says who is signed in, in the browser that has its cookie", async () => {
    const { sessions } = createTestSessions();
    const identity = person();
    const headers = await sessions.begin(identity);
    expect(await sessions.read(requestWith(headers))).toMatchObject({ identity });
    expect(await sessions.read(new Request(ORIGIN))).toBeUndefined();
  });

  it("is kept to this host, from scripts and from other sites' requests", async () => {
    const [cookie] = (await createTestSessions().sessions.begin(person())).getSetCookie();
    expect(cookie).toMatch(
      /^__Host-gatehouse-session=[0-9a-f]{32}; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600$/,
    );
  });

  it.each(["", "x", "0".repeat(32), "' OR 1 = 1 --", "%00"])("is not opened by the id %j", async (id) => {
    const { sessions } = createTestSessions();
    await sessions.begin(person());
    const request = new Request(ORIGIN, { headers: { cookie: `__Host-gatehouse-session=${id}` } });
    expect(await sessions.read(request)).toBeUndefined();
  });

  it("is stored without its id and its CSRF token", async () => {
    const { sessions } = createTestSessions();
    const headers = await sessions.begin(person());
    const request = requestWith(headers);
    const id = /session=([0-9a-f]{32})/.exec(request.headers.get("cookie") ?? "")?.[1] ?? "";
    const { results } = await env.GATEHOUSE_DB.prepare("SELECT * FROM browser_session").all();
    const stored = JSON.stringify(results);
    expect(id).toHaveLength(32);
    expect(stored).not.toContain(id);
    expect(stored).not.toContain((await sessions.read(request))?.csrfToken ?? id);
  });

  it("ends when it is not used, and not while it is", async () => {
    const { sessions, clock } = createTestSessions();
    const request = requestWith(await sessions.begin(person()));
    for (let use = 0; use < 3; use += 1) {
      clock.ms += (IDLE_SECONDS - 1) * 1000;
      expect(await sessions.read(request)).toBeDefined();
    }
    clock.ms += IDLE_SECONDS * 1000;
    expect(await sessions.read(request)).toBeUndefined();
  });

  it("ends at its age, however much it is used", async () => {
    const { sessions, clock } = createTestSessions();
    const request = requestWith(await sessions.begin(person()));
    for (; clock.ms < NOW + MAX_SECONDS * 1000; clock.ms += 300_000) expect(await sessions.read(request)).toBeDefined();
    expect(await sessions.read(request)).toBeUndefined();
  });

  it("writes its use down at most once a minute", async () => {
    const { sessions, clock } = createTestSessions();
    const identity = person();
    const request = requestWith(await sessions.begin(identity));
    clock.ms += 59_999;
    await sessions.read(request);
    expect(await usedMsOf(identity)).toBe(NOW);
    clock.ms += 1;
    await sessions.read(request);
    expect(await usedMsOf(identity)).toBe(NOW + 60_000);
  });

  it("leaves nothing behind: others' sign-ins drop what has expired", async () => {
    const { sessions, clock } = createTestSessions();
    const identity = person();
    await sessions.begin(identity);
    clock.ms += IDLE_SECONDS * 1000;
    await sessions.begin(person());
    expect(await usedMsOf(identity)).toBeNull();
  });

  it("ends for its browser alone, or with the account in every browser", async () => {
    const { sessions } = createTestSessions();
    const identity = person();
    const other = requestWith(await sessions.begin(person()));
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
    expect(await sessions.read(other)).toBeDefined();
  });

  it("takes forms and headers with its own token, not with another's or none", async () => {
    const { sessions } = createTestSessions();
    const [mine, theirs] = [
      await sessions.read(requestWith(await sessions.begin(person()))),
      await sessions.read(requestWith(await sessions.begin(person()))),
    ];
    if (mine === undefined || theirs === undefined) throw new Error("no session");
    const formOf = (token: string): FormData => {
      const form = new FormData();
      form.set(CSRF_FIELD, token);
      return form;
    };
    expect(sessions.isOwnForm(mine, formOf(mine.csrfToken))).toBe(true);
    expect(sessions.isOwnForm(mine, mine.csrfToken)).toBe(true);
    for (const wrong of [theirs.csrfToken, "", mine.csrfToken.slice(1), mine.csrfToken.toUpperCase()]) {
      expect(sessions.isOwnForm(mine, formOf(wrong))).toBe(false);
      expect(sessions.isOwnForm(mine, wrong)).toBe(false);
    }
    expect(sessions.isOwnForm(mine, new FormData())).toBe(false);
    expect(sessions.isOwnForm(mine, null)).toBe(false);
  });
});

async function signIn(browser: Browser, to = "/"): Promise<Page> {
  const accounts = await browser.open(`${ORIGIN}/sign-in?to=${encodeURIComponent(to)}`);
  return browser.press(accounts, "account", ANALYST);
}

describe("sign-in to our own pages", () => {
  it("leads back to the page that was wanted, signed in; a second visit goes there at once", async () => {
    const browser = createBrowser(send);
    const done = await signIn(browser, "/sign-out?from=test");
    expect(done.response.status).toBe(302);
    expect(done.response.headers.get("location")).toBe(`${ORIGIN}/sign-out?from=test`);
    expect((await browser.open(`${ORIGIN}/sign-out`)).html).toContain(ANALYST);
    const again = await browser.open(`${ORIGIN}/sign-in?to=/sign-out`);
    expect(again.response.headers.get("location")).toBe(`${ORIGIN}/sign-out`);
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
  ])("never leads elsewhere, by %j", async (to) => {
    const done = await signIn(createBrowser(send), to);
    expect(done.response.headers.get("location")).toBe(`${ORIGIN}/`);
  });

  it("a path that normalises to two slashes stays here too", () => {
    expect(returnUrl("/.//evil.example", ORIGIN)).toBe(`${ORIGIN}//evil.example`);
  });

  it("two tabs sign in at once", async () => {
    const browser = createBrowser(send);
    const [one, two] = [
      await browser.open(`${ORIGIN}/sign-in?to=/one`),
      await browser.open(`${ORIGIN}/sign-in?to=/two`),
    ];
    expect((await browser.press(one, "account", ANALYST)).response.headers.get("location")).toBe(`${ORIGIN}/one`);
    expect((await browser.press(two, "account", ANALYST)).response.headers.get("location")).toBe(`${ORIGIN}/two`);
  });

  it("is finished once, by the browser that began it: another's link signs nobody in as somebody else", async () => {
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

  it("gives a new id each time, and ends the one before", async () => {
    const browser = createBrowser(send);
    const idOf = ({ response }: Page): string =>
      response.headers
        .getSetCookie()
        .flatMap((line) => /^__Host-gatehouse-session=([0-9a-f]+)/.exec(line)?.[1] ?? [])
        .join();
    // Begun before the first is finished, so that neither is spared for being signed in already.
    const [one, two] = [await browser.open(`${ORIGIN}/sign-in`), await browser.open(`${ORIGIN}/sign-in`)];
    const first = idOf(await browser.press(one, "account", ANALYST));
    const second = idOf(await browser.press(two, "account", "owner@harbor.example"));
    expect([first.length, second.length]).toEqual([32, 32]);
    expect(second).not.toBe(first);
    const old = await send(`${ORIGIN}/sign-out`, { headers: { cookie: `__Host-gatehouse-session=${first}` } });
    expect(old.status).toBe(302);
  });

  it.each([
    ["an account that does not exist", "application/x-www-form-urlencoded", "account=root@harbor.example", 403],
    ["a body that is no form", "text/plain", `account=${ANALYST}`, 400],
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

  it("an altered cookie of a sign-in under way is none", async () => {
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

  it("the whole state counts, not the part that names the cookie", async () => {
    const opened = await send(`${ORIGIN}/sign-in`);
    const cookie = opened.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const { action } = readForm(await opened.text());
    const near = action.slice(0, -1) + (action.endsWith("0") ? "1" : "0");
    const finish = async (at: string): Promise<number> => {
      const body = new URLSearchParams({ account: ANALYST });
      return (await send(new URL(at, ORIGIN).href, { method: "POST", body, headers: { cookie } })).status;
    };
    expect(await finish(near)).toBe(400);
    expect(await finish(action)).toBe(302);
  });
});

describe("sign-out", () => {
  it("ends the session, by a form with its token only", async () => {
    const browser = createBrowser(send);
    const done = await signIn(browser);
    const cookie = done.response.headers.getSetCookie()[0]?.split(";")[0] ?? "";
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

  it("a browser session opens nothing at /mcp", async () => {
    const done = await signIn(createBrowser(send));
    const cookie = done.response.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const headers = { cookie, "content-type": "application/json", accept: "application/json, text/event-stream" };
    const response = await send(`${ORIGIN}/mcp`, { method: "POST", headers, body: JSON.stringify(initialize()) });
    expect(response.status).toBe(401);
  });
});
