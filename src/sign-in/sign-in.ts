// The interface that every identity provider implements. Two flows use it: the authorization of a client (oauth/authorize.tsx, which
// asks for consent first) and the sign-in to this server's pages (browser-sign-in.tsx). oauth/token-callback.ts calls `renew` at each
// refresh of a grant.
import type { VerifiedClaims } from "./verified-identity.ts";

/** What the browser gets next: a page of this server, a redirect to the provider, or a refusal as text for the user. */
export type NextStep = { readonly page: PageContent } | { readonly redirectTo: string } | { readonly refused: string };

/** A page of this server that is part of a sign-in. */
interface PageContent {
  readonly title: string;
  readonly body: unknown;
}

/** A sign-in that has started. */
export interface SignInStart {
  /** JSON that `finish` gets back, such as a PKCE verifier. The flow stores it, binds it to the browser and uses it once. */
  readonly data: unknown;
  /** Returns the next step. `state` names the pending flow and must come back as the query parameter `state` at CALLBACK_PATH. */
  readonly next: (state: string) => Promise<NextStep>;
}

/** A successful sign-in. */
export interface SignedIn {
  readonly claims: VerifiedClaims;
  /**
   * JSON with which the provider can be asked again, such as its refresh token. Stored only in the grant, which is encrypted.
   * Undefined when the provider cannot be asked again: the connection then ends when its first access token expires.
   */
  readonly renewal: unknown;
}

/** `refused` is text for the user, and vague where details would help an attacker; the log has the details. */
export type SignInResult = SignedIn | { readonly refused: string };

/** What the provider says about a user at a renewal. `reason` is for the log. */
export type RenewalResult =
  | { readonly kind: "current"; readonly signedIn: SignedIn }
  /** The account is disabled or has withdrawn its consent: the connection ends, and the user has to sign in again. */
  | { readonly kind: "ended"; readonly reason: string }
  /** The provider needs the user to interact. The connection ends; the account's other sign-ins and access tokens stay valid. */
  | { readonly kind: "sign_in_required"; readonly reason: string }
  /** The provider did not answer, or refused this server: the state of the account is unknown. */
  | { readonly kind: "unavailable"; readonly reason: string };

/** A sign-in method. */
export interface SignIn {
  /** Why this request cannot sign in, as text for the user; undefined when it can. Called before `start`. */
  findRefusal(request: Request): string | undefined;
  /** Starts a sign-in. */
  start(): Promise<SignInStart>;
  /** Reads the request at CALLBACK_PATH that finishes the sign-in: a provider's redirect with code and state, or a form of ours. */
  finish(request: Request, data: unknown): Promise<SignInResult>;
  /** Asks the provider about the same user again. `renewal` may belong to another method or issuer when the settings have changed. */
  renew(renewal: unknown): Promise<RenewalResult>;
}

/** What each sign-in method is created from. */
export interface SignInDependencies<Settings> {
  readonly settings: Settings;
  /** Where this deployment is served; providers redirect users back to it. */
  readonly origin: string;
  readonly now: () => number;
  readonly log: (message: string) => void;
}

/** Starts the sign-in to this server's pages. */
export const SIGN_IN_PATH = "/sign-in";
/** Where every sign-in ends: the redirect URI to register at the identity provider. */
export const CALLBACK_PATH = "/sign-in/callback";
/** Ends the browser session. */
export const SIGN_OUT_PATH = "/sign-out";

/** Builds the path of a sign-in that returns to `path`, which may have a query. */
export function buildSignInPath(path: string): string {
  return `${SIGN_IN_PATH}?to=${encodeURIComponent(path)}`;
}
