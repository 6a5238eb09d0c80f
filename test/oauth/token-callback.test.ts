// Refresh tokens and codes at the token endpoint: presented concurrently, again, too late, by another client or after a restart.
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { everythingStored } from "../support/grants.ts";
import { exchangeCode, readJson, register, requestToken, signIn } from "../support/oauth.ts";
import type { Registered, Tokens } from "../support/oauth.ts";
import { flow, initialize, post } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";
const GRACE_MS = 60_000;

interface TokenResponse {
  readonly status: number;
  readonly body: string;
  readonly refreshToken: string;
  readonly accessToken: string;
}

async function refresh(
  refreshToken: string,
  client: Registered,
  extra: Record<string, string> = {},
): Promise<TokenResponse> {
  const response = await requestToken(flow, {
    grant_type: "refresh_token",
    refresh_token: refreshToken,
    client_id: client.clientId,
    ...extra,
  });
  const body = await response.text();
  const parsed: Record<string, unknown> = JSON.parse(body);
  return {
    status: response.status,
    body,
    refreshToken: String(parsed["refresh_token"]),
    accessToken: String(parsed["access_token"]),
  };
}

async function connect(metadata: Record<string, unknown> = {}): Promise<{ client: Registered; tokens: Tokens }> {
  const client = await register(flow, metadata);
  return { client, tokens: await exchangeCode(flow, client, await signIn(flow, client, ANALYST)) };
}

const splitToken = (token: string): readonly string[] => token.split(":");

/** Lists the audit records of a token's subject about its connection. */
async function listConnectionRecords(token: string): Promise<readonly string[]> {
  const [subjectId = "", grantId = ""] = splitToken(token);
  const records = await env.LEDGER.get(env.LEDGER.idFromName(subjectId)).listRecords(0, 1000);
  return records
    .map(({ body }): string => JSON.parse(body).attempt.asked)
    .filter((asked) => asked.includes(`connection ${grantId}`));
}

function advance(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

afterEach(() => vi.useRealTimers());

describe("a refresh token that is presented twice", () => {
  it("gets byte-identical replies with valid tokens when presented concurrently", async () => {
    const { client, tokens } = await connect();
    const responses = await Promise.all(Array.from({ length: 10 }, async () => refresh(tokens.refreshToken, client)));
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(responses.map(({ body }) => body)).size).toBe(1);
    const [first] = responses;
    expect((await post(first?.accessToken ?? "", initialize())).status).toBe(200);
    expect((await refresh(first?.refreshToken ?? "", client)).status).toBe(200);
  });

  it("gets the same reply after an eviction, and after newer refresh tokens were used", async () => {
    const { client, tokens } = await connect();
    const first = await refresh(tokens.refreshToken, client);
    const second = await refresh(first.refreshToken, client);
    const third = await refresh(second.refreshToken, client);
    const [subjectId = ""] = splitToken(tokens.refreshToken);
    await evictDurableObject(env.GRANT.get(env.GRANT.idFromName(`user ${subjectId}`)));
    advance(GRACE_MS - 5000);
    expect((await refresh(tokens.refreshToken, client)).body).toBe(first.body);
    expect((await refresh(first.refreshToken, client)).body).toBe(second.body);
    expect((await refresh(third.refreshToken, client)).status).toBe(200);
    expect(await listConnectionRecords(tokens.refreshToken)).toEqual([]);
  });

  it("ends the connection after the grace period, with one audit record", async () => {
    const { client, tokens } = await connect();
    const newer = await refresh(tokens.refreshToken, client);
    advance(GRACE_MS + 1000);
    const late = await refresh(tokens.refreshToken, client);
    expect({ status: late.status, error: JSON.parse(late.body).error }).toEqual({
      status: 400,
      error: "invalid_grant",
    });
    expect((await refresh(newer.refreshToken, client)).status).toBe(400);
    expect((await post(newer.accessToken, initialize())).status).toBe(401);
    for (let times = 0; times < 3; times += 1) expect((await refresh(tokens.refreshToken, client)).status).toBe(400);
    expect(await listConnectionRecords(tokens.refreshToken)).toEqual([
      expect.stringContaining("a refresh token was presented again after the grace period"),
      expect.stringContaining("an access token that was revoked"),
    ]);
  });

  it("ends the connection after the grace period even when five newer ones exist", async () => {
    const { client, tokens } = await connect();
    let newest = tokens.refreshToken;
    for (let times = 0; times < 5; times += 1) newest = (await refresh(newest, client)).refreshToken;
    advance(GRACE_MS + 1000);
    expect((await refresh(tokens.refreshToken, client)).status).toBe(400);
    expect((await refresh(newest, client)).status).toBe(400);
  });

  it("is refused to another client, without ending the connection", async () => {
    const { client, tokens } = await connect();
    const otherClient = await register(flow);
    const newer = await refresh(tokens.refreshToken, client);
    expect((await refresh(tokens.refreshToken, otherClient)).status).toBe(400);
    advance(GRACE_MS + 1000);
    expect((await refresh(tokens.refreshToken, otherClient)).status).toBe(400);
    expect((await refresh(newer.refreshToken, client)).status).toBe(200);
  });

  it("is refused when the client authenticates with a wrong secret or none", async () => {
    const response = await flow.send(`${flow.origin}/oauth/register`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        redirect_uris: ["http://127.0.0.1:45454/callback"],
        token_endpoint_auth_method: "client_secret_post",
      }),
    });
    const registered = await readJson(response);
    const client = { clientId: String(registered["client_id"]), redirectUri: "http://127.0.0.1:45454/callback" };
    const secret = { client_secret: String(registered["client_secret"]) };
    const callback = await signIn(flow, client, ANALYST);
    const exchanged = await requestToken(flow, {
      grant_type: "authorization_code",
      code: callback.searchParams.get("code") ?? "",
      client_id: client.clientId,
      redirect_uri: client.redirectUri,
      code_verifier: "test-verifier-test-verifier-test-verifier-0",
      ...secret,
    });
    const refreshToken = String((await readJson(exchanged))["refresh_token"]);
    const first = await refresh(refreshToken, client, secret);
    expect(first.status).toBe(200);
    const refused = await refresh(refreshToken, client, { client_secret: "x".repeat(32) });
    expect(refused.status).toBe(401);
    expect(refused.body).not.toContain(first.accessToken);
    expect((await refresh(refreshToken, client)).status).toBe(401);
    expect((await refresh(refreshToken, client, secret)).body).toBe(first.body);
  });

  it("has its reply stored encrypted only", async () => {
    const { client, tokens } = await connect();
    const { accessToken, refreshToken, body } = await refresh(tokens.refreshToken, client);
    const storedText = (await everythingStored()).join("\n");
    expect(storedText).toContain('"answer"');
    for (const secret of [accessToken, refreshToken, body, tokens.refreshToken, splitToken(refreshToken)[2] ?? ""])
      expect(storedText).not.toContain(secret);
  });

  it("ends the connection when the client revokes it, even if it is spent", async () => {
    const { client, tokens } = await connect();
    const newer = await refresh(tokens.refreshToken, client);
    const revoked = await requestToken(flow, { token: tokens.refreshToken, client_id: client.clientId });
    expect(revoked.status).toBe(200);
    expect((await refresh(newer.refreshToken, client)).status).toBe(400);
    expect((await refresh(tokens.refreshToken, client)).status).toBe(400);
    expect(await listConnectionRecords(tokens.refreshToken)).toEqual([
      expect.stringContaining("the client revoked the connection"),
    ]);
  });

  it("leaves no valid token when a refresh and a revocation run concurrently", async () => {
    const { client, tokens } = await connect();
    const [refreshed] = await Promise.all([
      refresh(tokens.refreshToken, client),
      requestToken(flow, { token: tokens.refreshToken, client_id: client.clientId }),
    ]);
    if (refreshed.status === 200) expect((await post(refreshed.accessToken, initialize())).status).toBe(401);
    expect((await refresh(tokens.refreshToken, client)).status).toBe(400);
  });
});

describe("a code that is presented three times at once", () => {
  it("creates one connection and ends it", async () => {
    const client = await register(flow);
    const callback = await signIn(flow, client, ANALYST);
    const exchange = async (): Promise<Response> =>
      requestToken(flow, {
        grant_type: "authorization_code",
        code: callback.searchParams.get("code") ?? "",
        client_id: client.clientId,
        redirect_uri: client.redirectUri,
        code_verifier: "test-verifier-test-verifier-test-verifier-0",
      });
    const responses = await Promise.all([exchange(), exchange(), exchange()]);
    expect(responses.map(({ status }) => status).toSorted((left, right) => left - right)).toEqual([200, 400, 400]);
    const successful = responses.find(({ ok }) => ok);
    const accessToken = String((await readJson(successful ?? new Response()))["access_token"]);
    expect((await post(accessToken, initialize())).status).toBe(401);
    expect(await listConnectionRecords(accessToken)).toContainEqual(
      expect.stringContaining("an authorization code was presented twice"),
    );
  });
});

describe("a temporary fault", () => {
  it("of the metadata document gives temporarily_unavailable and keeps the refresh token valid", async () => {
    const client = { clientId: "https://client.example/metadata.json", redirectUri: "http://127.0.0.1:45454/callback" };
    const tokens = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
    const unreachableClient = {
      clientId: "https://unreachable.example/metadata.json",
      redirectUri: client.redirectUri,
    };
    const response = await requestToken(flow, {
      grant_type: "refresh_token",
      refresh_token: tokens.refreshToken,
      client_id: unreachableClient.clientId,
    });
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("2");
    expect(await response.json()).toMatchObject({ error: "temporarily_unavailable" });
    expect((await refresh(tokens.refreshToken, client)).status).toBe(200);
  });
});

describe("an invalid token request", () => {
  it.each([
    [
      "has the refresh token twice",
      "grant_type=refresh_token&refresh_token=TOKEN&refresh_token=TOKEN&client_id=CLIENT",
      400,
    ],
    ["has neither grant type nor token", "client_id=CLIENT", 400],
    ["has a token in another form", "grant_type=refresh_token&refresh_token=a:b&client_id=CLIENT", 400],
    ["has a made-up refresh token of this user", "grant_type=refresh_token&refresh_token=FORGED&client_id=CLIENT", 400],
    ["is too large", `grant_type=refresh_token&x=${"x".repeat(70_000)}`, 413],
  ])("is refused without an audit record and keeps the refresh token valid when it %s", async (_name, form, status) => {
    const { client, tokens } = await connect();
    const forged = `${splitToken(tokens.refreshToken).slice(0, 2).join(":")}:${"x".repeat(32)}`;
    const body = form
      .replaceAll("TOKEN", tokens.refreshToken)
      .replaceAll("FORGED", forged)
      .replaceAll("CLIENT", client.clientId);
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const response = await flow.send(`${flow.origin}/oauth/token`, { method: "POST", headers, body });
    expect(response.status).toBe(status);
    expect(await listConnectionRecords(tokens.refreshToken)).toEqual([]);
    expect((await refresh(tokens.refreshToken, client)).status).toBe(200);
  });
});
