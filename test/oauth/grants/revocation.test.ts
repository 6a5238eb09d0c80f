// The end of a connection: its sessions, streams and listeners of both protocol eras end with it, and no others do, also when the
// first attempt fails or the process restarts.
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createConnections } from "../../../src/oauth/connections.ts";
import { GrantObject } from "../../../src/oauth/grants/grant-object.ts";
import type { GrantOptions } from "../../../src/oauth/grants/grant-object.ts";
import { createGrantStore } from "../../../src/oauth/grants/grant-kv-store.ts";
import { createHub } from "../../../src/mcp/subscriptions/hub.ts";
import type { Attempt } from "../../../src/audit/audit-record.ts";
import { exchangeCode, register, requestToken, signIn } from "../../support/oauth.ts";
import type { Registered, Tokens } from "../../support/oauth.ts";
import { providerOver } from "../../support/provider.ts";
import { ACCEPT, RESOURCE, flow, initialize, openSession, post, send } from "../../support/worker.ts";

const ANALYST = "analyst@harbor.example";
const connections = createConnections(env.GRANT);

interface Connection {
  readonly client: Registered;
  readonly tokens: Tokens;
  readonly subjectId: string;
  readonly grantId: string;
}

async function connect(metadata: Record<string, unknown> = {}): Promise<Connection> {
  const client = await register(flow, metadata);
  const tokens = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
  const [subjectId = "", grantId = ""] = tokens.accessToken.split(":");
  return { client, tokens, subjectId, grantId };
}

interface OpenResources {
  readonly session: string;
  readonly stream: ReadableStreamDefaultReader<Uint8Array>;
  readonly listener: WebSocket;
}

/** Opens a session with a stream of the 2025 era, and the hub socket behind a listener of the 2026 era. */
async function openResources({ tokens, subjectId, grantId }: Connection): Promise<OpenResources> {
  const session = await openSession(tokens.accessToken);
  const { status, body } = await send(RESOURCE, {
    headers: { authorization: `Bearer ${tokens.accessToken}`, accept: ACCEPT, "mcp-session-id": session },
  });
  if (status !== 200 || body === null) throw new Error(`the stream did not open: ${status}`);
  const listener = await createHub(env.HUB).openListenSocket(subjectId);
  const ready = new Promise<void>((resolve) => listener.addEventListener("message", () => resolve(), { once: true }));
  listener.send(JSON.stringify({ grantId, topics: ["tools_list_changed"] }));
  await ready;
  return { session, stream: body.getReader(), listener };
}

/** Resolves when both stream and listener are closed; otherwise the test times out. */
async function waitForClose({ stream, listener }: OpenResources): Promise<"closed"> {
  const closed = new Promise<void>((resolve) =>
    listener.readyState === WebSocket.READY_STATE_OPEN
      ? listener.addEventListener("close", () => resolve(), { once: true })
      : resolve(),
  );
  while (!(await stream.read()).done);
  await closed;
  return "closed";
}

const ping = async ({ tokens }: Connection, session: string): Promise<number> =>
  (await post(tokens.accessToken, { jsonrpc: "2.0", id: 2, method: "ping" }, { "mcp-session-id": session })).status;

async function refresh({ client, tokens }: Connection): Promise<Response> {
  return requestToken(flow, {
    grant_type: "refresh_token",
    refresh_token: tokens.refreshToken,
    client_id: client.clientId,
  });
}

/** Every way in which a connection can end. */
const ENDINGS: readonly (readonly [string, (connection: Connection) => Promise<unknown>])[] = [
  [
    "revoked by its client",
    async ({ client, tokens }) => requestToken(flow, { token: tokens.refreshToken, client_id: client.clientId }),
  ],
  ["ended by its user", async ({ subjectId, grantId }) => connections.end(subjectId, grantId)],
  [
    "ended by the OAuth provider's helper",
    async ({ subjectId, grantId }) => {
      const helpers = await providerOver(createGrantStore(env.GRANT), flow.origin).helpers();
      await helpers.revokeGrant(grantId, subjectId);
    },
  ],
  [
    "ended because a spent refresh token came too late",
    async (connection) => {
      await refresh(connection);
      vi.setSystemTime(Date.now() + 61_000);
      await refresh(connection);
    },
  ],
];

afterEach(() => vi.useRealTimers());

describe.each(ENDINGS)("a connection that is %s", (_name, end) => {
  it("ends its sessions, streams and tokens, and nothing of another connection", async () => {
    const ended = await connect();
    const other = await connect();
    const [resources, otherResources] = [await openResources(ended), await openResources(other)];
    const [closed, otherClosed] = [waitForClose(resources), waitForClose(otherResources)];
    expect(await Promise.race([closed, ping(ended, resources.session)])).toBe(200);
    await end(ended);
    expect(await closed).toBe("closed");
    expect((await post(ended.tokens.accessToken, initialize())).status).toBe(401);
    expect((await refresh(ended)).status).toBe(400);
    const lateSession = await env.HUB.get(env.HUB.idFromName(`subject ${ended.subjectId}`)).addSession(
      "s",
      ended.grantId,
    );
    expect(lateSession.ok).toBe(false);
    expect(await Promise.race([otherClosed, ping(other, otherResources.session)])).toBe(200);
    expect(otherResources.listener.readyState).toBe(WebSocket.READY_STATE_OPEN);
    await otherResources.stream.cancel();
    otherResources.listener.close();
  });
});

describe("the outbox of a connection that ended", () => {
  /** Runs the work with a grant object of a new user. Calls to other objects fail when their name is in `failing`. */
  function withGrantObject(work: (harness: Harness) => Promise<void>): Promise<void> {
    const userId = crypto.randomUUID();
    const stub = env.GRANT.get(env.GRANT.idFromName(`user ${userId}`));
    return runInDurableObject(stub, async (_instance, state) => {
      const done: string[] = [];
      const failing = new Set<string>();
      const act = async (name: string): Promise<void> => {
        if (failing.has(name)) throw new Error(`${name} is out of reach`);
        done.push(name);
      };
      const options: GrantOptions = {
        refreshGraceSeconds: 60,
        otherShards: createGrantStore(env.GRANT),
        serveToken: async () => new Response(null, { status: 500 }),
        endSessions: async (subjectId, grantId) => act(`end ${subjectId === userId ? "its" : "another's"} ${grantId}`),
        openLedger: () => ({
          async appendEvent({ operation }: Attempt) {
            await act(operation);
            return { ok: true };
          },
        }),
        onError: () => {},
      };
      const grant = JSON.stringify({ clientId: "c", createdAt: 0, metadata: {}, refreshTokenId: "r" });
      const open = () => new GrantObject(state, env, options);
      await open().put(`grant:${userId}:g`, { value: grant, expiry: null, metadata: null });
      await work({ open, done, failing, alarm: async () => state.storage.getAlarm() });
    });
  }

  interface Harness {
    /** Creates a new object over the same storage, as after a restart. */
    readonly open: () => GrantObject;
    readonly done: string[];
    readonly failing: Set<string>;
    readonly alarm: () => Promise<number | null>;
  }

  it("is delivered at once", () =>
    withGrantObject(async ({ open, done }) => {
      expect(await open().endGrant("g")).toBe(true);
      expect(done.toSorted()).toEqual(["end connection", "end its g"]);
    }));

  it("is delivered once by the alarm after a failure and a restart", () =>
    withGrantObject(async ({ open, done, failing, alarm }) => {
      failing.add("end its g");
      expect(await open().endGrant("g")).toBe(true);
      expect(done).toEqual(["end connection"]);
      const retryMs = await alarm();
      expect(retryMs).toBeGreaterThan(Date.now() - 1000);
      expect(retryMs).toBeLessThanOrEqual(Date.now() + 5000);
      failing.clear();
      vi.setSystemTime(Date.now() + 5000);
      await open().alarm?.();
      expect(done).toEqual(["end connection", "end its g"]);
      await open().alarm?.();
      expect(done).toHaveLength(2);
    }));

  it("is retried while delivery fails", () =>
    withGrantObject(async ({ open, done, failing }) => {
      failing.add("end its g").add("end connection");
      await open().endGrant("g");
      for (let times = 0; times < 12; times += 1) {
        vi.setSystemTime(Date.now() + 700_000);
        await open().alarm?.();
      }
      expect(done).toEqual([]);
      failing.clear();
      vi.setSystemTime(Date.now() + 700_000);
      await open().alarm?.();
      expect(done.toSorted()).toEqual(["end connection", "end its g"]);
    }));

  it("stays empty for a grant that does not exist or has ended", () =>
    withGrantObject(async ({ open, done }) => {
      expect(await open().endGrant("other")).toBe(false);
      expect(await open().endGrant("g")).toBe(true);
      expect(await open().endGrant("g")).toBe(false);
      expect(done).toHaveLength(2);
    }));
});

describe("the connections of a user", () => {
  it("are listed newest first with the client's name, and can be ended one by one", async () => {
    const connectAssistant = async (): Promise<Connection> => connect({ client_name: "<b>My assistant</b>" });
    const before = (await connections.list((await connectAssistant()).subjectId)).length;
    const first = await connectAssistant();
    vi.setSystemTime(Date.now() + 2000);
    const second = await connectAssistant();
    const listed = await connections.list(first.subjectId);
    expect(listed.find(({ id }) => id === second.grantId)).toMatchObject({
      clientId: second.client.clientId,
      clientName: "<b>My assistant</b>",
      clientDomain: null,
    });
    expect(listed.map(({ createdMs }) => createdMs)).toEqual(
      listed.map(({ createdMs }) => createdMs).toSorted((left, right) => right - left),
    );
    vi.setSystemTime(Date.now() + 10_000);
    await refresh(first);
    await evictDurableObject(env.GRANT.get(env.GRANT.idFromName(`user ${first.subjectId}`)));
    const refreshed = (await connections.list(first.subjectId)).find(({ id }) => id === first.grantId);
    expect((refreshed?.usedMs ?? 0) - (refreshed?.createdMs ?? 0)).toBeGreaterThanOrEqual(10_000);
    expect(await connections.end(first.subjectId, second.grantId)).toBe(true);
    expect(await connections.end(first.subjectId, second.grantId)).toBe(false);
    expect(await connections.list(first.subjectId)).toHaveLength(before + 1);
  });

  it("do not include a sign-in whose code was not exchanged, or those of other users", async () => {
    const { subjectId } = await connect();
    const before = await connections.list(subjectId);
    await signIn(flow, await register(flow), ANALYST);
    expect(await connections.list(subjectId)).toEqual(before);
    expect(await connections.list("unknown")).toEqual([]);
    expect(await connections.end("unknown", before[0]?.id ?? "")).toBe(false);
  });

  it("end with their sessions when they expire unused", async () => {
    const connection = await connect();
    const resources = await openResources(connection);
    vi.setSystemTime(Date.now() + 31 * 86_400_000);
    await runDurableObjectAlarm(env.GRANT.get(env.GRANT.idFromName(`user ${connection.subjectId}`)));
    expect(await waitForClose(resources)).toBe("closed");
    expect(await connections.list(connection.subjectId)).toEqual([]);
  });
});
