// How a person proves who they are. Every identity provider is one implementation of this interface. Two flows use it: the
// authorization of a client (authorize.tsx: consent first) and the sign-in to our own pages (browser-sign-in.tsx).
import type { VerifiedClaims } from "./subject.ts";

/** What the browser gets next: our own page, or the way to the provider. */
export type NextStep = { readonly page: PageContent } | { readonly redirectTo: string };

export interface PageContent {
  readonly title: string;
  readonly body: unknown;
}

export interface SignInStart {
  /** JSON that `finish` gets back, such as a PKCE verifier. The flow keeps it, bound to this browser and used once. */
  readonly data: unknown;
  /** `state` names the pending flow; it must come back as the query parameter of that name at CALLBACK_PATH. */
  readonly next: (state: string) => Promise<NextStep>;
}

/** `refused` is text for the person, and vague where more would help an attacker. */
export type SignInEnd = { readonly claims: VerifiedClaims } | { readonly refused: string };

export interface SignIn {
  /** Why nobody can sign in from here, as text for the person; undefined when they can. Asked before anything else. */
  refusal(request: Request): string | undefined;
  start(): Promise<SignInStart>;
  /** Reads the finishing request at CALLBACK_PATH: a provider's redirect with code and state, or our own form. */
  finish(request: Request, data: unknown): Promise<SignInEnd>;
}

/** Begins the sign-in to our own pages. */
export const SIGN_IN_PATH = "/sign-in";
/** Where every sign-in ends, and the one redirect URI that an identity provider has to know. */
export const CALLBACK_PATH = "/sign-in/callback";
export const SIGN_OUT_PATH = "/sign-out";

/** Where to send a person without a session, so that they come back to `path`, which may have a query. */
export function signInPath(path: string): string {
  return `${SIGN_IN_PATH}?to=${encodeURIComponent(path)}`;
}
