// The settings of notifications: each channel is optional, half of one is an error, and no error has a secret.
import { describe, expect, it } from "vitest";
import type { EmailBinding } from "../../../src/changes/notifications/email-channel.ts";
import { parseEmail, parseWebhook } from "../../../src/changes/notifications/notification-settings.ts";
import { WEBHOOK_KEY, WEBHOOK_URL } from "./channels.ts";

const GATEHOUSE_EMAIL: Pick<SendEmail, "send"> = { send: async () => ({ messageId: "1" }) };
const WEBHOOK = { GATEHOUSE_WEBHOOK_URL: WEBHOOK_URL, GATEHOUSE_WEBHOOK_KEY: WEBHOOK_KEY };
const EMAIL = {
  GATEHOUSE_EMAIL,
  GATEHOUSE_EMAIL_FROM: "Gatehouse@harbor.example",
  GATEHOUSE_EMAIL_TO: "ann@harbor.example, Bob@harbor.example",
};
const manyAddresses = (count: number): string =>
  Array.from({ length: count }, (_value, index) => `r${index}@harbor.example`).join(",");

/** Parses what the factory parses. */
const parseSettings = (environment: object) => ({ webhook: parseWebhook(environment), email: parseEmail(environment) });

describe("the settings of notifications", () => {
  it.each([
    {},
    { GATEHOUSE_WEBHOOK_URL: "", GATEHOUSE_WEBHOOK_KEY: "", GATEHOUSE_EMAIL_FROM: "", GATEHOUSE_EMAIL_TO: "" },
  ])("has no channel when nothing is set: %o", (environment) => {
    expect(parseSettings(environment)).toEqual({ webhook: undefined, email: undefined });
  });

  it("reads each channel by itself", () => {
    const webhook = { url: WEBHOOK_URL, key: WEBHOOK_KEY };
    // The platform's binding has the form that the channel uses.
    const binding: EmailBinding = GATEHOUSE_EMAIL;
    const email = { binding, from: "gatehouse@harbor.example", to: ["ann@harbor.example", "bob@harbor.example"] };
    expect(parseSettings(WEBHOOK)).toEqual({ webhook, email: undefined });
    expect(parseSettings(EMAIL)).toEqual({ webhook: undefined, email });
    expect(parseSettings({ ...WEBHOOK, ...EMAIL })).toEqual({ webhook, email });
  });

  it.each(["http://localhost:8790/", "http://127.0.0.1:8790/hook", "http://[::1]/"])("takes %s", (url) => {
    expect(parseSettings({ ...WEBHOOK, GATEHOUSE_WEBHOOK_URL: url }).webhook?.url).toBe(url);
  });

  it.each([
    ["no URL", { GATEHOUSE_WEBHOOK_URL: "" }, "GATEHOUSE_WEBHOOK_URL is not set. It takes an https URL"],
    ...[
      "hooks.example/secret-path",
      "http://hooks.example/secret-path",
      "ftp://hooks.example/secret-path",
      "https://user@hooks.example/secret-path",
      "https://:secret-path@hooks.example/",
      7,
    ].map(
      (url) =>
        [
          `the URL ${url}`,
          { GATEHOUSE_WEBHOOK_URL: url },
          "GATEHOUSE_WEBHOOK_URL is set to an invalid value. It takes an https URL without user name (http only on localhost).",
        ] as const,
    ),
    ["no key", { GATEHOUSE_WEBHOOK_KEY: undefined }, "GATEHOUSE_WEBHOOK_KEY is not set. It takes at least 32 random"],
    [
      "a key of 31 characters",
      { GATEHOUSE_WEBHOOK_KEY: "secret-path".padEnd(31, "x") },
      "GATEHOUSE_WEBHOOK_KEY is set to an invalid value. It takes at least 32 random characters",
    ],
    ["no binding", { GATEHOUSE_EMAIL: undefined }, "GATEHOUSE_EMAIL is not set. It takes a binding of send_email"],
    ["a text as binding", { GATEHOUSE_EMAIL: "yes" }, 'GATEHOUSE_EMAIL is "yes". It takes a binding of send_email'],
    ["another binding", { GATEHOUSE_EMAIL: {} }, "GATEHOUSE_EMAIL is set to an invalid value. It takes a binding"],
    ["no sender", { GATEHOUSE_EMAIL_FROM: "" }, "GATEHOUSE_EMAIL_FROM is not set. It takes an address."],
    [
      "a sender with a name",
      { GATEHOUSE_EMAIL_FROM: "Gatehouse <gatehouse@harbor.example>" },
      'GATEHOUSE_EMAIL_FROM is "Gatehouse <gatehouse@harbor.example>". It takes an address',
    ],
    [
      "a sender with a line break",
      { GATEHOUSE_EMAIL_FROM: "a@harbor.example\r\nBcc: b@evil.example" },
      String.raw`GATEHOUSE_EMAIL_FROM is "a@harbor.example\r\nBcc: b@evil.example". It takes`,
    ],
    ["no recipient", { GATEHOUSE_EMAIL_TO: "" }, "GATEHOUSE_EMAIL_TO is not set. It takes 1 to 50 addresses"],
    [
      "an invalid recipient beside a valid one",
      { GATEHOUSE_EMAIL_TO: "ann@harbor.example,bob" },
      'GATEHOUSE_EMAIL_TO is "ann@harbor.example,bob". It takes 1 to 50 addresses separated by commas',
    ],
    [
      "an empty recipient",
      { GATEHOUSE_EMAIL_TO: "ann@harbor.example," },
      'GATEHOUSE_EMAIL_TO is "ann@harbor.example,". It takes',
    ],
    ["51 recipients", { GATEHOUSE_EMAIL_TO: manyAddresses(51) }, "It takes 1 to 50 addresses separated by commas"],
  ] as const)("refuses %s, and names the setting without a secret", (_case, wrong, message) => {
    let thrown: unknown;
    try {
      parseSettings({ ...WEBHOOK, ...EMAIL, ...wrong });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(TypeError);
    expect(String(thrown)).toContain(message);
    expect(String(thrown)).not.toContain("secret-path");
    expect(String(thrown)).not.toContain(WEBHOOK_KEY);
  });

  it("takes 50 recipients", () => {
    const { email } = parseSettings({ ...EMAIL, GATEHOUSE_EMAIL_TO: manyAddresses(50) });
    expect(email?.to).toHaveLength(50);
  });
});
