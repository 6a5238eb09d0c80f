// The resource server: the response and challenge of /mcp for each kind of access token, and the audit record of a refusal.
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createGrantStore } from "../../src/oauth/grants/grant-kv-store.ts";
import { ACCEPT, ORIGIN, flow, initialize, post, send } from "../support/worker.ts";
import { exchangeCode, register, requestToken, signIn } from "../support/oauth.ts";
import type { Flow } from "../support/oauth.ts";
import { providerOver } from "../support/provider.ts";

const ANALYST = "analyst@harbor.example";
const METADATA = `resource_metadata="${ORIGIN}/.well-known/oauth-protected-resource/mcp"`;

async function connect(provider: Flow = flow) {
  const client = await register(provider);
  return { client, tokens: await exchangeCode(provider, client, await signIn(provider, client, ANALYST)) };
}

/** Lists the audit records of an access token's subject about its connection. */
async function listConnectionRecords(
  accessToken: string,
): Promise<readonly { readonly asked: string; readonly result: string }[]> {
  const [subjectId = "", grantId = ""] = accessToken.split(":");
  const records = await env.LEDGER.get(env.LEDGER.idFromName(subjectId)).listRecords(0, 10_000);
  return records
    .map(({ body }) => JSON.parse(body))
    .map(({ attempt, outcome }) => ({ asked: String(attempt.asked), result: String(outcome.result) }))
    .filter(({ asked }) => asked.includes(`connection ${grantId}`));
}

const forge = (accessToken: string): string => `${accessToken.split(":").slice(0, 2).join(":")}:${"x".repeat(32)}`;

/** Kind of refused token → how to obtain it, and the audit records of its subject. */
const REFUSED: readonly (readonly [string, () => Promise<string>, readonly string[]])[] = [
  ["not in the form of this server", async () => "nonsense", []],
  ["in the right form but made up", async () => "a:b:c", []],
  ["made up, with the ids of a real connection", async () => forge((await connect()).tokens.accessToken), []],
  ["a refresh token", async () => (await connect()).tokens.refreshToken, []],
  [
    "expired",
    async () => {
      const { tokens } = await connect();
      vi.setSystemTime(Date.now() + 3601_000);
      return tokens.accessToken;
    },
    ["an access token that had expired"],
  ],
  [
    "revoked by itself",
    async () => {
      const { client, tokens } = await connect();
      await requestToken(flow, { token: tokens.accessToken, client_id: client.clientId });
      return tokens.accessToken;
    },
    ["an access token that was revoked"],
  ],
  [
    "revoked with its connection",
    async () => {
      const { client, tokens } = await connect();
      await requestToken(flow, { token: tokens.refreshToken, client_id: client.clientId });
      return tokens.accessToken;
    },
    ["the client revoked the connection", "an access token that was revoked"],
  ],
  [
    "for another resource",
    async () => (await connect(providerOver(createGrantStore(env.GRANT), "http://localhost:9978"))).tokens.accessToken,
    ["an access token for another resource"],
  ],
];

afterEach(() => vi.useRealTimers());

describe("a bearer token that is", () => {
  it.each(REFUSED)("%s gets 401 every time and one audit record if it was issued", async (_name, obtain, recorded) => {
    const accessToken = await obtain();
    for (let times = 0; times < 3; times += 1) {
      const response = await post(accessToken, initialize());
      expect(response.status).toBe(401);
      const challenge = response.headers.get("www-authenticate") ?? "";
      expect(challenge).toMatch(/^Bearer /);
      expect(challenge).toContain('error="invalid_token"');
      expect(challenge).toContain(METADATA);
      expect(response.headers.get("cache-control")).toBe("no-store");
      expect(await response.text()).not.toContain(accessToken);
    }
    const records = await listConnectionRecords(accessToken);
    expect(records.map(({ asked }) => asked.replace(/ \(connection .*/, ""))).toEqual(recorded);
    expect(JSON.stringify(records)).not.toContain(accessToken);
  });

  it("expired and purged from storage is still recorded as expired, once", async () => {
    const { tokens } = await connect();
    const [subjectId = ""] = tokens.accessToken.split(":");
    vi.setSystemTime(Date.now() + 3601_000);
    await runDurableObjectAlarm(env.GRANT.get(env.GRANT.idFromName(`user ${subjectId}`)));
    await post(tokens.accessToken, initialize());
    await post(tokens.accessToken, initialize());
    expect(await listConnectionRecords(tokens.accessToken)).toEqual([
      { asked: expect.stringContaining("an access token that had expired"), result: "denied" },
    ]);
  });
});

describe("a request without an access token", () => {
  it.each([
    ["no header", {}],
    ["another scheme", { authorization: "Basic eDp5" }],
    ["two access tokens", { authorization: "Bearer a:b:c, Bearer d:e:f" }],
    ["an access token in the query only", {}, "?access_token=a:b:c"],
  ])("gets 401 with the metadata URL and without an error code: %s", async (_name, headers, query = "") => {
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

describe("a valid access token", () => {
  it("is accepted without an audit record", async () => {
    const { tokens } = await connect();
    expect((await post(tokens.accessToken, initialize())).status).toBe(200);
    expect(await listConnectionRecords(tokens.accessToken)).toEqual([]);
  });
});
