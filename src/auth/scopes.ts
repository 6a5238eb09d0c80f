// The scopes of this product, and what they are in a person's words. There is none that nothing uses.

export const READ_SCOPE = "read";
/** Asks for a refresh token; a capability of the sign-in, not of the data. */
export const OFFLINE_SCOPE = "offline_access";

export const SCOPES: readonly string[] = [READ_SCOPE, OFFLINE_SCOPE];

const WORDS: Readonly<Record<string, string>> = {
  [READ_SCOPE]:
    "Read the data and documents that you may read, with the same masks and limits, and keep a record of each request.",
  [OFFLINE_SCOPE]: "Stay connected until you end it, so that you need not sign in again each hour.",
};

/** The scopes to grant for a request: what was asked for and exists, and reading in any case. */
export function grantedScopes(requested: readonly string[]): readonly string[] {
  return SCOPES.filter((scope) => scope === READ_SCOPE || requested.includes(scope));
}

/** What each granted scope lets the client do, for the consent page. */
export function describeScopes(scopes: readonly string[]): readonly string[] {
  return scopes.flatMap((scope) => WORDS[scope] ?? []);
}
