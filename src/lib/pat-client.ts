// The client id of calls by a personal access token, which has no OAuth client.

const PREFIX = "access-token ";

/** Formats the client id of a personal access token. */
export function formatPatClientId(patId: string): string {
  return `${PREFIX}${patId}`;
}

/** Parses the id of the personal access token; undefined for another client. */
export function parsePatClientId(clientId: string): string | undefined {
  return clientId.startsWith(PREFIX) ? clientId.slice(PREFIX.length) : undefined;
}
