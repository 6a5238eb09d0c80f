// Sign-in settings from variables: which values are accepted, and that errors name the variable without revealing secrets. Also the
// operator's warnings and the claims of OpenID Connect issuers.
import { describe, expect, it } from "vitest";
import { readOidcClaims } from "../../src/sign-in/oidc-claims.ts";
import { describeError } from "../../src/sign-in/provider-errors.ts";
import { listSignInWarnings } from "../../src/sign-in/sign-in-warnings.ts";
import { SIGN_IN_SECRETS, parseClientDocuments, parseSignIn } from "../../src/sign-in/sign-in-settings.ts";
import { LOOKALIKES } from "../support/lookalikes.ts";

const ORIGIN = "https://data.example.com";
const OIDC = {
  GATEHOUSE_SIGN_IN: "oidc",
  OIDC_ISSUER: "https://login.example.com/realms/one",
  OIDC_CLIENT_ID: "gatehouse",
  OIDC_CLIENT_SECRET: "the-secret-itself",
};
const GITHUB = {
  GATEHOUSE_SIGN_IN: "github",
  GITHUB_CLIENT_ID: "Iv1.abc",
  GITHUB_CLIENT_SECRET: "the-secret-itself",
  GITHUB_ORGANISATIONS: "Acme, acme-labs",
};
const ACCESS = {
  GATEHOUSE_SIGN_IN: "access",
  ACCESS_TEAM_URL: "https://example.cloudflareaccess.com",
  ACCESS_AUD: "0f".repeat(32),
};

describe("parseSignIn", () => {
  it("uses the method none when GATEHOUSE_SIGN_IN is not set or empty", () => {
    expect(parseSignIn({}, ORIGIN)).toEqual({ method: "none" });
    expect(parseSignIn({ GATEHOUSE_SIGN_IN: "" }, ORIGIN)).toEqual({ method: "none" });
  });

  it("accepts the required settings of each method alone, with safe defaults", () => {
    expect(parseSignIn(OIDC, ORIGIN)).toMatchObject({
      scopes: "openid email offline_access",
      groupsClaim: "groups",
      parameters: [],
      unverifiedEmails: "refuse",
    });
    expect(parseSignIn(GITHUB, ORIGIN)).toMatchObject({
      webUrl: new URL("https://github.com"),
      organisations: ["acme", "acme-labs"],
    });
    expect(parseSignIn(ACCESS, ORIGIN)).toMatchObject({ audience: ACCESS.ACCESS_AUD });
  });

  it("accepts GitHub organisations with their ids, and removes duplicates", () => {
    const organisations = "Acme#1001, acme-labs,acme#1001";
    expect(parseSignIn({ ...GITHUB, GITHUB_ORGANISATIONS: organisations }, ORIGIN)).toMatchObject({
      organisations: ["acme", "acme-labs"],
      organisationIds: new Map([["acme", 1001]]),
    });
  });

  it.each(["https://data.example.com", "http://10.0.0.5:8787", "https://localhost.example.com"])(
    "refuses the sample sign-in at %s, because it asks for no password",
    (origin) => {
      expect(parseSignIn({ GATEHOUSE_SIGN_IN: "sample" }, "http://localhost:8787")).toEqual({ method: "sample" });
      expect(() => parseSignIn({ GATEHOUSE_SIGN_IN: "sample" }, origin)).toThrow(
        'GATEHOUSE_SIGN_IN is "sample". It takes sample only where GATEHOUSE_URL is on localhost.',
      );
    },
  );

  it.each<readonly [object, string]>([
    [{ GATEHOUSE_SIGN_IN: "saml" }, 'GATEHOUSE_SIGN_IN is "saml". It takes none, sample, oidc, github or access.'],
    [{ ...OIDC, OIDC_ISSUER: undefined }, "OIDC_ISSUER is not set. It takes the issuer's URL"],
    [{ ...OIDC, OIDC_ISSUER: "login.example.com" }, 'OIDC_ISSUER is "login.example.com"'],
    [{ ...OIDC, OIDC_ISSUER: "http://login.example.com" }, "http only on localhost"],
    [{ ...OIDC, OIDC_ISSUER: "https://a:b@login.example.com" }, "OIDC_ISSUER is"],
    [{ ...OIDC, OIDC_ISSUER: "https://login.example.com?x=1" }, "without query and fragment"],
    [{ ...OIDC, OIDC_CLIENT_ID: "" }, "OIDC_CLIENT_ID is not set"],
    [{ ...OIDC, OIDC_CLIENT_SECRET: undefined }, "OIDC_CLIENT_SECRET is not set"],
    [
      { ...OIDC, OIDC_SCOPES: "email" },
      'OIDC_SCOPES is "email". It takes scopes separated by spaces, including openid.',
    ],
    [{ ...OIDC, OIDC_PARAMETERS: "prompt=consent&redirect_uri=https://evil.example" }, "OIDC_PARAMETERS is"],
    [{ ...OIDC, OIDC_PARAMETERS: "code_challenge=x" }, "except parameters that the protocol sets"],
    [{ ...OIDC, OIDC_UNVERIFIED_EMAILS: "yes" }, 'OIDC_UNVERIFIED_EMAILS is "yes". It takes refuse or accept.'],
    [{ ...GITHUB, GITHUB_ORGANISATIONS: undefined }, "GITHUB_ORGANISATIONS is not set"],
    [{ ...GITHUB, GITHUB_ORGANISATIONS: "acme,../user" }, "GITHUB_ORGANISATIONS is"],
    ...[
      "acme#",
      "acme#0",
      "acme#01",
      "acme#-1",
      "acme#1.5",
      "acme#1e3",
      "#1001",
      "acme#9007199254740993",
      "acme#1#2",
    ].map((organisations) => [{ ...GITHUB, GITHUB_ORGANISATIONS: organisations }, "GITHUB_ORGANISATIONS is"] as const),
    [{ ...GITHUB, GITHUB_ORGANISATIONS: "acme#1,acme#2" }, "with one id each"],
    [{ ...GITHUB, GITHUB_ORGANISATIONS: "acme#1,acme" }, "with one id each"],
    [{ ...GITHUB, GITHUB_ORGANISATIONS: "\u212Aate" }, "GITHUB_ORGANISATIONS is"],
    [{ ...GITHUB, GITHUB_CLIENT_SECRET: "" }, "GITHUB_CLIENT_SECRET is not set"],
    [{ ...GITHUB, GITHUB_URL: "https://github.example.com/x" }, "without a path"],
    [{ ...ACCESS, ACCESS_AUD: "short" }, 'ACCESS_AUD is "short". It takes the AUD tag of the application'],
    [{ ...ACCESS, ACCESS_TEAM_URL: "example" }, "ACCESS_TEAM_URL is"],
  ])("refuses %o, and names the variable, its value and the values it takes", (variables, message) => {
    expect(() => parseSignIn(variables, ORIGIN)).toThrow(message);
  });

  it.each(SIGN_IN_SECRETS)("does not reveal the value of %s in an error", (name) => {
    const method = name.startsWith("OIDC") ? OIDC : GITHUB;
    const attempt = (): unknown => parseSignIn({ ...method, [name]: { value: "the-secret-itself" } }, ORIGIN);
    expect(attempt).toThrow(name);
    expect(attempt).not.toThrow("the-secret-itself");
  });
});

describe("listSignInWarnings", () => {
  const warningsFor = (variables: object, ...groups: readonly string[]): readonly string[] =>
    listSignInWarnings(
      parseSignIn(variables, ORIGIN),
      groups.map((group) => ({ group })),
    );

  it("warns of a GitHub organisation that is named without its id", () => {
    expect(warningsFor({ ...GITHUB, GITHUB_ORGANISATIONS: "acme,acme-labs#1002" })).toEqual([
      expect.stringMatching(/^GITHUB_ORGANISATIONS: acme is named without its id.*Write acme#<id>/),
    ]);
    expect(warningsFor({ ...GITHUB, GITHUB_ORGANISATIONS: "acme#1001" })).toEqual([]);
  });

  it.each([
    ["Acme", "Write acme."],
    ["acme/Platform", "Write acme/platform."],
    ["Acme#1001/platform", "Write acme#1001/platform."],
    ["other", "not one of GITHUB_ORGANISATIONS"],
    ["other/platform", "not one of GITHUB_ORGANISATIONS"],
    ["acme#1002", "not one of GITHUB_ORGANISATIONS"],
    ["acme-labs#1002", "not one of GITHUB_ORGANISATIONS"],
    ["acme/", "is neither a GitHub organisation"],
    ["acme/a/b", "is neither a GitHub organisation"],
    ["acme/platform team", "is neither a GitHub organisation"],
    ["data@x.example", "is neither a GitHub organisation"],
  ])("warns of the group %s, which GitHub can never give", (group, advice) => {
    const variables = { ...GITHUB, GITHUB_ORGANISATIONS: "acme#1001,acme-labs#1003" };
    const [warning = "", ...otherWarnings] = warningsFor(variables, group);
    expect(warning).toContain(`groups[${JSON.stringify(group)}]`);
    expect(warning).toContain("can never match");
    expect(warning).toContain(advice);
    expect(otherWarnings).toEqual([]);
  });

  it("does not warn of groups that can match", () => {
    const groups = ["acme", "acme#1001", "acme/platform", "acme#1001/platform", "acme/data_team", "acme-labs"];
    expect(warningsFor({ ...GITHUB, GITHUB_ORGANISATIONS: "acme#1001,acme-labs#1003" }, ...groups)).toEqual([]);
  });

  it("does not warn of groups of OpenID Connect issuers and Access, which choose names freely", () => {
    for (const variables of [OIDC, ACCESS]) expect(warningsFor(variables, "Data Team", "Acme/Platform")).toEqual([]);
  });

  it("does not warn of lower-case groups under the methods sample and none", () => {
    for (const GATEHOUSE_SIGN_IN of ["sample", "none"]) {
      const settings = parseSignIn({ GATEHOUSE_SIGN_IN }, "http://localhost:8787");
      expect(listSignInWarnings(settings, [{ group: "acme" }])).toEqual([]);
    }
  });
});

describe("readOidcClaims", () => {
  const settings = { groupsClaim: "groups", unverifiedEmails: "refuse" } as const;
  const address = { email: "ann@example.com", email_verified: true };

  it("accepts an address only when email_verified comes from the same place", () => {
    const verifiedElsewhere = readOidcClaims({ email: "ann@example.com" }, { email_verified: true }, settings);
    expect(verifiedElsewhere.kind).toBe("unverified");
    expect(readOidcClaims({ email: "ann@example.com", email_verified: false }, address, settings).kind).toBe(
      "unverified",
    );
    expect(readOidcClaims({}, address, settings)).toMatchObject({ kind: "verified", email: "ann@example.com" });
  });

  it("refuses an address that the issuer calls unverified even when the operator accepts unverified addresses", () => {
    const accepting = { ...settings, unverifiedEmails: "accept" } as const;
    expect(readOidcClaims({ email: "ann@example.com" }, {}, accepting).kind).toBe("verified");
    expect(readOidcClaims({ email: "ann@example.com", email_verified: false }, {}, accepting).kind).toBe("unverified");
  });

  it("normalises the address", () => {
    expect(readOidcClaims({ ...address, email: "Zed@Red.Example" }, {}, settings)).toMatchObject({
      email: "zed@red.example",
    });
  });

  it.each(LOOKALIKES)("refuses a verified address that has %s instead of using another address", (_name, email) => {
    const isPresent = email !== undefined && email !== null && email !== "";
    expect(readOidcClaims({ email, email_verified: true }, isPresent ? address : {}, settings).kind).not.toBe(
      "verified",
    );
    expect(readOidcClaims({}, { email, email_verified: true }, settings).kind).not.toBe("verified");
  });

  it.each([1, "yes", "TRUE", null, [true], { verified: true }])(
    "refuses an address whose email_verified is %j even when the operator accepts unverified addresses",
    (verified) => {
      const claims = { email: "ann@example.com", email_verified: verified };
      for (const unverifiedEmails of ["accept", "refuse"] as const)
        expect(readOidcClaims(claims, {}, { ...settings, unverifiedEmails }).kind).not.toBe("verified");
    },
  );

  it.each([
    [
      ["a", "b", "a"],
      ["a", "b"],
    ],
    ["one", ["one"]],
    [[1, null, "a", { name: "b" }], ["a"]],
    [{ a: true }, []],
    [undefined, []],
  ])("parses the groups claim %j as %j", (groups, expected) => {
    expect(readOidcClaims({ ...address, groups }, {}, settings)).toMatchObject({ groups: expected });
  });

  it("reads groups from the claim that the operator configured", () => {
    const named = { ...settings, groupsClaim: "https://example.com/roles" };
    const claims = { ...address, groups: ["no"], "https://example.com/roles": ["yes"] };
    expect(readOidcClaims(claims, {}, named)).toMatchObject({ groups: ["yes"] });
  });

  it("returns no groups and isOverflow when the issuer left them out", () => {
    const claims = { ...address, _claim_names: { groups: "src1" } };
    expect(readOidcClaims(claims, {}, settings)).toMatchObject({ groups: [], isOverflow: true });
    expect(readOidcClaims(claims, { groups: ["a"] }, settings)).toMatchObject({ groups: ["a"], isOverflow: false });
  });
});

describe("describeError", () => {
  it("describes an error with its cause in one truncated line", () => {
    const cause = Object.assign(new Error(`first\nforged: line ${"x".repeat(1000)}`), { error: "invalid_grant" });
    const line = describeError(new Error("the token endpoint refused", { cause }));
    expect(line).toContain('"the token endpoint refused", because "first\\nforged');
    expect(line).toContain('error "invalid_grant"');
    expect(line).not.toContain("\n");
    expect(line.length).toBeLessThan(500);
  });
});

describe("parseClientDocuments", () => {
  it.each([
    [undefined, true],
    ["", true],
    ["on", true],
    ["off", false],
  ])("parses %j as %s", (value, isOn) => {
    expect(parseClientDocuments({ GATEHOUSE_CLIENT_METADATA_DOCUMENTS: value })).toBe(isOn);
  });

  it.each(["false", "OFF", "0", false])("refuses %j, and names the variable and the values it takes", (value) => {
    expect(() => parseClientDocuments({ GATEHOUSE_CLIENT_METADATA_DOCUMENTS: value })).toThrow(
      /GATEHOUSE_CLIENT_METADATA_DOCUMENTS is .+ It takes on or off\./,
    );
  });
});
