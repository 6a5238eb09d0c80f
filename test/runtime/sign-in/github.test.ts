// Sign-in with GitHub, against a fake GitHub that checks the requests it receives: only members of the allowed organisations with a
// verified address can sign in, and each refresh reads the account from GitHub again.
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { createBrowser } from "../../support/forms.ts";
import { register } from "../../support/oauth.ts";
import { APP, startGitHub } from "../../support/node/github.ts";
import type { GitHub, GitHubPerson } from "../../support/node/github.ts";
import { useIdentityWorker } from "../../support/node/identity-worker.ts";

let started: GitHub | undefined;

const variablesFor = (fakeGitHub: GitHub, organisations: string) => ({
  GATEHOUSE_SIGN_IN: "github",
  GITHUB_URL: fakeGitHub.url,
  GITHUB_CLIENT_ID: APP.id,
  GITHUB_CLIENT_SECRET: APP.secret,
  GITHUB_ORGANISATIONS: organisations,
});

const worker = useIdentityWorker(async (origin) => {
  started = await startGitHub(`${origin}/sign-in/callback`);
  return variablesFor(started, "Acme, acme-labs");
});

function github(): GitHub {
  if (started === undefined) throw new Error("GitHub runs during tests only");
  return started;
}

const ANN: GitHubPerson = {
  id: 4711,
  emails: [
    { email: "old@example.com", primary: false, verified: true },
    { email: "ann@example.com", primary: true, verified: true },
  ],
  organisations: { acme: "active", "acme-labs": "pending", other: "active" },
  teams: ["Acme/Platform", "acme/oncall", "other/admins", "acme-labs/secret"],
};

beforeEach(() => {
  Object.assign(github(), { person: ANN, tokensExpire: false, takenOver: new Map(), refreshes: 0 });
});

afterEach(() => {
  expect(github().faults).toEqual([]);
  github().instead.clear();
});

afterAll(() => github().close());

describe("sign-in with GitHub", () => {
  it("reads the verified primary address, and groups from the allowed organisations and their teams", async () => {
    const { tokens } = await worker().connect();
    expect(await worker().identityOf(tokens)).toEqual({
      subjectId: expect.stringMatching(/^[0-9a-f]{40}$/),
      email: "ann@example.com",
      groups: ["acme", "acme/platform", "acme/oncall"],
    });
  });

  it("signs in to the pages as the same subject when the account's address has changed", async () => {
    const { tokens } = await worker().connect();
    const emails = [{ email: "ann.new@example.com", primary: true, verified: true }];
    github().person = { ...ANN, emails };
    expect(await worker().signInToPages(createBrowser(fetch))).toMatchObject({
      subjectId: (await worker().identityOf(tokens))?.["subjectId"],
      email: "ann.new@example.com",
    });
  });

  it("normalises the address", async () => {
    github().person = { ...ANN, emails: [{ email: "Zed@Red.Example", primary: true, verified: true }] };
    expect(await worker().identityOf((await worker().connect()).tokens)).toMatchObject({ email: "zed@red.example" });
  });

  it("reads all pages of the team list", async () => {
    const teams = Array.from({ length: 230 }, (_value, index) => `acme/team-${index}`);
    github().person = { ...ANN, teams };
    expect(await worker().identityOf((await worker().connect()).tokens)).toMatchObject({ groups: ["acme", ...teams] });
  });

  it.each([
    [
      "is a member of none of the organisations",
      { organisations: { other: "active" } },
      "did not sign you in",
      "none of the",
    ],
    ["has only been invited", { organisations: { acme: "pending" } }, "did not sign you in", "none of the"],
    [
      "has no verified primary address",
      {
        emails: [
          { email: "ann@example.com", primary: true, verified: false },
          { email: "old@example.com", primary: false, verified: true },
        ],
      },
      "verified email address",
      "no verified primary address",
    ],
    [
      "has an address with the Kelvin sign (Unicode folds it to k)",
      { emails: [{ email: "\u212Aate@red.example", primary: true, verified: true }] },
      "this server does not accept",
      "user 4711: the email address is not acceptable: …@red.example (with U+212A)",
    ],
  ] as const)("refuses a user who %s", async (_case, change, shown, logged) => {
    github().person = { ...ANN, ...change };
    const { response, html } = await worker().signIn(await register(worker().flow));
    expect(response.status).toBe(403);
    expect(html).toContain(shown);
    expect(html).not.toContain("acme");
    expect(await worker().log()).toContain(logged);
  });

  it.each([
    ["code", "forged"],
    ["state", "A".repeat(43)],
  ])("refuses a callback with a forged %s", async (name, value) => {
    const page = await worker().signIn(await register(worker().flow), (url) => {
      if (url.pathname === "/sign-in/callback") url.searchParams.set(name, value);
      return url;
    });
    expect([400, 403]).toContain(page.response.status);
    expect(page.response.headers.get("location")).toBeNull();
  });

  it("refuses a code that was issued to another browser, by its PKCE verifier", async () => {
    const codes: string[] = [];
    await worker().signIn(await register(worker().flow), (url) => {
      codes.push(url.searchParams.get("code") ?? "");
      return url.pathname === "/sign-in/callback" ? new URL("/log", url) : url;
    });
    const page = await worker().signIn(await register(worker().flow), (url) => {
      if (url.pathname === "/sign-in/callback") url.searchParams.set("code", codes.at(-1) ?? "");
      return url;
    });
    expect(page.response.status).toBe(403);
    expect(await worker().log()).toContain("bad_verification_code");
  });

  it("shows neither the client secret nor an access token in the log or on a page", async () => {
    github().instead.set("/api/v3/user", new Response("no", { status: 500 }));
    const { html } = await worker().signIn(await register(worker().flow));
    const text = `${html}${await worker().log()}`;
    expect(text).toContain("/user answered 500");
    expect(text).not.toContain(APP.secret);
    expect(text).not.toContain("gho_");
  });
});

describe.each([
  ["that expire", true],
  ["that do not expire", false],
])("refresh with GitHub access tokens %s", (_case, tokensExpire) => {
  beforeEach(() => {
    github().tokensExpire = tokensExpire;
  });

  it("drops a team that the user has left, and ends the connection when the user has left the organisation", async () => {
    const signedIn = await worker().connect();
    github().person = { ...ANN, teams: ["acme/oncall"] };
    const body: Record<string, unknown> = await (await worker().refresh(signedIn)).json();
    const tokens = { accessToken: String(body["access_token"]), refreshToken: String(body["refresh_token"]) };
    expect(await worker().identityOf(tokens)).toMatchObject({ groups: ["acme", "acme/oncall"] });
    expect(github().refreshes).toBe(tokensExpire ? 1 : 0);
    github().person = { ...ANN, organisations: {} };
    expect((await worker().refresh({ ...signedIn, tokens })).status).toBe(400);
    expect(await worker().identityOf(tokens)).toBeUndefined();
  });

  it("ends the connection when the user has revoked the app's access", async () => {
    const signedIn = await worker().connect();
    github().revokeTokens();
    const refused = await worker().refresh(signedIn);
    expect(await refused.json()).toMatchObject({ error: "invalid_grant" });
    expect(await worker().identityOf(signedIn.tokens)).toBeUndefined();
  });

  it.each([
    ["is down", 502],
    ["limits the request rate", 429],
    ["requires a new single sign-on for the organisation", 403],
  ])("leaves the connection when GitHub %s", async (_fault, status) => {
    const signedIn = await worker().connect();
    github().instead.set("/api/v3/user/memberships/orgs/acme", new Response("{}", { status }));
    const refused = await worker().refresh(signedIn);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: "temporarily_unavailable" });
    expect(await worker().identityOf(signedIn.tokens)).toBeDefined();
  });
});

describe("an organisation that is pinned by its id", () => {
  let startedPinned: GitHub | undefined;
  const pinned = useIdentityWorker(async (origin) => {
    startedPinned = await startGitHub(`${origin}/sign-in/callback`);
    return variablesFor(startedPinned, "Acme#1001, acme-labs");
  });
  const fakeGitHub = (): GitHub => {
    if (startedPinned === undefined) throw new Error("GitHub runs during tests only");
    return startedPinned;
  };

  beforeEach(() => {
    Object.assign(fakeGitHub(), { person: ANN, takenOver: new Map(), refreshes: 0 });
  });

  afterEach(() => {
    expect(fakeGitHub().faults).toEqual([]);
  });

  afterAll(() => fakeGitHub().close());

  it("gives each group both by name alone and with the id", async () => {
    expect(await pinned().identityOf((await pinned().connect()).tokens)).toMatchObject({
      groups: ["acme", "acme#1001", "acme/platform", "acme#1001/platform", "acme/oncall", "acme#1001/oncall"],
    });
  });

  it("refuses its members and logs both ids when another organisation has its name", async () => {
    fakeGitHub().takenOver = new Map([["acme", 666]]);
    const { response, html } = await pinned().signIn(await register(pinned().flow));
    expect(response.status).toBe(403);
    expect(html).toContain("did not sign you in");
    expect(html).not.toContain("666");
    expect(await pinned().log()).toContain("acme has the id 666, but GITHUB_ORGANISATIONS pins the id 1001");
  });

  it("gives no groups of another organisation that has its name when the user is also in an allowed one", async () => {
    fakeGitHub().person = { ...ANN, organisations: { acme: "active", "acme-labs": "active" } };
    fakeGitHub().takenOver = new Map([["acme", 666]]);
    expect(await pinned().identityOf((await pinned().connect()).tokens)).toMatchObject({
      groups: ["acme-labs", "acme-labs/secret"],
    });
  });

  it("ends connections at refresh when another organisation has taken over its name", async () => {
    const signedIn = await pinned().connect();
    fakeGitHub().takenOver = new Map([["acme", 666]]);
    expect(await (await pinned().refresh(signedIn)).json()).toMatchObject({ error: "invalid_grant" });
    expect(await pinned().identityOf(signedIn.tokens)).toBeUndefined();
  });
});
