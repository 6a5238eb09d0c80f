// Several isolates of one deployment: apps with caches of their own over the same objects, and connections that they share.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import { buildPost, buildPost2026 } from "./mcp-requests.ts";
import { countSteps, listCalls } from "./network-steps.ts";
import { exchangeCode, register, requestToken, signIn } from "./oauth.ts";
import type { Registered, Tokens } from "./oauth.ts";
import { ORIGIN, flow, initialize } from "./worker.ts";

const ANALYST = "analyst@harbor.example";

/** An isolate: an app with caches of its own. */
export function createIsolate() {
  const counter = countSteps(env);
  const { handler } = createGatehouse(sample);
  const send = async (request: Request): Promise<Response> => {
    const context = createExecutionContext();
    const response = await handler.fetch(request, counter.env, context);
    await waitOnExecutionContext(context);
    return response;
  };
  return {
    send,
    /** Sends a request and lists its calls to the bindings. */
    async count(request: Request): Promise<readonly string[]> {
      return listCalls(await counter.during(async () => (await send(request)).body?.cancel()));
    },
  };
}
/** An isolate of `createIsolate`. */
export type Isolate = ReturnType<typeof createIsolate>;

/** A sign-in of a new client of the analyst. */
export interface Connection {
  readonly client: Registered;
  readonly callback: URL;
  readonly tokens: Tokens;
  readonly subjectId: string;
  readonly grantId: string;
}

/** Signs the analyst in with a new client. */
export async function connect(): Promise<Connection> {
  const client = await register(flow);
  const callback = await signIn(flow, client, ANALYST);
  const tokens = await exchangeCode(flow, client, new URL(callback));
  const [subjectId = "", grantId = ""] = tokens.accessToken.split(":");
  return { client, callback, tokens, subjectId, grantId };
}

/** A call that begins in the ledger and needs nothing else. */
export const describeShop = ({ tokens }: Connection): Request =>
  buildPost2026(tokens.accessToken, "tools/call", { name: "describe", arguments: { dataset: "shop.customers" } });

/** The ledger of the connection's user. */
export const ledgerOf = ({ subjectId }: Connection) => env.LEDGER.get(env.LEDGER.idFromName(subjectId));
/** The grant object of the connection's user. */
export const grantsOf = ({ subjectId }: Connection) => env.GRANT.get(env.GRANT.idFromName(`user ${subjectId}`));
/** Uses the refresh token. */
export const refresh = async ({ client, tokens }: Connection): Promise<Response> =>
  requestToken(flow, { grant_type: "refresh_token", refresh_token: tokens.refreshToken, client_id: client.clientId });

/** Puts the access token into the cache of each isolate. */
export async function warm(connection: Connection, isolates: readonly Isolate[]): Promise<void> {
  for (const isolate of isolates) {
    await isolate.count(describeShop(connection));
    expect(await isolate.count(describeShop(connection))).toEqual(["LEDGER.begin", "LEDGER.commit"]);
  }
}

/** Expects a 401 that makes the client sign in again, without data. */
export async function expectChallenge(response: Response): Promise<void> {
  expect(response.status).toBe(401);
  const challenge = response.headers.get("www-authenticate") ?? "";
  expect(challenge).toMatch(/^Bearer .*error="invalid_token"/);
  expect(challenge).toContain(`resource_metadata="${ORIGIN}/.well-known/oauth-protected-resource/mcp"`);
  expect(response.headers.get("cache-control")).toBe("no-store");
  expect(await response.text()).not.toContain("customers");
}

/** Opens a session of the 2025 era in one isolate. */
export async function openSession(isolate: Isolate, { tokens }: Connection, revision = "2025-11-25"): Promise<string> {
  const response = await isolate.send(buildPost(tokens.accessToken, initialize(revision)));
  return response.headers.get("mcp-session-id") ?? "";
}

/** A call that begins in the ledger, as a message of the 2025 era. */
export const CALL = { jsonrpc: "2.0", id: 7, method: "tools/call", params: { name: "describe", arguments: {} } };
/** Builds a request in a session. */
export const inSession = ({ tokens }: Connection, session: string, body: object, revision = "2025-11-25"): Request =>
  buildPost(tokens.accessToken, body, { "mcp-session-id": session, "mcp-protocol-version": revision });
