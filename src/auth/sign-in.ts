// How a person proves who they are. Every identity provider is one implementation of this interface; the authorization
// flow around it is the same for all: consent first, then sign-in.
import type { VerifiedClaims } from "./subject.ts";

export interface SignInStep {
  /** Names the pending authorization; must come back as the query parameter `state` of the finishing request. */
  readonly state: string;
}

/** What the browser gets next: our own page, or later a redirect to the provider. */
export interface PageContent {
  readonly title: string;
  readonly body: unknown;
}

export type SignInEnd = { readonly claims: VerifiedClaims } | { readonly refused: string };

export interface SignIn {
  /** Why nobody can sign in from here, as text for the person; undefined when they can. Asked before consent. */
  refusal(request: Request): string | undefined;
  begin(step: SignInStep): PageContent;
  /** Reads the finishing request. `refused` is text for the person; the pending authorization then stays usable. */
  finish(request: Request): Promise<SignInEnd>;
}

/** The path of the finishing request. */
export const SIGN_IN_PATH = "/sign-in";
