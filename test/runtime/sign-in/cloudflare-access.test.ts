// Sign-in with Cloudflare Access, against a fake team domain: only JWTs of this team and application are accepted, and each refresh
// asks Access about the user again.
import { generateKeyPair } from "jose";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { createBrowser } from "../../support/forms.ts";
import type { Send } from "../../support/forms.ts";
import { register } from "../../support/oauth.ts";
import { AUDIENCE, startAccess } from "../../support/node/access.ts";
import type { Access } from "../../support/node/access.ts";
import { useIdentityWorker } from "../../support/node/identity-worker.ts";

let started: Access | undefined;

function access(): Access {
  if (started === undefined) throw new Error("Access runs during tests only");
  return started;
}

/** Sends a request as Access forwards it. Access protects the callback path only. */
const throughAccess: Send = async (url, init) => {
  const headers = new Headers(init.headers);
  if (new URL(url).pathname === "/sign-in/callback" && access().isBefore)
    headers.set("Cf-Access-Jwt-Assertion", await access().token());
  return fetch(url, { ...init, headers });
};

const worker = useIdentityWorker(async () => {
  started = await startAccess();
  return { GATEHOUSE_SIGN_IN: "access", ACCESS_TEAM_URL: started.url, ACCESS_AUD: AUDIENCE };
}, throughAccess);

const ANN = {
  sub: "7335d417-61da-459d-899c-0a01c76a2f94",
  email: "ann@example.com",
  groups: ["staff", { id: "g-1", name: "sales", email: "sales@example.com" }],
};

beforeEach(() => {
  Object.assign(access(), { person: ANN, alter: undefined, isBefore: true });
});

afterEach(() => {
  expect(access().faults).toEqual([]);
  access().instead.clear();
});

afterAll(() => access().close());

describe("sign-in with Cloudflare Access", () => {
  it("takes the address and groups from the get-identity endpoint", async () => {
    const { tokens } = await worker().connect();
    const identity = await worker().identityOf(tokens);
    expect(identity).toEqual({
      subjectId: expect.stringMatching(/^[0-9a-f]{40}$/),
      email: "ann@example.com",
      groups: ["staff", "sales"],
    });
    expect(await worker().signInToPages(createBrowser(throughAccess))).toEqual(identity);
  });

  it.each([
    ["of another application", (claims: object) => ({ ...claims, aud: ["b".repeat(64)] }), "aud"],
    ["of another team", (claims: object) => ({ ...claims, iss: "https://evil.cloudflareaccess.com" }), "iss"],
    ["that has expired", (claims: object) => ({ ...claims, exp: secondsFromNow(-40) }), "exp"],
    ["that is not valid yet", (claims: object) => ({ ...claims, nbf: secondsFromNow(40) }), "nbf"],
    ["without an expiry", (claims: object) => ({ ...claims, exp: undefined }), "exp"],
    ["of a service token", (claims: object) => ({ ...claims, sub: "", email: undefined, common_name: "bot" }), "email"],
    ["of the whole team instead of an application", (claims: object) => ({ ...claims, type: "org" }), "type"],
    ["with another user's address", (claims: object) => ({ ...claims, email: "eve@example.com" }), "another user"],
  ])("refuses a JWT %s", async (_case, claims, logged) => {
    access().alter = { claims };
    const { response, html } = await worker().signIn(await register(worker().flow));
    expect(response.status).toBe(403);
    expect(html).toContain("could not confirm who you are");
    expect(await worker().log()).toContain(logged);
  });

  it("normalises the address, and explains the refusal of an address that is not ASCII", async () => {
    access().person = { ...ANN, email: "Zed@Red.Example" };
    expect(await worker().identityOf((await worker().connect()).tokens)).toMatchObject({ email: "zed@red.example" });
    access().person = { ...ANN, email: "\u212Aate@red.example" };
    const { response, html } = await worker().signIn(await register(worker().flow));
    expect(response.status).toBe(403);
    expect(html).toContain("this server does not accept. An address is written in ASCII");
    expect(await worker().log()).toContain("the email address is not acceptable: …@red.example (with U+212A)");
  });

  it("refuses a JWT that another key signed, and a request without a JWT", async () => {
    const { privateKey } = await generateKeyPair("RS256");
    access().alter = { claims: (claims) => claims, key: privateKey };
    expect((await worker().signIn(await register(worker().flow))).response.status).toBe(403);
    expect(await worker().log()).toContain("signature");
    const { flow } = worker();
    access().isBefore = false;
    const page = await worker().signIn(await register(flow));
    expect(page.response.status).toBe(403);
    expect(await worker().log()).toContain("Cloudflare Access does not protect /sign-in/callback");
  });

  it("accepts a clock skew of 20 seconds, and rotated keys at once", async () => {
    access().alter = { claims: (claims) => ({ ...claims, iat: secondsFromNow(20), nbf: secondsFromNow(20) }) };
    await worker().connect();
    await access().rotateKeys();
    expect(await worker().identityOf((await worker().connect()).tokens)).toBeDefined();
  });
});

describe("refresh with Cloudflare Access", () => {
  it("reads changed groups when the key of the JWT was rotated", async () => {
    const signedIn = await worker().connect();
    access().person = { ...ANN, groups: [] };
    await access().rotateKeys();
    const body: Record<string, unknown> = await (await worker().refresh(signedIn)).json();
    const tokens = { accessToken: String(body["access_token"]), refreshToken: String(body["refresh_token"]) };
    expect(await worker().identityOf(tokens)).toMatchObject({ groups: [] });
  });

  it("ends the connection when the Access session was revoked", async () => {
    const signedIn = await worker().connect();
    access().revoke();
    expect(await (await worker().refresh(signedIn)).json()).toMatchObject({ error: "invalid_grant" });
    expect(await worker().identityOf(signedIn.tokens)).toBeUndefined();
  });

  it("ends the connection when the Access session has expired", async () => {
    access().alter = { claims: (claims) => ({ ...claims, exp: secondsFromNow(-20) }) };
    const signedIn = await worker().connect();
    expect(await (await worker().refresh(signedIn)).json()).toMatchObject({ error: "invalid_grant" });
    expect(await worker().log()).toContain("the Cloudflare Access session has expired");
  });

  it.each([500, 429, 302])("leaves the connection when Access answers with status %i", async (status) => {
    const signedIn = await worker().connect();
    const headers = { location: "https://elsewhere.example/" };
    access().instead.set("/cdn-cgi/access/get-identity", new Response("{}", { status, headers }));
    const refused = await worker().refresh(signedIn);
    expect(refused.status).toBe(503);
    expect(await worker().identityOf(signedIn.tokens)).toBeDefined();
  });
});

function secondsFromNow(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}
