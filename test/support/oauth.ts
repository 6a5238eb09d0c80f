// Runs the OAuth flow step by step without a client library, for tests of one step and tests that need only an access token.
import { createBrowser } from "./forms.ts";
import type { Browser, Page, Send } from "./forms.ts";

/** The server under test and how to send requests to it. */
export interface Flow {
  readonly origin: string;
  readonly send: Send;
}

/** A registered public client. */
export interface Registered {
  readonly clientId: string;
  readonly redirectUri: string;
}

export const REDIRECT_URI = "http://127.0.0.1:45454/callback";
/** A code verifier of 43 characters, the minimum of RFC 7636 §4.1. */
const VERIFIER = "test-verifier-test-verifier-test-verifier-0";

/** Registers a public client (RFC 7591). */
export async function register({ origin, send }: Flow, metadata: Record<string, unknown> = {}): Promise<Registered> {
  const body = JSON.stringify({
    client_name: "Test client",
    redirect_uris: [REDIRECT_URI],
    token_endpoint_auth_method: "none",
    ...metadata,
  });
  const response = await send(`${origin}/oauth/register`, {
    method: "POST",
    body,
    headers: { "content-type": "application/json" },
  });
  const { client_id: clientId } = await readJson(response);
  return { clientId: String(clientId), redirectUri: REDIRECT_URI };
}

/** Builds the authorization URL of a client. `extra` replaces parameters, or removes them with undefined. */
export async function authorizeUrl(
  { origin }: Flow,
  client: Registered,
  extra: Record<string, string | undefined> = {},
): Promise<string> {
  const challenge = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(VERIFIER)));
  const parameters: Record<string, string | undefined> = {
    response_type: "code",
    client_id: client.clientId,
    redirect_uri: client.redirectUri,
    scope: "read offline_access",
    state: "client-state",
    resource: `${origin}/mcp`,
    code_challenge: btoa(String.fromCharCode(...challenge))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", ""),
    code_challenge_method: "S256",
    ...extra,
  };
  const url = new URL(`${origin}/authorize`);
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value);
  return url.href;
}

/** Opens the consent page. */
export async function openConsent(
  flow: Flow,
  client: Registered,
  extra: Record<string, string | undefined> = {},
): Promise<{ browser: Browser; consent: Page }> {
  const browser = createBrowser(flow.send);
  return { browser, consent: await browser.open(await authorizeUrl(flow, client, extra)) };
}

/** Approves and signs in, and returns the URL that the browser is redirected to. */
export async function signIn(
  flow: Flow,
  client: Registered,
  account: string,
  extra: Record<string, string | undefined> = {},
): Promise<URL> {
  const { browser, consent } = await openConsent(flow, client, extra);
  const accounts = await browser.press(consent, "decision", "approve");
  const redirect = await browser.press(accounts, "account", account);
  const location = redirect.response.headers.get("location");
  if (location === null)
    throw new Error(`sign-in as ${account} ended with ${redirect.response.status}: ${redirect.html}`);
  return new URL(location);
}

/** The tokens that a client receives. */
export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** Sends a request to the token endpoint. */
export async function requestToken({ origin, send }: Flow, parameters: Record<string, string>): Promise<Response> {
  return send(`${origin}/oauth/token`, { method: "POST", body: new URLSearchParams(parameters), redirect: "manual" });
}

/** Exchanges the code in a callback URL for tokens. */
export async function exchangeCode(flow: Flow, client: Registered, callback: URL): Promise<Tokens> {
  const code = callback.searchParams.get("code") ?? "";
  const response = await requestToken(flow, {
    grant_type: "authorization_code",
    code,
    client_id: client.clientId,
    redirect_uri: client.redirectUri,
    code_verifier: VERIFIER,
  });
  const { access_token: accessToken, refresh_token: refreshToken } = await readJson(response);
  return { accessToken: String(accessToken), refreshToken: String(refreshToken) };
}

/** Registers a client, signs in with an account, and returns the tokens. */
export async function tokensFor(flow: Flow, account: string): Promise<Tokens> {
  const client = await register(flow);
  return exchangeCode(flow, client, await signIn(flow, client, account));
}

/** The status of `/mcp` for a client of the 2025 era with this access token. */
export async function statusAtMcp({ origin, send }: Flow, token: string): Promise<number> {
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const body = JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
  });
  return (await send(`${origin}/mcp`, { method: "POST", headers, body })).status;
}

/** Reads a JSON object. Throws with the body when the response failed or is not an object. */
export async function readJson(response: Response): Promise<Record<string, unknown>> {
  const text = await response.text();
  const value: unknown = JSON.parse(text);
  if (!response.ok || typeof value !== "object" || value === null) throw new Error(`${response.status}: ${text}`);
  return { ...value };
}
