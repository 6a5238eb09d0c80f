// Determines the network of a request, for rate limits and for counts of refused requests, from the header that Cloudflare's edge sets.
// Ignores all other headers, because clients can forge them.

/** Cloudflare sets this header on every request and replaces a value that the client sent. */
const EDGE_HEADER = "CF-Connecting-IP";

/** The network under which all requests without a valid address count. */
export const UNKNOWN_NETWORK = "unknown";

/**
 * Returns the network under which a request counts: its IPv4 address, or the /64 of its IPv6 address, the smallest block that
 * providers assign to a customer. Undefined when the request did not pass Cloudflare's edge, as on a local machine.
 */
export function getClientNetwork(headers: Headers): string | undefined {
  const address = headers.get(EDGE_HEADER);
  return address === null ? undefined : (parseNetwork(address.trim()) ?? UNKNOWN_NETWORK);
}

/** The prefix of all requests that did not pass Cloudflare's edge. */
const LOCAL_PREFIX = "local";

/**
 * Returns the prefix under which a refused request is counted: the /24 of its IPv4 address or the /48 of its IPv6 address, which do not
 * identify a user; `unknown` without a valid address; `local` when the request did not pass Cloudflare's edge.
 */
export function getAddressPrefix(headers: Headers): string {
  const address = headers.get(EDGE_HEADER);
  if (address === null) return LOCAL_PREFIX;
  const network = parseNetwork(address.trim());
  if (network === undefined) return UNKNOWN_NETWORK;
  return network.includes(":")
    ? `${network.split(":").slice(0, 3).join(":")}::/48`
    : `${network.split(".").slice(0, 3).join(".")}.0/24`;
}

function parseNetwork(address: string): string | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) return address;
  // The URL parser validates an IPv6 address and normalises it (RFC 5952).
  const url = `http://[${address}]`;
  if (!/^[0-9a-f:.]+$/i.test(address) || !URL.canParse(url)) return undefined;
  const groups = expandIPv6(new URL(url).hostname.slice(1, -1));
  const mapped = groups.slice(0, 6).join(":") === "0:0:0:0:0:ffff";
  return mapped ? formatIPv4(groups.slice(6)) : `${groups.slice(0, 4).join(":")}::/64`;
}

/** Splits an address into its eight groups and fills in those that `::` omits. */
function expandIPv6(address: string): readonly string[] {
  const [head = "", tail] = address.split("::");
  const before = head.split(":").filter((group) => group !== "");
  const after = (tail ?? "").split(":").filter((group) => group !== "");
  return [...before, ...Array<string>(8 - before.length - after.length).fill("0"), ...after];
}

/** Formats an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) as IPv4, so that both spellings count as one network. */
function formatIPv4(groups: readonly string[]): string {
  return groups
    .flatMap((group) => {
      const value = Number.parseInt(group, 16);
      return [value >> 8, value & 255];
    })
    .join(".");
}
