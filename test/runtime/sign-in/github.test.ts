// Sign-in with GitHub, against a stand-in that checks what it receives: members of the organisations alone, verified addresses
// alone, and at each refresh what GitHub says then.
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { createBrowser } from "../../support/forms.ts";
import { register } from "../../support/oauth.ts";
import { APP, startGitHub } from "../../support/node/github.ts";
import type { GitHub, GitHubPerson } from "../../support/node/github.ts";
import { useIdentityWorker } from "../../support/node/identity-worker.ts";

let started: GitHub | undefined;

const variablesOf = (stand: GitHub, organisations: string) => ({
  GATEHOUSE_SIGN_IN: "github",
  GITHUB_URL: stand.url,
  GITHUB_CLIENT_ID: APP.id,
  GITHUB_CLIENT_SECRET: APP.secret,
  GITHUB_ORGANISATIONS: organisations,
});

const worker = useIdentityWorker(async (origin) => {
  started = await startGitHub(`${origin}/sign-in/callback`);
  return variablesOf(started, "Acme, acme-labs");
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
  it("gives the organisations that may sign in, and teams in them, as groups; the verified primary address", async () => {
    const { tokens } = await worker().connect();
    expect(await worker().identityOf(tokens)).toEqual({
      subjectId: expect.stringMatching(/^[0-9a-f]{40}$/),
      email: "ann@example.com",
      groups: ["acme", "acme/platform", "acme/oncall"],
    });
  });

  it("is to our own pages too, as the same subject, whatever the account's address is today", async () => {
    const { tokens } = await worker().connect();
    const emails = [{ email: "ann.new@example.com", primary: true, verified: true }];
    github().person = { ...ANN, emails };
    expect(await worker().signInToPages(createBrowser(fetch))).toMatchObject({
      subjectId: (await worker().identityOf(tokens))?.["subjectId"],
      email: "ann.new@example.com",
    });
  });

  it("gives the address in its one spelling", async () => {
    github().person = { ...ANN, emails: [{ email: "Zed@Red.Example", primary: true, verified: true }] };
    expect(await worker().identityOf((await worker().connect()).tokens)).toMatchObject({ email: "zed@red.example" });
  });

  it("reads all teams, page by page", async () => {
    const teams = Array.from({ length: 230 }, (_value, index) => `acme/team-${index}`);
    github().person = { ...ANN, teams };
    expect(await worker().identityOf((await worker().connect()).tokens)).toMatchObject({ groups: ["acme", ...teams] });
  });

  it.each([
    ["is in none of the organisations", { organisations: { other: "active" } }, "did not sign you in", "none of the"],
    ["has only been invited", { organisations: { acme: "pending" } }, "did not sign you in", "none of the"],
    [
      "has no primary address that is verified",
      {
        emails: [
          { email: "ann@example.com", primary: true, verified: false },
          { email: "old@example.com", primary: false, verified: true },
        ],
      },
      "verified email address",
      "no primary address",
    ],
    [
      "has an address with the Kelvin sign, which Unicode folds to k",
      { emails: [{ email: "\u212Aate@red.example", primary: true, verified: true }] },
      "this server cannot take",
      "of user 4711, the email address cannot be taken: …@red.example (with U+212A)",
    ],
  ] as const)("refuses who %s", async (_case, change, shown, logged) => {
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
  ])("refuses a callback with another %s", async (name, value) => {
    const page = await worker().signIn(await register(worker().flow), (url) => {
      if (url.pathname === "/sign-in/callback") url.searchParams.set(name, value);
      return url;
    });
    expect([400, 403]).toContain(page.response.status);
    expect(page.response.headers.get("location")).toBeNull();
  });

  it("a code that another browser got is refused by its PKCE verifier", async () => {
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

  it("keeps neither client secret nor token in the log or on a page", async () => {
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
  ["that do not", false],
])("a refresh, with tokens of GitHub %s", (_case, tokensExpire) => {
  beforeEach(() => {
    github().tokensExpire = tokensExpire;
  });

  it("sees a team that was left, and ends when the organisation was", async () => {
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

  it("ends when the person has taken the app's access back", async () => {
    const signedIn = await worker().connect();
    github().revokeTokens();
    const refused = await worker().refresh(signedIn);
    expect(await refused.json()).toMatchObject({ error: "invalid_grant" });
    expect(await worker().identityOf(signedIn.tokens)).toBeUndefined();
  });

  it.each([
    ["is down", 502],
    ["limits our rate", 429],
    ["wants a new single sign-on for the organisation first", 403],
  ])("ends nothing when GitHub %s", async (_fault, status) => {
    const signedIn = await worker().connect();
    github().instead.set("/api/v3/user/memberships/orgs/acme", new Response("{}", { status }));
    const refused = await worker().refresh(signedIn);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: "temporarily_unavailable" });
    expect(await worker().identityOf(signedIn.tokens)).toBeDefined();
  });
});

describe("an organisation that is pinned by its id", () => {
  let pinnedTo: GitHub | undefined;
  const pinned = useIdentityWorker(async (origin) => {
    pinnedTo = await startGitHub(`${origin}/sign-in/callback`);
    return variablesOf(pinnedTo, "Acme#1001, acme-labs");
  });
  const stand = (): GitHub => {
    if (pinnedTo === undefined) throw new Error("GitHub runs during tests only");
    return pinnedTo;
  };

  beforeEach(() => {
    Object.assign(stand(), { person: ANN, takenOver: new Map(), refreshes: 0 });
  });

  afterEach(() => {
    expect(stand().faults).toEqual([]);
  });

  afterAll(() => stand().close());

  it("gives its groups by name, and with its id", async () => {
    expect(await pinned().identityOf((await pinned().connect()).tokens)).toMatchObject({
      groups: ["acme", "acme#1001", "acme/platform", "acme#1001/platform", "acme/oncall", "acme#1001/oncall"],
    });
  });

  it("lets nobody in when another organisation has its name, and the log says so", async () => {
    stand().takenOver = new Map([["acme", 666]]);
    const { response, html } = await pinned().signIn(await register(pinned().flow));
    expect(response.status).toBe(403);
    expect(html).toContain("did not sign you in");
    expect(html).not.toContain("666");
    expect(await pinned().log()).toContain("acme is organisation 666, not 1001 as GITHUB_ORGANISATIONS says");
  });

  it("gives no groups of another organisation that has its name to a member of a second one", async () => {
    stand().person = { ...ANN, organisations: { acme: "active", "acme-labs": "active" } };
    stand().takenOver = new Map([["acme", 666]]);
    expect(await pinned().identityOf((await pinned().connect()).tokens)).toMatchObject({
      groups: ["acme-labs", "acme-labs/secret"],
    });
  });

  it("ends connections at their refresh when another organisation takes over its name", async () => {
    const signedIn = await pinned().connect();
    stand().takenOver = new Map([["acme", 666]]);
    expect(await (await pinned().refresh(signedIn)).json()).toMatchObject({ error: "invalid_grant" });
    expect(await pinned().identityOf(signedIn.tokens)).toBeUndefined();
  });
});
