// How a person proves who they are. Every identity provider is one implementation of this interface; the authorization
// flow around it is the same for all: consent first, then sign-in.
import type { VerifiedClaims } from "./subject.ts";

export interface SignInStep {
  /** The browser's request that led here. */
  readonly request: Request;
  /** Names the pending authorization; must come back as the query parameter `state` of the finishing request. */
  readonly state: string;
}

/** What the browser gets next: our own page, or a redirect to the provider. */
export type SignInStart = { readonly page: PageContent } | { readonly refused: string };

/** A page's content, rendered into our layout by the flow, which knows the headers it needs. */
export interface PageContent {
  readonly title: string;
  readonly body: unknown;
}

export type SignInEnd = { readonly claims: VerifiedClaims } | { readonly refused: string };

export interface SignIn {
  begin(step: SignInStep): SignInStart;
  /** Reads the finishing request. `refused` is text for the person; the pending authorization then stays usable. */
  finish(request: Request): Promise<SignInEnd>;
}

/** The path of the finishing request. */
export const SIGN_IN_PATH = "/sign-in";
