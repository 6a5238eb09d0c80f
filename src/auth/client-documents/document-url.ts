// Which client ids are the address of a client metadata document, and which addresses this server does not ask.

/** Longer ids are no client of ours either: the store of the OAuth provider takes no such names. */
const MAX_CHARACTERS = 500;
/** Names that a resolver gives to machines of its own network (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`). */
const PRIVATE_NAME = /(?:^|\.)(?:localhost|localdomain|local|internal|intranet|lan|home\.arpa)$/;

/** Whether a client names itself by the address of its metadata document. Ids that this server gives out are none. */
export function isDocumentUrl(clientId: string): boolean {
  return /^https:/i.test(clientId);
}

/** Who publishes a client, host and port; undefined for a client that has registered itself. */
export function documentHost(clientId: string): string | undefined {
  return isDocumentUrl(clientId) ? new URL(clientId).host : undefined;
}

/**
 * The URL of a metadata document or of its keys, or undefined for one that this server does not ask. It takes one spelling of a URL alone, the normal form:
 * what the consent page shows is then ASCII, and what is checked is what is fetched. Refused are IP addresses in any spelling, names
 * of private networks, user-info, fragments, and this server itself, which would ask itself again.
 */
export function parseDocumentUrl(text: string, ownHost: string): URL | undefined {
  if (text.length > MAX_CHARACTERS || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isPlain = url.protocol === "https:" && url.username === "" && url.password === "" && !text.includes("#");
  if (!isPlain || url.href !== text || url.host === ownHost) return undefined;
  return isPublicName(url.hostname) ? url : undefined;
}

/** The parser has written every IPv4 address as four decimal numbers, and IPv6 in brackets. */
function isPublicName(hostname: string): boolean {
  const isAddress = hostname.startsWith("[") || /^[0-9.]+$/.test(hostname);
  return !isAddress && hostname.includes(".") && !hostname.endsWith(".") && !PRIVATE_NAME.test(hostname);
}
