// Email addresses: which are accepted, how they are normalised, and which are refused.
import { describe, expect, it } from "vitest";
import { parseEmailAddress } from "../../src/lib/email-address.ts";
import { parseIdentity } from "../../src/lib/identity.ts";
import { LOOKALIKES } from "../support/lookalikes.ts";

describe("parseEmailAddress", () => {
  it.each([
    ["kate@red.example", "kate@red.example"],
    ["Zed@Red.Example", "zed@red.example"],
    ["ANN.LEE+news@MAIL.example", "ann.lee+news@mail.example"],
    ["o'hara@x.example", "o'hara@x.example"],
    ["A!#$%&*/=?^_`{|}~-@x.example", "a!#$%&*/=?^_`{|}~-@x.example"],
    ["root@localhost", "root@localhost"],
    ["ann@xn--mnchen-3ya.example", "ann@xn--mnchen-3ya.example"],
  ])("normalises %s to %s", (text, address) => {
    expect(parseEmailAddress(text)).toBe(address);
  });

  it.each(LOOKALIKES)("rejects an address with %s", (_name, value) => {
    expect(parseEmailAddress(value)).toBeUndefined();
  });

  it("rejects long texts that would make a backtracking pattern slow within a second", () => {
    const startMs = performance.now();
    for (const text of [`${"a.".repeat(50_000)}@`, `a@${"a-".repeat(50_000)}`, "@".repeat(100_000)])
      expect(parseEmailAddress(text)).toBeUndefined();
    expect(performance.now() - startMs).toBeLessThan(1000);
  });
});

describe("parseIdentity", () => {
  const stored = { subjectId: "s", groups: [] };

  it("normalises an address that was stored in another spelling", () => {
    expect(parseIdentity({ ...stored, email: "Zed@Red.example" }).email).toBe("zed@red.example");
  });

  it.each(LOOKALIKES)("rejects a stored identity whose address has %s", (_name, email) => {
    expect(() => parseIdentity({ ...stored, email })).toThrow("not an identity");
  });
});
