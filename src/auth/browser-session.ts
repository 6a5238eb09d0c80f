// Who is signed in to our own pages. A session is a cookie with an opaque id, stored as its hash; it has nothing to do with
// the grants that clients hold, and opens nothing at /mcp.
import { equalTexts, sha256Hex } from "../lib/crypto.ts";
import type { Identity } from "../lib/identity.ts";
import { newId } from "../lib/ids.ts";
import type { BrowserSessionStore } from "../storage/browser-sessions.ts";
import { clearedCookie, hostCookie, readCookie } from "./cookies.ts";
import { CSRF_FIELD } from "./csrf.tsx";

export interface BrowserSession {
  readonly identity: Identity;
  /** To be put into each form of this person's pages, see `CsrfField`; a request that changes something must bring it. */
  readonly csrfToken: string;
}

export interface BrowserSessions {
  /** The session of the request's cookie, undefined when there is none or it has expired. Counts as a use. */
  read(request: Request): Promise<BrowserSession | undefined>;
  /** Begins a session under a new id. The headers set its cookie. */
  begin(identity: Identity): Promise<Headers>;
  /** Ends the request's session. The headers take its cookie away. */
  end(request: Request): Promise<Headers>;
  /** Ends all sessions of a person, in every browser: with the account, or when it may no longer sign in. */
  endAll(subjectId: string): Promise<void>;
  /** Whether a form, or the header `X-Gatehouse-Csrf`, carries the session's token: else another site may have sent it. */
  isOwnForm(session: BrowserSession, proof: FormData | string | null): boolean;
}

export interface BrowserSessionOptions {
  readonly store: BrowserSessionStore;
  /** How long a session lives without a request. */
  readonly idleSeconds: number;
  /** How long it lives at most. */
  readonly maxSeconds: number;
  readonly now: () => number;
}

const COOKIE = "__Host-gatehouse-session";
/** A use is written down at most this often. */
const TOUCH_MS = 60_000;

export function createBrowserSessions({ store, idleSeconds, maxSeconds, now }: BrowserSessionOptions): BrowserSessions {
  return {
    async read(request) {
      const id = sessionId(request);
      if (id === undefined) return undefined;
      const idHash = await hashOf(id);
      const stored = await store.find(idHash);
      if (stored === undefined) return undefined;
      const { identity, beganMs, usedMs } = stored;
      const nowMs = now();
      if (nowMs - usedMs >= idleSeconds * 1000 || nowMs - beganMs >= maxSeconds * 1000) return undefined;
      if (nowMs - usedMs >= TOUCH_MS) await store.touch(idHash, nowMs);
      return { identity, csrfToken: await csrfTokenOf(id) };
    },
    async begin(identity) {
      const id = newId();
      const nowMs = now();
      await store.insert(await hashOf(id), { identity, beganMs: nowMs, usedMs: nowMs }, nowMs - idleSeconds * 1000);
      return new Headers({ "Set-Cookie": hostCookie(COOKIE, id, maxSeconds) });
    },
    async end(request) {
      const id = sessionId(request);
      if (id !== undefined) await store.remove(await hashOf(id));
      return new Headers({ "Set-Cookie": clearedCookie(COOKIE) });
    },
    endAll: async (subjectId) => store.removeAllOf(subjectId),
    isOwnForm(session, proof) {
      const given = proof instanceof FormData ? proof.get(CSRF_FIELD) : proof;
      return typeof given === "string" && equalTexts(given, session.csrfToken);
    },
  };
}

/** What looks like an id of ours; anything else is not worth a look-up. */
function sessionId(request: Request): string | undefined {
  const id = readCookie(request, COOKIE);
  return id !== undefined && /^[0-9a-f]{32}$/.test(id) ? id : undefined;
}

async function hashOf(id: string): Promise<string> {
  return sha256Hex(`browser session ${id}`);
}

/** Follows from the id, and tells nothing of it or of the stored hash: pages may show it. */
async function csrfTokenOf(id: string): Promise<string> {
  return sha256Hex(`csrf token ${id}`);
}
