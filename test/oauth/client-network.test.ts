// Under which network a request counts for the rate limits.
import { describe, expect, it } from "vitest";
import { getAddressPrefix, getClientNetwork } from "../../src/oauth/client-network.ts";

const networkOf = (address: string): string | undefined =>
  getClientNetwork(new Headers({ "CF-Connecting-IP": address }));

describe("the network of a request", () => {
  it.each([
    ["203.0.113.5", "203.0.113.5"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["2001:DB8:0001:0002:ffff::1", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["1::", "1:0:0:0::/64"],
    ["::ffff:203.0.113.5", "203.0.113.5"],
    ["::ffff:cb00:7105", "203.0.113.5"],
  ])("of the address %s is %s", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  it("is the same within a /64, and differs between two", () => {
    expect(networkOf("2001:db8:1:2::1")).toBe(networkOf("2001:db8:1:2:aaaa:bbbb:cccc:dddd"));
    expect(networkOf("2001:db8:1:2::1")).not.toBe(networkOf("2001:db8:1:3::1"));
  });

  it.each([
    "",
    "x",
    "203.0.113",
    "203.0.113.5, 198.51.100.1",
    "[::1]",
    "::1%eth0",
    "1:2:3:4:5:6:7:8:9",
    "a.b.c.d",
    "]/?#",
  ])("is unknown for the invalid address %j", (address) => {
    expect(networkOf(address)).toBe("unknown");
  });

  it.each(["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "X-Client-IP", "CF-Connecting-IPv6"])(
    "ignores %s, which a client can forge",
    (name) => {
      expect(getClientNetwork(new Headers({ [name]: "203.0.113.5" }))).toBeUndefined();
      const headers = new Headers({ [name]: "198.51.100.1", "CF-Connecting-IP": "203.0.113.5" });
      expect(getClientNetwork(headers)).toBe("203.0.113.5");
    },
  );
});

describe("the prefix under which a refused request is counted", () => {
  it.each([
    ["203.0.113.5", "203.0.113.0/24"],
    ["::ffff:203.0.113.5", "203.0.113.0/24"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"],
    ["2001:db8::1", "2001:db8:0::/48"],
    ["::1", "0:0:0::/48"],
    ["x", "unknown"],
    ["", "unknown"],
  ])("of the address %j is %s", (address, prefix) => {
    expect(getAddressPrefix(new Headers({ "CF-Connecting-IP": address }))).toBe(prefix);
  });

  it("is local without the header of the edge, whatever others a client sends", () => {
    expect(getAddressPrefix(new Headers({ "X-Forwarded-For": "203.0.113.5" }))).toBe("local");
  });
});
