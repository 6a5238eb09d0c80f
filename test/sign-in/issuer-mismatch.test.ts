// An OpenID Connect issuer whose discovery document names another issuer than the settings: a configuration error that only the
// operator can fix.
import { afterEach, describe, expect, it, vi } from "vitest";
import { createOidcSignIn } from "../../src/sign-in/oidc.ts";
import { parseSignIn } from "../../src/sign-in/sign-in-settings.ts";
import type { RenewalResult, SignIn } from "../../src/sign-in/sign-in.ts";
import { ORIGIN } from "../support/worker.ts";

const ISSUER = "https://login.example.com";

/** Creates the sign-in of a deployment whose discovery document names `issuer`, and collects its log. */
function signInAt(issuer: string): { readonly signIn: SignIn; readonly log: readonly string[] } {
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
    expect(input).toBe(`${ISSUER}/.well-known/openid-configuration`);
    return Response.json({
      issuer,
      authorization_endpoint: `${ISSUER}/auth`,
      token_endpoint: `${ISSUER}/token`,
      jwks_uri: `${ISSUER}/jwks`,
    });
  });
  const variables = {
    GATEHOUSE_SIGN_IN: "oidc",
    OIDC_ISSUER: ISSUER,
    OIDC_CLIENT_ID: "gatehouse",
    OIDC_CLIENT_SECRET: "a secret of the test",
  };
  const settings = parseSignIn(variables, ORIGIN);
  if (settings.method !== "oidc") throw new Error("not an OpenID Connect sign-in");
  const log: string[] = [];
  const dependencies = { settings, origin: ORIGIN, now: Date.now, log: (message: string) => void log.push(message) };
  return { signIn: createOidcSignIn(dependencies), log };
}

const reasonOf = (renewed: RenewalResult): string => ("reason" in renewed ? renewed.reason : "none");

const refusedBy = async (signIn: SignIn): Promise<string> => {
  const step = await (await signIn.start()).next("state");
  return "refused" in step ? step.refused : "not refused";
};

afterEach(() => vi.restoreAllMocks());

describe.each([
  "https://login.other.example",
  `${ISSUER}/tenant`,
  "http://login.example.com",
  "https://login.example.com:8443",
])("an issuer that names itself %s", (issuer) => {
  it("makes a sign-in refer the user to the operator, and the log names both values", async () => {
    const { signIn, log } = signInAt(issuer);
    const refused = await refusedBy(signIn);
    expect(refused).toContain("not set up correctly");
    expect(refused).not.toContain(issuer);
    expect(log.join("\n")).toContain("configuration fault");
    expect(log.join("\n")).toContain(`"${ISSUER}/"`);
    expect(log.join("\n")).toContain(`"${issuer}"`);
  });

  it("leaves the connection at a refresh, and the reason names both values", async () => {
    const { signIn } = signInAt(issuer);
    const renewed = await signIn.renew({ issuer: ISSUER, subject: "ann-1", refreshToken: "r" });
    expect(renewed.kind).toBe("unavailable");
    expect(reasonOf(renewed)).toContain("configuration fault");
    expect(reasonOf(renewed)).toContain(`"${ISSUER}/"`);
    expect(reasonOf(renewed)).toContain(`"${issuer}"`);
  });
});

describe("an issuer that matches its settings", () => {
  it("signs in", async () => {
    const { signIn, log } = signInAt(ISSUER);
    expect(await refusedBy(signIn)).toBe("not refused");
    expect(log).toEqual([]);
  });

  it("ends a connection of the issuer that the settings named before, and the reason names both issuers", async () => {
    const { signIn } = signInAt(ISSUER);
    const before = "https://login.before.example";
    const renewed = await signIn.renew({ issuer: before, subject: "ann-1", refreshToken: "r" });
    expect(renewed.kind).toBe("ended");
    expect(reasonOf(renewed)).toContain(`"${before}"`);
    expect(reasonOf(renewed)).toContain(`"${ISSUER}"`);
  });
});
