// Sessions of users who are signed in to this server's pages: a cookie with an opaque id, stored as a hash.
// A browser session is independent of the grants that clients hold and gives no access to /mcp.
import { isEqualInConstantTime, sha256Hex } from "../lib/crypto.ts";
import type { Identity } from "../lib/identity.ts";
import { newId } from "../lib/ids.ts";
import type { BrowserSessionStore } from "./browser-session-store.ts";
import { clearCookie, buildHostCookie, readCookie } from "./cookies.ts";
import { CSRF_FIELD } from "./csrf.tsx";

/** A session of a signed-in user. */
export interface BrowserSession {
  readonly identity: Identity;
  /** Every form of the user's pages includes it (see `CsrfField`), and every request that changes something must send it. */
  readonly csrfToken: string;
}

/** The browser sessions of a deployment. */
export interface BrowserSessions {
  /** Reads the session of the request's cookie; undefined when there is none or it has expired. Reading counts as a use. */
  read(request: Request): Promise<BrowserSession | undefined>;
  /** Creates a session under a new id. The returned headers set its cookie. */
  begin(identity: Identity): Promise<Headers>;
  /** Ends the request's session. The returned headers delete its cookie. */
  end(request: Request): Promise<Headers>;
  /** Ends all sessions of a user in every browser, for example when the identity provider has disabled the account. */
  endAll(subjectId: string): Promise<void>;
  /** Whether `proof` (a form, or the header `X-Gatehouse-Csrf`) has the session's CSRF token. Other sites cannot read it. */
  hasCsrfToken(session: BrowserSession, proof: FormData | string | null): boolean;
}

interface BrowserSessionOptions {
  readonly store: BrowserSessionStore;
  /** A session ends after this time without a request. */
  readonly idleSeconds: number;
  /** A session ends at this age, even when it is in use. */
  readonly maxSeconds: number;
  readonly now: () => number;
}

const COOKIE = "__Host-gatehouse-session";
/** The time of use is stored at most this often, because each update is a write to D1. */
const TOUCH_INTERVAL_MS = 60_000;

/** Creates the browser sessions over their table. */
export function createBrowserSessions({ store, idleSeconds, maxSeconds, now }: BrowserSessionOptions): BrowserSessions {
  return {
    async read(request) {
      const id = readSessionId(request);
      if (id === undefined) return undefined;
      const idHash = await hashSessionId(id);
      const stored = await store.find(idHash);
      if (stored === undefined) return undefined;
      const { identity, beganMs, usedMs } = stored;
      const nowMs = now();
      if (nowMs - usedMs >= idleSeconds * 1000 || nowMs - beganMs >= maxSeconds * 1000) return undefined;
      if (nowMs - usedMs >= TOUCH_INTERVAL_MS) await store.touch(idHash, nowMs);
      return { identity, csrfToken: await deriveCsrfToken(id) };
    },
    async begin(identity) {
      const id = newId();
      const nowMs = now();
      await store.insert(
        await hashSessionId(id),
        { identity, beganMs: nowMs, usedMs: nowMs },
        nowMs - idleSeconds * 1000,
      );
      return new Headers({ "Set-Cookie": buildHostCookie(COOKIE, id, maxSeconds) });
    },
    async end(request) {
      const id = readSessionId(request);
      if (id !== undefined) await store.remove(await hashSessionId(id));
      return new Headers({ "Set-Cookie": clearCookie(COOKIE) });
    },
    endAll: async (subjectId) => store.removeAll(subjectId),
    hasCsrfToken(session, proof) {
      const submittedToken = proof instanceof FormData ? proof.get(CSRF_FIELD) : proof;
      return typeof submittedToken === "string" && isEqualInConstantTime(submittedToken, session.csrfToken);
    },
  };
}

/** Reads the id from the cookie. A value without the form of an id is ignored, which saves a look-up. */
function readSessionId(request: Request): string | undefined {
  const id = readCookie(request, COOKIE);
  return id !== undefined && /^[0-9a-f]{32}$/.test(id) ? id : undefined;
}

async function hashSessionId(id: string): Promise<string> {
  return sha256Hex(`browser session ${id}`);
}

/** Derives the CSRF token from the id. Pages may show it: it reveals neither the id nor the stored hash. */
async function deriveCsrfToken(id: string): Promise<string> {
  return sha256Hex(`csrf token ${id}`);
}
