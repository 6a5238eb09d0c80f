// Connections of the real Worker whose process gets SIGKILL: parallel refreshes sign no client out, no spent refresh token is
// accepted after the grace period, and sessions of a revoked connection end even if the process died before it ended them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildWorker } from "../../cli/project/tools.ts";
import { openStorage, originOf } from "../../cli/local-server/local.ts";
import { migrateLocal } from "../../cli/local-server/migrations.ts";
import { exchangeCode, register, requestToken, signIn } from "../support/oauth.ts";
import type { Flow, Registered } from "../support/oauth.ts";
import { freePort } from "../support/node/server.ts";
import { ROOT, runProcess } from "../support/node/worker.ts";
import type { WorkerProcess } from "../support/node/worker.ts";

const CONFIG = path.join(ROOT, "test/grants-worker/wrangler.jsonc");
const ACCOUNTS = ["analyst", "support", "reviewer", "owner"];
const GRANT_COUNT = 20;
const REFRESH_COUNT = 200;
const ROUNDS = 3;
/** The grace period in test/grants-worker/worker.ts. */
const GRACE_MS = 30_000;

const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-grants-"));
let flow: Flow;
let worker: WorkerProcess;
let start: (isHubAway?: boolean) => Promise<void>;

beforeAll(async () => {
  const bundle = path.join(dir, "bundle");
  await buildWorker(CONFIG, bundle);
  const storage = await openStorage(CONFIG, path.join(dir, "state"));
  await migrateLocal(storage, CONFIG);
  await storage.dispose();
  const [port, twinPort] = [await freePort(), await freePort()];
  const env = {
    CONFIG,
    BUNDLE: bundle,
    PORT: String(port),
    TWIN_PORT: String(twinPort),
    STATE: path.join(dir, "state"),
  };
  flow = { origin: originOf(port), send: fetch };
  start = async (isHubAway = false) => {
    const GATEHOUSE_TOKEN_KEY = "a key of tests, long enough to be one";
    const bindings = JSON.stringify({ GATEHOUSE_TOKEN_KEY, HUB_IS_AWAY: isHubAway ? "yes" : "no" });
    worker = await runProcess("test/support/node/serve.ts", { ...env, BINDINGS: bindings }, "serving", flow.origin);
  };
  await start();
}, 120_000);

afterAll(async () => {
  await worker.stop("SIGTERM");
  rmSync(dir, { recursive: true, force: true });
});

interface Connection {
  readonly client: Registered;
  /** All refresh tokens of the connection, the newest last. */
  readonly refreshTokens: string[];
  accessToken: string;
}

async function connect(account: string): Promise<Connection> {
  const client = await register(flow);
  const tokens = await exchangeCode(flow, client, await signIn(flow, client, `${account}@harbor.example`));
  return { client, refreshTokens: [tokens.refreshToken], accessToken: tokens.accessToken };
}

async function refresh({ client }: Connection, refreshToken: string): Promise<{ status: number; body: string }> {
  const response = await requestToken(flow, {
    grant_type: "refresh_token",
    refresh_token: refreshToken,
    client_id: client.clientId,
  });
  return { status: response.status, body: await response.text() };
}

const newestOf = ({ refreshTokens }: Connection): string => refreshTokens.at(-1) ?? "";

async function postToMcp(accessToken: string, body: object, session: Record<string, string> = {}): Promise<Response> {
  const headers = {
    authorization: `Bearer ${accessToken}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    ...session,
  };
  return fetch(`${flow.origin}/mcp`, { method: "POST", headers, body: JSON.stringify({ jsonrpc: "2.0", ...body }) });
}

const INITIALIZE = {
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "survivor", version: "1" } },
};

/**
 * Refreshes all connections at once and kills the server after `killAfter` requests have ended. Then every refresh is sent
 * again, as clients do; returns the responses of both rounds and the number of requests without a first response.
 */
async function refreshAllThroughKill(connections: readonly Connection[], killAfter: number) {
  let endedCount = 0;
  const enoughEnded = Promise.withResolvers<void>();
  const pending = Array.from({ length: REFRESH_COUNT }, async (_value, index) => {
    const connection = connections[index % connections.length];
    if (connection === undefined) throw new Error("there are no connections");
    const refreshToken = newestOf(connection);
    // The killed server cuts requests off.
    const response = await refresh(connection, refreshToken).catch(() => undefined);
    endedCount += 1;
    if (endedCount === killAfter) enoughEnded.resolve();
    return { connection, refreshToken, response };
  });
  await enoughEnded.promise;
  await worker.stop("SIGKILL");
  const firstRound = await Promise.all(pending);
  await start();
  const refreshes = await Promise.all(
    firstRound.map(async ({ connection, refreshToken, response }) => ({
      connection,
      isCut: response === undefined,
      responses: [...(response === undefined ? [] : [response]), await refresh(connection, refreshToken)],
    })),
  );
  return { cutCount: refreshes.filter(({ isCut }) => isCut).length, refreshes };
}

describe("200 parallel refreshes of 20 grants", () => {
  it("give each grant one reply and keep it signed in despite SIGKILL, and spent refresh tokens fail after the grace period", async () => {
    const connections: Connection[] = [];
    for (let index = 0; index < GRANT_COUNT; index += 1) connections.push(await connect(ACCOUNTS[index % 4] ?? ""));
    let cutCount = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const result = await refreshAllThroughKill(connections, 20 + 40 * round);
      cutCount += result.cutCount;
      for (const connection of connections) {
        const ownRefreshes = result.refreshes.filter((candidate) => candidate.connection === connection);
        const responses = ownRefreshes.flatMap((candidate) => candidate.responses);
        expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
        const bodies = new Set(responses.map(({ body }) => body));
        expect(bodies.size).toBe(1);
        const body: Record<string, unknown> = JSON.parse([...bodies][0] ?? "");
        connection.refreshTokens.push(String(body["refresh_token"]));
        connection.accessToken = String(body["access_token"]);
      }
    }
    // Otherwise the kills came too late to test anything.
    expect(cutCount).toBeGreaterThan(0);
    for (const connection of connections) {
      expect((await postToMcp(connection.accessToken, INITIALIZE)).status).toBe(200);
      expect(new Set(connection.refreshTokens).size).toBe(ROUNDS + 1);
    }
    // The clock of another process cannot be set, so the test waits for the grace period to end.
    await new Promise((resolve) => setTimeout(resolve, GRACE_MS + 1000));
    for (const connection of connections) {
      expect((await refresh(connection, newestOf(connection))).status).toBe(200);
      for (const spent of connection.refreshTokens.slice(0, -1))
        expect((await refresh(connection, spent)).status).toBe(400);
      expect((await postToMcp(connection.accessToken, INITIALIZE)).status).toBe(401);
    }
  }, 240_000);
});

describe("a connection that its client revokes", () => {
  it("ends its session even when the hub failed and the process died first", async () => {
    await worker.stop("SIGTERM");
    await start(true);
    const connection = await connect("analyst");
    const session = (await postToMcp(connection.accessToken, INITIALIZE)).headers.get("mcp-session-id");
    expect(session).not.toBeNull();
    const [subject = "", grant = ""] = connection.accessToken.split(":");
    const countSessions = async (endpoint: string): Promise<number> =>
      Number(await (await fetch(`${flow.origin}/${endpoint}?subject=${subject}&grant=${grant}`)).text());
    const revoked = await requestToken(flow, { token: newestOf(connection), client_id: connection.client.clientId });
    expect(revoked.status).toBe(200);
    expect((await postToMcp(connection.accessToken, INITIALIZE)).status).toBe(401);
    expect(await countSessions("sessions")).toBe(1);
    await worker.stop("SIGKILL");
    await start();
    // No request reaches the grant store any more, so its alarm must end the session.
    expect(await countSessions("sessions-after-revocation")).toBe(0);
  }, 60_000);
});
