// Decides which client ids are URLs of metadata documents, and from which addresses this server fetches. Does not fetch.

/** Longer ids cannot be client ids either, because they do not fit into a key of the OAuth provider's store. */
const MAX_CHARACTERS = 500;
/** Names reserved for local networks (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`). */
const PRIVATE_NAME = /(?:^|\.)(?:localhost|localdomain|local|internal|intranet|lan|home\.arpa)$/;

/** Whether a client id is the URL of a metadata document. Ids that this server assigns are not. */
export function isDocumentUrl(clientId: string): boolean {
  return /^https:/i.test(clientId);
}

/** Returns the host and port that publish a client; undefined for a client that registered itself. */
export function documentHost(clientId: string): string | undefined {
  return isDocumentUrl(clientId) ? new URL(clientId).host : undefined;
}

/**
 * Parses the URL of a metadata document or key set; undefined for one from which this server does not fetch. Only the
 * normalised spelling of a URL is accepted, so the consent page shows ASCII and the checked URL is the fetched one. IP addresses
 * in any spelling, names of local networks, user information and fragments are refused. So is this server's own host, which
 * would make it call itself.
 */
export function parseDocumentUrl(text: string, ownHost: string): URL | undefined {
  if (text.length > MAX_CHARACTERS || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isPlain = url.protocol === "https:" && url.username === "" && url.password === "" && !text.includes("#");
  if (!isPlain || url.href !== text || url.host === ownHost) return undefined;
  return isPublicName(url.hostname) ? url : undefined;
}

/** The URL parser has normalised every IPv4 address to four decimal numbers, and put IPv6 into brackets. */
function isPublicName(hostname: string): boolean {
  const isAddress = hostname.startsWith("[") || /^[0-9.]+$/.test(hostname);
  return !isAddress && hostname.includes(".") && !hostname.endsWith(".") && !PRIVATE_NAME.test(hostname);
}
