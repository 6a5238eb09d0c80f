// A sign-in to our own pages that is under way, kept by the browser that began it. Each has a cookie of its own, so that two
// tabs can sign in at once; nothing is stored here for somebody who never comes back.
import * as z from "zod";
import { equalTexts } from "../lib/crypto.ts";
import { newId } from "../lib/ids.ts";
import { clearedCookie, hostCookie, readCookie } from "./cookies.ts";
import type { HostCookieName } from "./cookies.ts";

export interface Pending {
  readonly state: string;
  /** The path that the person wanted. */
  readonly to: string;
  /** What the provider's `start` gave. */
  readonly data: unknown;
}

/** States of clients' authorizations have no dot, so the two cannot be taken for each other. */
const PREFIX = "page.";
const LIFE_SECONDS = 600;

const pendingSchema = z.object({ state: z.string(), to: z.string(), data: z.unknown() });

/** Whether a callback's state is of the sign-in to our own pages. */
export function isPageState(state: string): boolean {
  return state.startsWith(PREFIX);
}

/** A new one. The Set-Cookie value binds it to the browser. */
export function openPending(to: string, data: unknown): { readonly state: string; readonly cookie: string } {
  const state = `${PREFIX}${newId()}`;
  const value = encodeURIComponent(JSON.stringify({ state, to, data } satisfies Pending));
  return { state, cookie: hostCookie(cookieName(state), value, LIFE_SECONDS) };
}

/** The one that this browser began under the state, and the Set-Cookie value that ends it. */
export function takePending(
  request: Request,
  state: string,
): { readonly pending: Pending; readonly cookie: string } | undefined {
  const name = cookieName(state);
  const pending = parsePending(readCookie(request, name));
  if (pending === undefined || !equalTexts(pending.state, state)) return undefined;
  return { pending, cookie: clearedCookie(name) };
}

/** The cookie is named by a part of the state; the whole is compared. */
function cookieName(state: string): HostCookieName {
  return `__Host-gatehouse-signing-in-${state.slice(PREFIX.length, PREFIX.length + 12).replaceAll(/[^0-9a-f]/g, "")}`;
}

/** A cookie that somebody has altered is none. */
function parsePending(value: string | undefined): Pending | undefined {
  if (value === undefined) return undefined;
  try {
    return pendingSchema.parse(JSON.parse(decodeURIComponent(value)));
  } catch {
    return undefined;
  }
}
