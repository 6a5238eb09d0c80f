// Tests the Python clients against `npm start`: each signs in with its default settings, lists and calls tools, and refreshes its access
// token. Where the clients are not installed, only the replay of their exact requests runs.
import { describe, expect, inject, it } from "vitest";
import { runPython, whyNoPython } from "../support/node/python.ts";
import { walkThroughSignIn } from "../support/node/sign-in.ts";
import { readJson } from "../support/oauth.ts";

const origin = inject("origin");
const ACCOUNT = "analyst@harbor.example";
const TOOLS = ["search", "fetch", "describe", "query", "change", "undo"];
const SQL = "SELECT count(*) AS n FROM orders";
const SIGNED_IN = { method: "client_secret_basic", tools: TOOLS, rows: [[[12_000]], [[12_000]]], refreshed: true };

describe("the official Python SDK", () => {
  it("signs in, lists tools, calls one and refreshes its access token", { timeout: 120_000 }, async ({ skip }) => {
    const missing = whyNoPython("mcp", 2);
    skip(missing !== undefined, missing);
    const authorize = async (url: string): Promise<URL> => walkThroughSignIn(url, ACCOUNT);
    expect(await runPython("official_sdk.py", [`${origin}/mcp`, SQL], authorize)).toEqual(SIGNED_IN);
  });
});

describe("FastMCP's Python client", () => {
  it("signs in, lists tools, calls one and refreshes its access token", { timeout: 120_000 }, async ({ skip }) => {
    const missing = whyNoPython("fastmcp", 4);
    skip(missing !== undefined, missing);
    const authorize = async (url: string): Promise<URL> => {
      const callback = await walkThroughSignIn(url, ACCOUNT);
      // The browser follows the redirect to the server that the client runs for its callback.
      expect((await fetch(callback)).status).toBe(200);
      return callback;
    };
    expect(await runPython("fastmcp_client.py", [`${origin}/mcp`, SQL], authorize)).toEqual(SIGNED_IN);
  });
});

/** The registration request of each client; the rest of their sign-in is the same. */
const REGISTRATIONS: readonly (readonly [string, Record<string, unknown>])[] = [
  [
    "the official Python SDK",
    {
      response_types: ["code"],
      client_name: "Python SDK",
      redirect_uris: ["http://localhost:3030/callback"],
      grant_types: ["authorization_code", "refresh_token"],
      application_type: "native",
    },
  ],
  [
    "FastMCP's Python client",
    {
      response_types: ["code"],
      scope: "",
      client_name: "FastMCP Client",
      redirect_uris: ["http://localhost:52811/callback"],
      grant_types: ["authorization_code", "refresh_token"],
      application_type: "native",
    },
  ],
];

const VERIFIER = "test-verifier-test-verifier-test-verifier-0";
const FORM = "application/x-www-form-urlencoded";

describe.each(REGISTRATIONS)("the requests of %s", (_name, registration) => {
  it("work when replayed: register, sign in, list tools, call one and refresh", async () => {
    const client = await readJson(
      await fetch(`${origin}/oauth/register`, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "*/*" },
        body: JSON.stringify(registration),
      }),
    );
    expect(client["token_endpoint_auth_method"]).toBe("client_secret_basic");
    const [id, secret] = [String(client["client_id"]), String(client["client_secret"])];
    const basic = `Basic ${btoa(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`)}`;
    const requestTokens = async (fields: Record<string, string>): Promise<Record<string, unknown>> =>
      readJson(
        await fetch(`${origin}/oauth/token`, {
          method: "POST",
          headers: { "content-type": FORM, authorization: basic, accept: "*/*" },
          body: new URLSearchParams(fields).toString(),
        }),
      );

    const redirectUri = String(Array.isArray(client["redirect_uris"]) ? client["redirect_uris"][0] : "");
    const callback = await walkThroughSignIn(await authorizationUrl(id, redirectUri), ACCOUNT);
    const tokens = await requestTokens({
      grant_type: "authorization_code",
      code: callback.searchParams.get("code") ?? "",
      redirect_uri: redirectUri,
      client_id: id,
      code_verifier: VERIFIER,
      resource: `${origin}/mcp`,
    });
    await listAndCall(String(tokens["access_token"]));
    const refreshed = await requestTokens({
      grant_type: "refresh_token",
      refresh_token: String(tokens["refresh_token"]),
      client_id: id,
      resource: `${origin}/mcp`,
    });
    await listAndCall(String(refreshed["access_token"]));
  });
});

async function authorizationUrl(clientId: string, redirectUri: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(VERIFIER)));
  const challenge = Buffer.from(digest).toString("base64url");
  const parameters = {
    response_type: "code",
    client_id: clientId,
    redirect_uri: redirectUri,
    state: "a-state-of-the-client",
    code_challenge: challenge,
    code_challenge_method: "S256",
    resource: `${origin}/mcp`,
    scope: "read",
  };
  return `${origin}/authorize?${new URLSearchParams(parameters).toString()}`;
}

/** Opens a session of the 2025 era as both clients do, and lists and calls tools in it. */
async function listAndCall(accessToken: string): Promise<void> {
  let sessionId: string | undefined;
  const send = async (message: object): Promise<string> => {
    const response = await fetch(`${origin}/mcp`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${accessToken}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...(sessionId === undefined ? {} : { "mcp-session-id": sessionId, "mcp-protocol-version": "2025-11-25" }),
      },
      body: JSON.stringify({ jsonrpc: "2.0", ...message }),
    });
    expect(response.ok).toBe(true);
    sessionId = response.headers.get("mcp-session-id") ?? sessionId;
    return response.text();
  };
  const clientInfo = { name: "mcp", version: "0.1.0" };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
  await send({ id: 0, method: "initialize", params });
  await send({ method: "notifications/initialized" });
  const tools = await send({ id: 1, method: "tools/list" });
  for (const name of TOOLS) expect(tools).toContain(`"name":"${name}"`);
  const call = { name: "query", arguments: { source: "shop", sql: SQL } };
  expect(await send({ id: 2, method: "tools/call", params: call })).toContain("12000");
}
