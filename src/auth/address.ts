// Where a request came from, as far as it can be believed: what Cloudflare's edge says. No other header is looked at, since
// a client writes those itself.

/** Cloudflare sets it on every request and replaces what a client sent under this name. */
const EDGE_HEADER = "CF-Connecting-IP";

/** Whoever has no address that can be read counts as one. */
export const UNKNOWN_NETWORK = "unknown";

/**
 * The network that a request is counted under: the address itself, or the /64 of an IPv6 address, which is what one customer
 * has at least. Undefined when no edge stood before this server, as on one's own machine.
 */
export function networkOf(headers: Headers): string | undefined {
  const address = headers.get(EDGE_HEADER);
  return address === null ? undefined : (parseNetwork(address.trim()) ?? UNKNOWN_NETWORK);
}

function parseNetwork(address: string): string | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) return address;
  // The URL parser checks an IPv6 address and writes it in one way (RFC 5952).
  const url = `http://[${address}]`;
  if (!/^[0-9a-f:.]+$/i.test(address) || !URL.canParse(url)) return undefined;
  const groups = expand(new URL(url).hostname.slice(1, -1));
  const mapped = groups.slice(0, 6).join(":") === "0:0:0:0:0:ffff";
  return mapped ? dotted(groups.slice(6)) : `${groups.slice(0, 4).join(":")}::/64`;
}

/** The eight groups of an address, without the gap. */
function expand(address: string): readonly string[] {
  const [head = "", tail] = address.split("::");
  const before = head.split(":").filter((group) => group !== "");
  const after = (tail ?? "").split(":").filter((group) => group !== "");
  return [...before, ...Array<string>(8 - before.length - after.length).fill("0"), ...after];
}

/** An IPv4 address that came written as IPv6 (RFC 4291 §2.5.5.2) is the same network as it is alone. */
function dotted(groups: readonly string[]): string {
  return groups
    .flatMap((group) => {
      const value = Number.parseInt(group, 16);
      return [value >> 8, value & 255];
    })
    .join(".");
}
