// The OAuth scopes of this product, and the sentences that explain them on the consent page. Every scope is in use.

/** Allows a client to read data and documents; granted to every client. */
export const READ_SCOPE = "read";
/** Requests a refresh token; it concerns the connection, not the data. */
const OFFLINE_SCOPE = "offline_access";

/** Lists the scopes that clients can request. */
export const SCOPES: readonly string[] = [READ_SCOPE, OFFLINE_SCOPE];

/** Selects the scopes to grant: those that were requested and exist, and always `read`. */
export function selectGrantedScopes(requested: readonly string[]): readonly string[] {
  return SCOPES.filter((scope) => scope === READ_SCOPE || requested.includes(scope));
}

/** Describes for the consent page what a connection lets the client do. An unused connection lives for `idleDays`. */
export function describeAccess(idleDays: number): readonly string[] {
  return [
    "Read the data and documents that you may read, with the same masks and limits. Each request is recorded.",
    `Stay connected without asking you again, until it has been unused for ${idleDays} days.`,
  ];
}
