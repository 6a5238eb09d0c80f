// Log lines of refused sign-ins: they hold enough to find the cause, but no full email address and nothing that forges or hides a line.
import { describe, expect, it } from "vitest";
import { describeAddressFault, describeError } from "../../src/sign-in/provider-errors.ts";
import { LOOKALIKES } from "../support/lookalikes.ts";

describe("describeAddressFault", () => {
  it.each([
    ["\u212Aate@red.example", "…@red.example (with U+212A)"],
    ["kate@red.example ", "k…@red.example (with U+0020)"],
    ["kate@red.example\nsign-in: forged", "k…@red.example (with U+000A, U+0020)"],
    ["Kate Miller <kate@red.example>", "K…@red.example (with U+0020)"],
    ["\u202ekate@red.example", "…@red.example (with U+202E)"],
    ["kate.miller", "k…"],
    ["", "…"],
    ["@red.example", "…@red.example"],
  ])("shortens %j", (email, shown) => {
    expect(describeAddressFault(email)).toBe(`the email address is not acceptable: ${shown}`);
  });

  it.each(LOOKALIKES)("does not reveal an address that has %s", (_name, email) => {
    const text = describeAddressFault(email);
    expect(text).not.toMatch(/ate@|miller|[^\u0020-\u007e…]/);
  });
});

describe("describeError", () => {
  it.each([
    ["User 'kate.miller@red.example' is not assigned", "kate.miller"],
    ["login_hint=kate.miller%40red.example&x=1", "kate.miller"],
    ["<kate.miller@red.example>", "kate.miller"],
    ["zoë.müller@red.example has no access", "müller"],
    [`${"x".repeat(290)} kate.miller@red.example`, "kate.mi"],
  ])("shortens the address in %j", (description, secret) => {
    const error = Object.assign(new Error(description), { error: "access_denied", error_description: description });
    expect(describeError(error)).not.toContain(secret);
    expect(describeError(error)).toContain('error "access_denied"');
  });

  it("escapes characters that rewrite a terminal line or reverse its direction", () => {
    const text = describeError({ error: "a\u001b[2Kb\u009bc\u202ed\u200be\nf", status: 400 });
    expect(text).toBe(String.raw`"", error "a\u001b[2KbU+009BcU+202EdU+200Be\nf", status 400`);
  });
});
