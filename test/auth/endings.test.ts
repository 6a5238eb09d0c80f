// The end of a connection, in whatever way: its sessions, open streams and listeners of both eras end with it, and no others; also
// when the first try fails, or the process dies in between.
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createConnections } from "../../src/auth/connections.ts";
import { GrantObject } from "../../src/auth/grants/grant-object.ts";
import type { GrantOptions } from "../../src/auth/grants/grant-object.ts";
import { createGrantStore } from "../../src/auth/grants/store.ts";
import { createHub } from "../../src/hub/hub.ts";
import type { Attempt } from "../../src/ledger/record.ts";
import { exchangeCode, register, requestToken, signIn } from "../support/oauth.ts";
import type { Registered, Tokens } from "../support/oauth.ts";
import { providerOver } from "../support/provider.ts";
import { ACCEPT, RESOURCE, flow, initialize, openSession, post, send } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";
const connections = createConnections(env.GRANT);

interface Connected {
  readonly client: Registered;
  readonly tokens: Tokens;
  readonly subjectId: string;
  readonly grantId: string;
}

async function connected(metadata: Record<string, unknown> = {}): Promise<Connected> {
  const client = await register(flow, metadata);
  const tokens = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
  const [subjectId = "", grantId = ""] = tokens.accessToken.split(":");
  return { client, tokens, subjectId, grantId };
}

interface Held {
  readonly session: string;
  readonly stream: ReadableStreamDefaultReader<Uint8Array>;
  readonly listener: WebSocket;
}

/** A session with an open stream of the 2025 era, and what feeds a listener of the 2026 era: its socket at the hub. */
async function hold({ tokens, subjectId, grantId }: Connected): Promise<Held> {
  const session = await openSession(tokens.accessToken);
  const { status, body } = await send(RESOURCE, {
    headers: { authorization: `Bearer ${tokens.accessToken}`, accept: ACCEPT, "mcp-session-id": session },
  });
  if (status !== 200 || body === null) throw new Error(`no stream: ${status}`);
  const listener = await createHub(env.HUB).connect(subjectId);
  const ready = new Promise<void>((resolve) => listener.addEventListener("message", () => resolve(), { once: true }));
  listener.send(JSON.stringify({ grantId, topics: ["tools_list_changed"] }));
  await ready;
  return { session, stream: body.getReader(), listener };
}

/** Resolves when both are over; the test's own deadline is what fails it. */
async function over({ stream, listener }: Held): Promise<"over"> {
  const closed = new Promise<void>((resolve) =>
    listener.readyState === WebSocket.READY_STATE_OPEN
      ? listener.addEventListener("close", () => resolve(), { once: true })
      : resolve(),
  );
  while (!(await stream.read()).done);
  await closed;
  return "over";
}

const ping = async ({ tokens }: Connected, session: string): Promise<number> =>
  (await post(tokens.accessToken, { jsonrpc: "2.0", id: 2, method: "ping" }, { "mcp-session-id": session })).status;

async function refresh({ client, tokens }: Connected): Promise<Response> {
  return requestToken(flow, {
    grant_type: "refresh_token",
    refresh_token: tokens.refreshToken,
    client_id: client.clientId,
  });
}

/** Every way in which a connection ends. */
const WAYS: readonly (readonly [string, (connection: Connected) => Promise<unknown>])[] = [
  [
    "given back by its client",
    async ({ client, tokens }) => requestToken(flow, { token: tokens.refreshToken, client_id: client.clientId }),
  ],
  ["ended by its person", async ({ subjectId, grantId }) => connections.end(subjectId, grantId)],
  [
    "ended by the provider's helper",
    async ({ subjectId, grantId }) => {
      const helpers = await providerOver(createGrantStore(env.GRANT), flow.origin).helpers();
      await helpers.revokeGrant(grantId, subjectId);
    },
  ],
  [
    "a spent refresh token presented again",
    async (connection) => {
      await refresh(connection);
      vi.setSystemTime(Date.now() + 61_000);
      await refresh(connection);
    },
  ],
];

afterEach(() => vi.useRealTimers());

describe.each(WAYS)("%s", (_way, end) => {
  it("its session and streams of both eras end, and its tokens, and nothing of another connection", async () => {
    const ended = await connected();
    const other = await connected();
    const [held, otherHeld] = [await hold(ended), await hold(other)];
    const [isOver, isOtherOver] = [over(held), over(otherHeld)];
    expect(await Promise.race([isOver, ping(ended, held.session)])).toBe(200);
    await end(ended);
    expect(await isOver).toBe("over");
    expect((await post(ended.tokens.accessToken, initialize())).status).toBe(401);
    expect((await refresh(ended)).status).toBe(400);
    const late = await env.HUB.get(env.HUB.idFromName(`subject ${ended.subjectId}`)).addSession("s", ended.grantId);
    expect(late.ok).toBe(false);
    expect(await Promise.race([isOtherOver, ping(other, otherHeld.session)])).toBe(200);
    expect(otherHeld.listener.readyState).toBe(WebSocket.READY_STATE_OPEN);
    await otherHeld.stream.cancel();
    otherHeld.listener.close();
  });
});

describe("what is owed when a connection ends", () => {
  /** The object of a user nobody else has, with other objects that fail as the test wishes. */
  function withObject(work: (parts: Parts) => Promise<void>): Promise<void> {
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
        store: createGrantStore(env.GRANT),
        serveToken: async () => new Response(null, { status: 500 }),
        endHeld: async (subjectId, grantId) => act(`end ${subjectId === userId ? "its" : "another's"} ${grantId}`),
        ledgerOf: () => ({
          async note({ operation }: Attempt) {
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

  interface Parts {
    /** A new one over the same storage, as after a restart. */
    readonly open: () => GrantObject;
    readonly done: string[];
    readonly failing: Set<string>;
    readonly alarm: () => Promise<number | null>;
  }

  it("is done at once", () =>
    withObject(async ({ open, done }) => {
      expect(await open().end("g")).toBe(true);
      expect(done.toSorted()).toEqual(["end connection", "end its g"]);
    }));

  it("is done by the alarm when it failed, also in another process, and then no more", () =>
    withObject(async ({ open, done, failing, alarm }) => {
      failing.add("end its g");
      expect(await open().end("g")).toBe(true);
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

  it("is tried again and again, later each time, while it fails", () =>
    withObject(async ({ open, done, failing }) => {
      failing.add("end its g").add("end connection");
      await open().end("g");
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

  it("is nothing for a grant that is not there, or ended before", () =>
    withObject(async ({ open, done }) => {
      expect(await open().end("other")).toBe(false);
      expect(await open().end("g")).toBe(true);
      expect(await open().end("g")).toBe(false);
      expect(done).toHaveLength(2);
    }));
});

describe("a person's connections", () => {
  it("are listed with what was shown for consent, newest first, and end one by one", async () => {
    const account = async (): Promise<Connected> => connected({ client_name: "<b>My assistant</b>" });
    const before = (await connections.list((await account()).subjectId)).length;
    const first = await account();
    vi.setSystemTime(Date.now() + 2000);
    const second = await account();
    const listed = await connections.list(first.subjectId);
    expect(listed.find(({ id }) => id === second.grantId)).toMatchObject({
      clientId: second.client.clientId,
      clientName: "<b>My assistant</b>",
      clientDomain: null,
    });
    expect(listed.map(({ createdMs }) => createdMs)).toEqual(
      listed.map(({ createdMs }) => createdMs).toSorted((one, other) => other - one),
    );
    vi.setSystemTime(Date.now() + 10_000);
    await refresh(first);
    await evictDurableObject(env.GRANT.get(env.GRANT.idFromName(`user ${first.subjectId}`)));
    const used = (await connections.list(first.subjectId)).find(({ id }) => id === first.grantId);
    expect((used?.usedMs ?? 0) - (used?.createdMs ?? 0)).toBeGreaterThanOrEqual(10_000);
    expect(await connections.end(first.subjectId, second.grantId)).toBe(true);
    expect(await connections.end(first.subjectId, second.grantId)).toBe(false);
    expect(await connections.list(first.subjectId)).toHaveLength(before + 1);
  });

  it("do not show a sign-in whose code nobody has exchanged, nor those of others", async () => {
    const { subjectId } = await connected();
    const before = await connections.list(subjectId);
    await signIn(flow, await register(flow), ANALYST);
    expect(await connections.list(subjectId)).toEqual(before);
    expect(await connections.list("nobody")).toEqual([]);
    expect(await connections.end("nobody", before[0]?.id ?? "")).toBe(false);
  });

  it("that are not used for too long go with their sessions", async () => {
    const connection = await connected();
    const held = await hold(connection);
    vi.setSystemTime(Date.now() + 31 * 86_400_000);
    await runDurableObjectAlarm(env.GRANT.get(env.GRANT.idFromName(`user ${connection.subjectId}`)));
    expect(await over(held)).toBe("over");
    expect(await connections.list(connection.subjectId)).toEqual([]);
  });
});
