// Sign-ins over the real Worker in a process that is really killed: parallel refreshes with SIGKILL in between sign nobody out, no
// spent token is good beyond the grace, and what a connection holds ends also when the process died before that was done.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildWorker } from "../../scripts/build.ts";
import { originOf } from "../../scripts/local.ts";
import { exchangeCode, register, requestToken, signIn } from "../support/oauth.ts";
import type { Flow, Registered } from "../support/oauth.ts";
import { freePort } from "../support/node/server.ts";
import { ROOT, runProcess } from "../support/node/worker.ts";
import type { WorkerProcess } from "../support/node/worker.ts";

const CONFIG = path.join(ROOT, "test/grants-worker/wrangler.jsonc");
const ACCOUNTS = ["analyst", "support", "reviewer", "owner"];
const GRANTS = 20;
const PARALLEL = 200;
const ROUNDS = 3;
/** As the Worker's own entry says. */
const GRACE_MS = 30_000;

const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-grants-"));
let flow: Flow;
let worker: WorkerProcess;
let start: (isHubAway?: boolean) => Promise<void>;

beforeAll(async () => {
  const bundle = path.join(dir, "bundle");
  await buildWorker(CONFIG, bundle);
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
  /** Refresh tokens, the newest last. */
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

async function mcp(token: string, body: object, session: Record<string, string> = {}): Promise<Response> {
  const headers = {
    authorization: `Bearer ${token}`,
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

/** All at once, killed when some have been answered. Every answer by connection; those cut off are asked again, as clients do. */
async function refreshAllThroughKill(connections: readonly Connection[], killAfter: number) {
  let answered = 0;
  let enough = (): void => {};
  const some = new Promise<void>((resolve) => (enough = resolve));
  const asked = Array.from({ length: PARALLEL }, async (_value, index) => {
    const connection = connections[index % connections.length];
    if (connection === undefined) throw new Error("a connection for each");
    const token = newestOf(connection);
    // A killed server cuts requests off: those are asked again.
    const answer = await refresh(connection, token).catch(() => undefined);
    answered += 1;
    if (answered === killAfter) enough();
    return { connection, token, answer };
  });
  await some;
  await worker.stop("SIGKILL");
  const first = await Promise.all(asked);
  await start();
  const again = await Promise.all(
    first.map(async ({ connection, token, answer }) => ({
      connection,
      isCut: answer === undefined,
      answers: [...(answer === undefined ? [] : [answer]), await refresh(connection, token)],
    })),
  );
  return { cut: again.filter(({ isCut }) => isCut).length, again };
}

describe("200 parallel refreshes of 20 grants", () => {
  it("killed in between: everybody gets one answer, nobody is signed out, and no spent token is good beyond the grace", async () => {
    const connections: Connection[] = [];
    for (let index = 0; index < GRANTS; index += 1) connections.push(await connect(ACCOUNTS[index % 4] ?? ""));
    let cut = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const result = await refreshAllThroughKill(connections, 20 + 40 * round);
      cut += result.cut;
      for (const connection of connections) {
        const answers = result.again.filter((one) => one.connection === connection).flatMap((one) => one.answers);
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
        const bodies = new Set(answers.map(({ body }) => body));
        expect(bodies.size).toBe(1);
        const body: Record<string, unknown> = JSON.parse([...bodies][0] ?? "");
        connection.refreshTokens.push(String(body["refresh_token"]));
        connection.accessToken = String(body["access_token"]);
      }
    }
    // The kills really cut requests off.
    expect(cut).toBeGreaterThan(0);
    for (const connection of connections) {
      expect((await mcp(connection.accessToken, INITIALIZE)).status).toBe(200);
      expect(new Set(connection.refreshTokens).size).toBe(ROUNDS + 1);
    }
    // The one thing that can only be waited for.
    await new Promise((resolve) => setTimeout(resolve, GRACE_MS + 1000));
    for (const connection of connections) {
      expect((await refresh(connection, newestOf(connection))).status).toBe(200);
      for (const spent of connection.refreshTokens.slice(0, -1))
        expect((await refresh(connection, spent)).status).toBe(400);
      expect((await mcp(connection.accessToken, INITIALIZE)).status).toBe(401);
    }
  }, 240_000);
});

describe("a connection that is given back", () => {
  it("ends its session also when the hub was away and the process died before it could", async () => {
    await worker.stop("SIGTERM");
    await start(true);
    const connection = await connect("analyst");
    const session = (await mcp(connection.accessToken, INITIALIZE)).headers.get("mcp-session-id");
    expect(session).not.toBeNull();
    const [subject = "", grant = ""] = connection.accessToken.split(":");
    const held = async (what: string): Promise<number> =>
      Number(await (await fetch(`${flow.origin}/${what}?subject=${subject}&grant=${grant}`)).text());
    const revoked = await requestToken(flow, { token: newestOf(connection), client_id: connection.client.clientId });
    expect(revoked.status).toBe(200);
    expect((await mcp(connection.accessToken, INITIALIZE)).status).toBe(401);
    expect(await held("held")).toBe(1);
    await worker.stop("SIGKILL");
    await start();
    // Nobody asks the grant store for anything any more: its alarm does it.
    expect(await held("left")).toBe(0);
  }, 60_000);
});
