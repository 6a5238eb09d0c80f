// Which sign-in `npm start` serves and `npm run deploy` takes: the sample here unless something else is chosen, never there.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { configuredSignIn, localSignIn, requireServable, requireSignIn } from "../../scripts/sign-in.ts";

const LOCAL = "http://localhost:8787";
const OIDC = { OIDC_ISSUER: "https://login.example.com", OIDC_CLIENT_ID: "gatehouse", OIDC_CLIENT_SECRET: "secret" };

let dir = "";
const configPath = (): string => path.join(dir, "wrangler.jsonc");

function write(name: string, lines: Record<string, string>): void {
  writeFileSync(
    path.join(dir, name),
    Object.entries(lines)
      .map(([key, value]) => `${key}="${value}"`)
      .join("\n"),
  );
}

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "gatehouse-sign-in-"));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true, force: true });
});

describe("npm start", () => {
  it("serves the sample sign-in, and what .dev.vars chooses, and before that what the environment does", () => {
    expect(localSignIn(configPath(), LOCAL)).toEqual({ GATEHOUSE_SIGN_IN: "sample" });
    write(".dev.vars", { GATEHOUSE_SIGN_IN: "oidc", ...OIDC, ANOTHER_SECRET: "x" });
    expect(localSignIn(configPath(), LOCAL)).toEqual({ GATEHOUSE_SIGN_IN: "oidc", ...OIDC });
    vi.stubEnv("GATEHOUSE_SIGN_IN", "none");
    expect(localSignIn(configPath(), LOCAL)["GATEHOUSE_SIGN_IN"]).toBe("none");
  });

  it("stops at once when a variable is missing, naming it", () => {
    write(".dev.vars", { GATEHOUSE_SIGN_IN: "oidc" });
    expect(() => localSignIn(configPath(), LOCAL)).toThrow("OIDC_ISSUER is not set. It takes the issuer's URL");
  });
});

describe("npm run policy -- check", () => {
  const configure = (vars: object, env: object = {}): void =>
    writeFileSync(configPath(), JSON.stringify({ name: "x", compatibility_date: "2026-01-01", vars, env }));

  it("reads how people sign in from the configuration, and from one of its environments", () => {
    const github = { GATEHOUSE_SIGN_IN: "github", GITHUB_CLIENT_ID: "x", GITHUB_ORGANISATIONS: "Acme#1001" };
    configure({ GATEHOUSE_SIGN_IN: "none" }, { staging: { vars: github } });
    expect(configuredSignIn(configPath())).toEqual({ method: "none" });
    expect(configuredSignIn(configPath(), "staging")).toMatchObject({ method: "github", organisations: ["acme"] });
    configure({ GATEHOUSE_SIGN_IN: "sample" });
    expect(configuredSignIn(configPath())).toEqual({ method: "sample" });
  });

  it("says which variable is wrong", () => {
    configure({ GATEHOUSE_SIGN_IN: "github", GITHUB_CLIENT_ID: "x", GITHUB_ORGANISATIONS: "acme#x" });
    expect(() => configuredSignIn(configPath())).toThrow(
      'GITHUB_ORGANISATIONS is "acme#x". It takes the organisations',
    );
  });
});

describe("npm run deploy", () => {
  it("takes a method with its variables, and with the secrets that the deployment has", () => {
    const { OIDC_CLIENT_SECRET: _secret, ...vars } = OIDC;
    const variables = { GATEHOUSE_SIGN_IN: "oidc", ...vars };
    expect(() => requireServable(variables)).not.toThrow();
    expect(() => requireServable({ GATEHOUSE_SIGN_IN: "none" })).not.toThrow();
    expect(() => requireSignIn(variables, ["OIDC_CLIENT_SECRET"])).not.toThrow();
    expect(() => requireSignIn(variables, ["GITHUB_CLIENT_SECRET"])).toThrow("OIDC_CLIENT_SECRET is not set");
  });

  it.each([
    [{ GATEHOUSE_SIGN_IN: "sample" }, "It takes sample only where GATEHOUSE_URL is on localhost"],
    [{ GATEHOUSE_SIGN_IN: "github", GITHUB_CLIENT_ID: "x" }, "GITHUB_ORGANISATIONS is not set"],
  ])("refuses %o", (vars, message) => {
    expect(() => requireServable(vars)).toThrow(message);
    expect(() => requireSignIn(vars, ["GITHUB_CLIENT_SECRET"])).toThrow(message);
  });

  it.each([{}, { GATEHOUSE_SIGN_IN: "" }, { GATEHOUSE_SIGN_IN: "none" }])(
    "refuses %o, as nobody could sign in",
    (vars) => {
      expect(() => requireSignIn(vars, [])).toThrow("No sign-in method is chosen");
    },
  );
});
