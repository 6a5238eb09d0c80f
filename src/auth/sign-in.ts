// How a person proves who they are. Every identity provider is one implementation of this interface. Two flows use it: the
// authorization of a client (authorize.tsx: consent first) and the sign-in to our own pages (browser-sign-in.tsx); and
// renewal.ts asks it again at each refresh of a client's token.
import type { VerifiedClaims } from "./subject.ts";

/** What the browser gets next: our own page, or the way to the provider; or why there is none, as text for the person. */
export type NextStep = { readonly page: PageContent } | { readonly redirectTo: string } | { readonly refused: string };

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

export interface SignedIn {
  readonly claims: VerifiedClaims;
  /**
   * JSON by which the provider can be asked again, such as its refresh token. Kept in the grant only, which is encrypted;
   * undefined when it cannot be asked again: then the sign-in lasts for one access token.
   */
  readonly renewal: unknown;
}

/** `refused` is text for the person, and vague where more would help an attacker; the log says it exactly. */
export type SignInEnd = SignedIn | { readonly refused: string };

/** What the provider says of a person later. `reason` is for the log. */
export type Renewed =
  | { readonly kind: "current"; readonly signedIn: SignedIn }
  /** The account is disabled, or has taken its consent back: for good, until the person signs in again. */
  | { readonly kind: "ended"; readonly reason: string }
  /** The provider wants to see the user. That says nothing of the account, which may have other sign-ins and access tokens. */
  | { readonly kind: "sign_in_required"; readonly reason: string }
  /** The provider did not answer, or not to us: nothing is known of the account. */
  | { readonly kind: "unavailable"; readonly reason: string };

export interface SignIn {
  /** Why nobody can sign in from here, as text for the person; undefined when they can. Asked before anything else. */
  refusal(request: Request): string | undefined;
  start(): Promise<SignInStart>;
  /** Reads the finishing request at CALLBACK_PATH: a provider's redirect with code and state, or our own form. */
  finish(request: Request, data: unknown): Promise<SignInEnd>;
  /** Asks for the same person again. `renewal` may be of another method or issuer, when the operator has changed it. */
  renew(renewal: unknown): Promise<Renewed>;
}

/** What the identity providers are made of. */
export interface SignInParts<Settings> {
  readonly settings: Settings;
  /** Where this deployment is served; providers send people back to it. */
  readonly origin: string;
  readonly now: () => number;
  readonly log: (message: string) => void;
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
