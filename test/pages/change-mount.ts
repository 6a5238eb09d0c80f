// Mounts the pages of changes over real browser sessions, for tests.
import { env } from "cloudflare:workers";
import { newId } from "../../src/lib/ids.ts";
import { createChangeRoutes } from "../../src/pages/change-page.tsx";
import { createBrowserSessionStore } from "../../src/sign-in/browser-session-store.ts";
import { createBrowserSessions } from "../../src/sign-in/browser-session.ts";
import { CHANGE_ID } from "./change-views.ts";
import type { MemoryReview } from "./change-views.ts";

const ORIGIN = "https://gatehouse.example.com";
/** The path of the change of `buildView`. */
export const PAGE = `/changes/${CHANGE_ID}`;
const FORM = "application/x-www-form-urlencoded";

const sessions = createBrowserSessions({
  store: createBrowserSessionStore(env.GATEHOUSE_DB),
  idleSeconds: 600,
  maxSeconds: 600,
  now: () => 1_700_000_000_000,
});

/** Signs a new user in. */
export async function signIn() {
  const subjectId = newId();
  const headers = await sessions.begin({ subjectId, email: "lead@harbor.example", groups: [] });
  const cookie = headers.getSetCookie()[0]?.split(";")[0] ?? "";
  const session = await sessions.read(new Request(ORIGIN, { headers: { cookie } }));
  return { subjectId, cookie, csrf: session?.csrfToken ?? "" };
}

/** Mounts the routes over `review` with a signed-in user. */
export async function mountChangePages(review: MemoryReview) {
  const user = await signIn();
  const app = createChangeRoutes({ sessions, organisation: "Example Ltd", changeReview: review });
  const send = async (path: string, init: RequestInit = {}, cookie = user.cookie) => {
    const headers = new Headers(init.headers);
    if (cookie !== "") headers.set("cookie", cookie);
    const response = await app.request(`${ORIGIN}${path}`, { ...init, headers });
    const { status } = response;
    return {
      status,
      headers: response.headers,
      location: response.headers.get("location"),
      html: await response.text(),
    };
  };
  const post = async (path: string, fields: Record<string, string>, { cookie = user.cookie, type = FORM } = {}) =>
    send(
      path,
      { method: "POST", body: new URLSearchParams(fields).toString(), headers: { "Content-Type": type } },
      cookie,
    );
  return { ...user, review, send, post };
}

/** The text of a page between its tags. */
export function readText(html: string): string {
  return html
    .replaceAll(/<(?:style|title)[^>]*>.*?<\/(?:style|title)>/gs, "")
    .replaceAll(/<[^>]+>/g, " ")
    .replaceAll(/\s+/g, " ");
}
