// The one spelling of an email address: what is taken, what it becomes, and what is refused.
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
  ])("takes %s as %s", (text, address) => {
    expect(parseEmailAddress(text)).toBe(address);
  });

  it.each(LOOKALIKES)("refuses %s", (_name, value) => {
    expect(parseEmailAddress(value)).toBeUndefined();
  });

  it("answers at once for a long text made to be slow", () => {
    const began = performance.now();
    for (const text of [`${"a.".repeat(50_000)}@`, `a@${"a-".repeat(50_000)}`, "@".repeat(100_000)])
      expect(parseEmailAddress(text)).toBeUndefined();
    expect(performance.now() - began).toBeLessThan(1000);
  });
});

describe("parseIdentity", () => {
  const stored = { subjectId: "s", groups: [] };

  it("gives the one spelling of an address that was stored in another", () => {
    expect(parseIdentity({ ...stored, email: "Zed@Red.example" }).email).toBe("zed@red.example");
  });

  it.each(LOOKALIKES)("refuses a stored identity whose address has %s", (_name, email) => {
    expect(() => parseIdentity({ ...stored, email })).toThrow("not an identity");
  });
});
