// Tests which sign-in method commands accept: `npm start` defaults to the sample, and `npm run deploy` never accepts the sample.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { configuredSignIn, localSignIn, requireServable, requireSignIn } from "../../cli/local-server/sign-in.ts";

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
  it("takes the sign-in method from the environment, else from .dev.vars, else uses the sample", () => {
    expect(localSignIn(configPath(), LOCAL)).toEqual({ GATEHOUSE_SIGN_IN: "sample" });
    write(".dev.vars", { GATEHOUSE_SIGN_IN: "oidc", ...OIDC, ANOTHER_SECRET: "x" });
    expect(localSignIn(configPath(), LOCAL)).toEqual({ GATEHOUSE_SIGN_IN: "oidc", ...OIDC });
    vi.stubEnv("GATEHOUSE_SIGN_IN", "none");
    expect(localSignIn(configPath(), LOCAL)["GATEHOUSE_SIGN_IN"]).toBe("none");
  });

  it("names a missing variable and stops", () => {
    write(".dev.vars", { GATEHOUSE_SIGN_IN: "oidc" });
    expect(() => localSignIn(configPath(), LOCAL)).toThrow("OIDC_ISSUER is not set. It takes the issuer's URL");
  });
});

describe("npm run policy -- check", () => {
  const configure = (vars: object, env: object = {}): void =>
    writeFileSync(configPath(), JSON.stringify({ name: "x", compatibility_date: "2026-01-01", vars, env }));

  it("reads the sign-in method of the configuration and of an environment", () => {
    const github = { GATEHOUSE_SIGN_IN: "github", GITHUB_CLIENT_ID: "x", GITHUB_ORGANISATIONS: "Acme#1001" };
    configure({ GATEHOUSE_SIGN_IN: "none" }, { staging: { vars: github } });
    expect(configuredSignIn(configPath())).toEqual({ method: "none" });
    expect(configuredSignIn(configPath(), "staging")).toMatchObject({ method: "github", organisations: ["acme"] });
    configure({ GATEHOUSE_SIGN_IN: "sample" });
    expect(configuredSignIn(configPath())).toEqual({ method: "sample" });
  });

  it("names an invalid variable", () => {
    configure({ GATEHOUSE_SIGN_IN: "github", GITHUB_CLIENT_ID: "x", GITHUB_ORGANISATIONS: "acme#x" });
    expect(() => configuredSignIn(configPath())).toThrow(
      'GITHUB_ORGANISATIONS is "acme#x". It takes the organisations',
    );
  });
});

describe("npm run deploy", () => {
  it("accepts a method when its variables are set and the deployment has its secret", () => {
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
  ])("refuses the variables %o", (vars, message) => {
    expect(() => requireServable(vars)).toThrow(message);
    expect(() => requireSignIn(vars, ["GITHUB_CLIENT_SECRET"])).toThrow(message);
  });

  it.each([{}, { GATEHOUSE_SIGN_IN: "" }, { GATEHOUSE_SIGN_IN: "none" }])(
    "refuses the variables %o because users could not sign in",
    (vars) => {
      expect(() => requireSignIn(vars, [])).toThrow("No sign-in method is set");
    },
  );
});
