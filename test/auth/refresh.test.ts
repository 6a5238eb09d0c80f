// Refresh tokens and codes at the token endpoint: presented at once, again in time, too late, by others, and across restarts.
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { everythingStored } from "../support/grants.ts";
import { exchangeCode, readJson, register, requestToken, signIn } from "../support/oauth.ts";
import type { Registered, Tokens } from "../support/oauth.ts";
import { flow, initialize, post } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";
const GRACE_MS = 60_000;

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly refreshToken: string;
  readonly accessToken: string;
}

async function refresh(refreshToken: string, client: Registered, extra: Record<string, string> = {}): Promise<Answer> {
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

async function signedIn(metadata: Record<string, unknown> = {}): Promise<{ client: Registered; tokens: Tokens }> {
  const client = await register(flow, metadata);
  return { client, tokens: await exchangeCode(flow, client, await signIn(flow, client, ANALYST)) };
}

const partsOf = (token: string): readonly string[] => token.split(":");

/** What the subject's record says of connections. */
async function notes(token: string): Promise<readonly string[]> {
  const [subjectId = "", grantId = ""] = partsOf(token);
  const records = await env.LEDGER.get(env.LEDGER.idFromName(subjectId)).records(0, 1000);
  return records
    .map(({ body }): string => JSON.parse(body).attempt.asked)
    .filter((asked) => asked.includes(`connection ${grantId}`));
}

function later(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

afterEach(() => vi.useRealTimers());

describe("a refresh token that is presented twice", () => {
  it("at once gets one answer, byte by byte, which goes on", async () => {
    const { client, tokens } = await signedIn();
    const answers = await Promise.all(Array.from({ length: 10 }, async () => refresh(tokens.refreshToken, client)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
    const [first] = answers;
    expect((await post(first?.accessToken ?? "", initialize())).status).toBe(200);
    expect((await refresh(first?.refreshToken ?? "", client)).status).toBe(200);
  });

  it("gets it again after the object was evicted, and after newer ones were used", async () => {
    const { client, tokens } = await signedIn();
    const first = await refresh(tokens.refreshToken, client);
    const second = await refresh(first.refreshToken, client);
    const third = await refresh(second.refreshToken, client);
    const [subjectId = ""] = partsOf(tokens.refreshToken);
    await evictDurableObject(env.GRANT.get(env.GRANT.idFromName(`user ${subjectId}`)));
    later(GRACE_MS - 5000);
    expect((await refresh(tokens.refreshToken, client)).body).toBe(first.body);
    expect((await refresh(first.refreshToken, client)).body).toBe(second.body);
    expect((await refresh(third.refreshToken, client)).status).toBe(200);
    expect(await notes(tokens.refreshToken)).toEqual([]);
  });

  it("after its time ends the connection, once on the record, whoever holds the newer one", async () => {
    const { client, tokens } = await signedIn();
    const newer = await refresh(tokens.refreshToken, client);
    later(GRACE_MS + 1000);
    const late = await refresh(tokens.refreshToken, client);
    expect({ status: late.status, error: JSON.parse(late.body).error }).toEqual({
      status: 400,
      error: "invalid_grant",
    });
    expect((await refresh(newer.refreshToken, client)).status).toBe(400);
    expect((await post(newer.accessToken, initialize())).status).toBe(401);
    for (let times = 0; times < 3; times += 1) expect((await refresh(tokens.refreshToken, client)).status).toBe(400);
    expect(await notes(tokens.refreshToken)).toEqual([
      expect.stringContaining("a refresh token was presented again after its time"),
      expect.stringContaining("an access token that was revoked"),
    ]);
  });

  it("is known as spent however many came after it", async () => {
    const { client, tokens } = await signedIn();
    let newest = tokens.refreshToken;
    for (let times = 0; times < 5; times += 1) newest = (await refresh(newest, client)).refreshToken;
    later(GRACE_MS + 1000);
    expect((await refresh(tokens.refreshToken, client)).status).toBe(400);
    expect((await refresh(newest, client)).status).toBe(400);
  });

  it("by another client gets nothing, and ends nothing", async () => {
    const { client, tokens } = await signedIn();
    const other = await register(flow);
    const newer = await refresh(tokens.refreshToken, client);
    expect((await refresh(tokens.refreshToken, other)).status).toBe(400);
    later(GRACE_MS + 1000);
    expect((await refresh(tokens.refreshToken, other)).status).toBe(400);
    expect((await refresh(newer.refreshToken, client)).status).toBe(200);
  });

  it("by a client that cannot prove who it is gets nothing", async () => {
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
    const wrong = await refresh(refreshToken, client, { client_secret: "x".repeat(32) });
    expect(wrong.status).toBe(401);
    expect(wrong.body).not.toContain(first.accessToken);
    expect((await refresh(refreshToken, client)).status).toBe(401);
    expect((await refresh(refreshToken, client, secret)).body).toBe(first.body);
  });

  it("its answer is in the store for that long only, and nobody can read it there", async () => {
    const { client, tokens } = await signedIn();
    const { accessToken, refreshToken, body } = await refresh(tokens.refreshToken, client);
    const all = (await everythingStored()).join("\n");
    expect(all).toContain('"answer"');
    for (const secret of [accessToken, refreshToken, body, tokens.refreshToken, partsOf(refreshToken)[2] ?? ""])
      expect(all).not.toContain(secret);
  });

  it("given back to be revoked ends the connection too, also when it was spent", async () => {
    const { client, tokens } = await signedIn();
    const newer = await refresh(tokens.refreshToken, client);
    const revoked = await requestToken(flow, { token: tokens.refreshToken, client_id: client.clientId });
    expect(revoked.status).toBe(200);
    expect((await refresh(newer.refreshToken, client)).status).toBe(400);
    expect((await refresh(tokens.refreshToken, client)).status).toBe(400);
    expect(await notes(tokens.refreshToken)).toEqual([expect.stringContaining("its client gave the connection back")]);
  });

  it("a refresh and a revocation at once: whatever comes first, no token is good afterwards", async () => {
    const { client, tokens } = await signedIn();
    const [answer] = await Promise.all([
      refresh(tokens.refreshToken, client),
      requestToken(flow, { token: tokens.refreshToken, client_id: client.clientId }),
    ]);
    if (answer.status === 200) expect((await post(answer.accessToken, initialize())).status).toBe(401);
    expect((await refresh(tokens.refreshToken, client)).status).toBe(400);
  });
});

describe("a code that is presented twice at once", () => {
  it("makes one connection at most, and ends it", async () => {
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
    expect(responses.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([200, 400, 400]);
    const won = responses.find(({ ok }) => ok);
    const access = String((await readJson(won ?? new Response()))["access_token"]);
    expect((await post(access, initialize())).status).toBe(401);
    expect(await notes(access)).toContainEqual(expect.stringContaining("a code was presented twice"));
  });
});

describe("a passing fault", () => {
  it("of the client's own document is temporarily_unavailable, and the token stays good", async () => {
    const client = { clientId: "https://client.example/metadata.json", redirectUri: "http://127.0.0.1:45454/callback" };
    const tokens = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
    const away = { clientId: "https://unreachable.example/metadata.json", redirectUri: client.redirectUri };
    const response = await requestToken(flow, {
      grant_type: "refresh_token",
      refresh_token: tokens.refreshToken,
      client_id: away.clientId,
    });
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("2");
    expect(await response.json()).toMatchObject({ error: "temporarily_unavailable" });
    expect((await refresh(tokens.refreshToken, client)).status).toBe(200);
  });
});

describe("a request that is not right", () => {
  it.each([
    ["a refresh token twice", "grant_type=refresh_token&refresh_token=TOKEN&refresh_token=TOKEN&client_id=CLIENT", 400],
    ["no grant type and no token", "client_id=CLIENT", 400],
    ["a token of another form", "grant_type=refresh_token&refresh_token=a:b&client_id=CLIENT", 400],
    ["a made-up token of this person", "grant_type=refresh_token&refresh_token=FORGED&client_id=CLIENT", 400],
    ["too large a form", `grant_type=refresh_token&x=${"x".repeat(70_000)}`, 413],
  ])("%s", async (_what, form, status) => {
    const { client, tokens } = await signedIn();
    const forged = `${partsOf(tokens.refreshToken).slice(0, 2).join(":")}:${"x".repeat(32)}`;
    const body = form
      .replaceAll("TOKEN", tokens.refreshToken)
      .replaceAll("FORGED", forged)
      .replaceAll("CLIENT", client.clientId);
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const response = await flow.send(`${flow.origin}/oauth/token`, { method: "POST", headers, body });
    expect(response.status).toBe(status);
    expect(await notes(tokens.refreshToken)).toEqual([]);
    expect((await refresh(tokens.refreshToken, client)).status).toBe(200);
  });
});
