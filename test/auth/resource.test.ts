// The resource server: what each kind of token is answered at /mcp, with which challenge, and what the record says of it.
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createGrantStore } from "../../src/auth/grants/store.ts";
import { ACCEPT, ORIGIN, flow, initialize, post, send } from "../support/worker.ts";
import { exchangeCode, register, requestToken, signIn } from "../support/oauth.ts";
import type { Flow } from "../support/oauth.ts";
import { providerOver } from "../support/provider.ts";

const ANALYST = "analyst@harbor.example";
const METADATA = `resource_metadata="${ORIGIN}/.well-known/oauth-protected-resource/mcp"`;

async function signedIn(at: Flow = flow) {
  const client = await register(at);
  return { client, tokens: await exchangeCode(at, client, await signIn(at, client, ANALYST)) };
}

/** What the record of a token's subject says of its connection. */
async function notes(token: string): Promise<readonly { readonly asked: string; readonly result: string }[]> {
  const [subjectId = "", grantId = ""] = token.split(":");
  const records = await env.LEDGER.get(env.LEDGER.idFromName(subjectId)).records(0, 10_000);
  return records
    .map(({ body }) => JSON.parse(body))
    .map(({ attempt, outcome }) => ({ asked: String(attempt.asked), result: String(outcome.result) }))
    .filter(({ asked }) => asked.includes(`connection ${grantId}`));
}

const forged = (token: string): string => `${token.split(":").slice(0, 2).join(":")}:${"x".repeat(32)}`;

/** How the token came to be refused → what it is, and what its subject's record says. */
const REFUSED: readonly (readonly [string, () => Promise<string>, readonly string[]])[] = [
  ["nothing of ours", async () => "nonsense", []],
  ["of the right form, made up", async () => "a:b:c", []],
  ["made up, with the ids of a real connection", async () => forged((await signedIn()).tokens.accessToken), []],
  ["a refresh token", async () => (await signedIn()).tokens.refreshToken, []],
  [
    "expired",
    async () => {
      const { tokens } = await signedIn();
      vi.setSystemTime(Date.now() + 3601_000);
      return tokens.accessToken;
    },
    ["an access token that had expired"],
  ],
  [
    "revoked by itself",
    async () => {
      const { client, tokens } = await signedIn();
      await requestToken(flow, { token: tokens.accessToken, client_id: client.clientId });
      return tokens.accessToken;
    },
    ["an access token that was revoked"],
  ],
  [
    "revoked with its connection",
    async () => {
      const { client, tokens } = await signedIn();
      await requestToken(flow, { token: tokens.refreshToken, client_id: client.clientId });
      return tokens.accessToken;
    },
    ["its client gave the connection back", "an access token that was revoked"],
  ],
  [
    "for another resource",
    async () => (await signedIn(providerOver(createGrantStore(env.GRANT), "http://localhost:9978"))).tokens.accessToken,
    ["an access token for another resource"],
  ],
];

afterEach(() => vi.useRealTimers());

describe("a token that is", () => {
  it.each(REFUSED)("%s is 401, as often as it comes, and recorded once", async (_what, make, recorded) => {
    const token = await make();
    for (let times = 0; times < 3; times += 1) {
      const response = await post(token, initialize());
      expect(response.status).toBe(401);
      const challenge = response.headers.get("www-authenticate") ?? "";
      expect(challenge).toMatch(/^Bearer /);
      expect(challenge).toContain('error="invalid_token"');
      expect(challenge).toContain(METADATA);
      expect(response.headers.get("cache-control")).toBe("no-store");
      expect(await response.text()).not.toContain(token);
    }
    const found = await notes(token);
    expect(found.map(({ asked }) => asked.replace(/ \(connection .*/, ""))).toEqual(recorded);
    expect(JSON.stringify(found)).not.toContain(token);
  });

  it("expired and swept away is still known for what it was", async () => {
    const { tokens } = await signedIn();
    const [subjectId = ""] = tokens.accessToken.split(":");
    vi.setSystemTime(Date.now() + 3601_000);
    await runDurableObjectAlarm(env.GRANT.get(env.GRANT.idFromName(`user ${subjectId}`)));
    await post(tokens.accessToken, initialize());
    await post(tokens.accessToken, initialize());
    expect(await notes(tokens.accessToken)).toEqual([
      { asked: expect.stringContaining("an access token that had expired"), result: "denied" },
    ]);
  });
});

describe("no token", () => {
  it.each([
    ["no header", {}],
    ["another scheme", { authorization: "Basic eDp5" }],
    ["two tokens", { authorization: "Bearer a:b:c, Bearer d:e:f" }],
    ["a token in the query alone", {}, "?access_token=a:b:c"],
  ])("%s is 401 with the way to sign in, and no error to puzzle over", async (_what, headers, query = "") => {
    for (const method of ["POST", "GET", "DELETE"]) {
      const init = { method, headers: { accept: ACCEPT, "content-type": "application/json", ...headers } };
      const response = await send(
        `${ORIGIN}/mcp${query}`,
        method === "POST" ? { ...init, body: JSON.stringify(initialize()) } : init,
      );
      expect(response.status).toBe(401);
      const challenge = response.headers.get("www-authenticate") ?? "";
      expect(challenge).toContain(METADATA);
      expect(challenge).not.toContain("error=");
    }
  });
});

describe("a token that is good", () => {
  it("is let in, without a record of itself", async () => {
    const { tokens } = await signedIn();
    expect((await post(tokens.accessToken, initialize())).status).toBe(200);
    expect(await notes(tokens.accessToken)).toEqual([]);
  });
});
