// A sign-in to this server's pages that has started but not finished. Its data is in a cookie of the browser, so the server stores
// nothing for sign-ins that are never finished. Each has its own cookie, so that two tabs can sign in at the same time.
import * as z from "zod";
import { isEqualInConstantTime } from "../lib/crypto.ts";
import { newId } from "../lib/ids.ts";
import { clearCookie, buildHostCookie, readCookie } from "./cookies.ts";
import type { HostCookieName } from "./cookies.ts";

interface PendingSignIn {
  readonly state: string;
  /** The path to return to after the sign-in. */
  readonly to: string;
  /** The `data` of `SignInStart`. */
  readonly data: unknown;
}

/** The state of a client's authorization has no dot, so the two kinds of state cannot be confused. */
const PAGE_STATE_PREFIX = "page.";
const PENDING_SIGN_IN_SECONDS = 600;

const pendingSchema = z.object({ state: z.string(), to: z.string(), data: z.unknown() });

/** Whether a callback's state belongs to a sign-in to this server's pages. */
export function isPageState(state: string): boolean {
  return state.startsWith(PAGE_STATE_PREFIX);
}

/** Creates a pending sign-in. `cookie` is the Set-Cookie value that binds it to the browser for ten minutes. */
export function createPendingSignIn(to: string, data: unknown): { readonly state: string; readonly cookie: string } {
  const state = `${PAGE_STATE_PREFIX}${newId()}`;
  const value = encodeURIComponent(JSON.stringify({ state, to, data } satisfies PendingSignIn));
  return { state, cookie: buildHostCookie(nameCookie(state), value, PENDING_SIGN_IN_SECONDS) };
}

/** Reads the pending sign-in that this browser started with `state`. `cookie` is the Set-Cookie value that ends it. */
export function takePendingSignIn(
  request: Request,
  state: string,
): { readonly pending: PendingSignIn; readonly cookie: string } | undefined {
  const name = nameCookie(state);
  const pending = parsePendingSignIn(readCookie(request, name));
  if (pending === undefined || !isEqualInConstantTime(pending.state, state)) return undefined;
  return { pending, cookie: clearCookie(name) };
}

/** The cookie's name holds part of the state; `takePendingSignIn` compares the whole state. */
function nameCookie(state: string): HostCookieName {
  const part = state.slice(PAGE_STATE_PREFIX.length, PAGE_STATE_PREFIX.length + 12);
  return `__Host-gatehouse-signing-in-${part.replaceAll(/[^0-9a-f]/g, "")}`;
}

/** Parses the cookie's value; undefined when it was altered. */
function parsePendingSignIn(value: string | undefined): PendingSignIn | undefined {
  if (value === undefined) return undefined;
  try {
    return pendingSchema.parse(JSON.parse(decodeURIComponent(value)));
  } catch {
    return undefined;
  }
}
