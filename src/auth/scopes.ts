// The scopes of this product, and what they are in a person's words. There is none that nothing uses.

export const READ_SCOPE = "read";
/** Asks for a refresh token; a capability of the sign-in, not of the data. */
export const OFFLINE_SCOPE = "offline_access";

export const SCOPES: readonly string[] = [READ_SCOPE, OFFLINE_SCOPE];

/** The scopes to grant for a request: what was asked for and exists, and reading in any case. */
export function grantedScopes(requested: readonly string[]): readonly string[] {
  return SCOPES.filter((scope) => scope === READ_SCOPE || requested.includes(scope));
}

/** What a connection lets the client do, in words for the consent page. `days`: how long it lives unused. */
export function describeAccess(days: number): readonly string[] {
  return [
    "Read the data and documents that you may read, with the same masks and limits. Each request is recorded.",
    `Come back without asking you, until it has not been used for ${days} days.`,
  ];
}
