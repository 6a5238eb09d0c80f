// Which network a request counts under.
import { describe, expect, it } from "vitest";
import { networkOf } from "../../src/auth/address.ts";

const from = (address: string): string | undefined => networkOf(new Headers({ "CF-Connecting-IP": address }));

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
  ])("%s is %s", (address, network) => {
    expect(from(address)).toBe(network);
  });

  it("addresses of one /64 are one network, and those of the next are another", () => {
    expect(from("2001:db8:1:2::1")).toBe(from("2001:db8:1:2:aaaa:bbbb:cccc:dddd"));
    expect(from("2001:db8:1:2::1")).not.toBe(from("2001:db8:1:3::1"));
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
  ])("%j is nobody's, and so counts with all such", (address) => {
    expect(from(address)).toBe("unknown");
  });

  it.each(["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "X-Client-IP", "CF-Connecting-IPv6"])(
    "%s, which a client can write, is not looked at",
    (name) => {
      expect(networkOf(new Headers({ [name]: "203.0.113.5" }))).toBeUndefined();
      const both = new Headers({ [name]: "198.51.100.1", "CF-Connecting-IP": "203.0.113.5" });
      expect(networkOf(both)).toBe("203.0.113.5");
    },
  );
});
