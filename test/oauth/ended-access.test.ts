// The end of a connection or an access token, in isolates that have the access token cached: refused at once in both protocol eras,
// whatever ends it, and wherever a crash comes between the two writes of the end.
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import type { Attempt, EndedAccess, Outcome } from "../../src/audit/audit-record.ts";
import { sha256Hex } from "../../src/lib/crypto.ts";
import { createConnections } from "../../src/oauth/connections.ts";
import { personAt } from "../support/browser.ts";
import {
  CALL,
  connect,
  createIsolate,
  describeShop,
  expectChallenge,
  grantsOf,
  inSession,
  ledgerOf,
  openSession,
  refresh,
  warm,
} from "../support/isolates.ts";
import type { Connection } from "../support/isolates.ts";
import { buildPost2026 } from "../support/mcp-requests.ts";
import { exchangeCode, readJson, requestToken } from "../support/oauth.ts";
import { seedShop } from "../support/seed.ts";
import { ORIGIN, flow } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";

/** Every way in which access can end before it expires. */
const ENDINGS: readonly (readonly [string, (connection: Connection) => Promise<unknown>])[] = [
  [
    "its client revokes the refresh token",
    async ({ client, tokens }) => requestToken(flow, { token: tokens.refreshToken, client_id: client.clientId }),
  ],
  [
    "its client revokes the access token alone",
    async ({ client, tokens }) => requestToken(flow, { token: tokens.accessToken, client_id: client.clientId }),
  ],
  ["its user ends it", async ({ subjectId, grantId }) => createConnections(env.GRANT).end(subjectId, grantId)],
  [
    "its user ends it on the server's pages",
    async ({ grantId }) => (await personAt(ANALYST)).api("DELETE", `/connections/${grantId}`),
  ],
  [
    "a spent refresh token comes too late",
    async (connection) => {
      await refresh(connection);
      await runInDurableObject(
        grantsOf(connection),
        (_object, { storage }) => void storage.sql.exec("UPDATE spent_refresh_token SET spent_ms = 0"),
      );
      await refresh(connection);
    },
  ],
  [
    "its grant expires before the access token",
    async (connection) => {
      const key = `grant:${connection.subjectId}:${connection.grantId}`;
      await runInDurableObject(
        grantsOf(connection),
        (_object, { storage }) => void storage.sql.exec("UPDATE entry SET expires_ms = 1 WHERE key = ?", key),
      );
      await runDurableObjectAlarm(grantsOf(connection));
    },
  ],
  [
    "its code is exchanged again",
    async ({ client, callback }) => expect(exchangeCode(flow, client, callback)).rejects.toThrow("invalid_grant"),
  ],
];

beforeAll(seedShop);
afterEach(() => vi.useRealTimers());

describe("access that ends because", () => {
  it.each(ENDINGS)("%s is refused at once in isolates that have it cached", async (_name, end) => {
    const connection = await connect();
    const isolates = [createIsolate(), createIsolate()];
    await warm(connection, isolates);
    await end(connection);
    for (const isolate of isolates) {
      await expectChallenge(await isolate.send(describeShop(connection)));
      await expectChallenge(await isolate.send(describeShop(connection)));
    }
  });

  it.each(ENDINGS)("%s is refused at once in a session, also for a batch", async (_name, end) => {
    const connection = await connect();
    const [isolate, other] = [createIsolate(), createIsolate()];
    const [session, batchSession] = [
      await openSession(isolate, connection),
      await openSession(isolate, connection, "2025-03-26"),
    ];
    await warm(connection, [isolate, other]);
    await end(connection);
    for (const each of [isolate, other]) {
      await expectChallenge(await each.send(inSession(connection, session, CALL)));
      const batch = [CALL, { ...CALL, id: 8 }];
      await expectChallenge(await each.send(inSession(connection, batchSession, batch, "2025-03-26")));
    }
  });
});

/**
 * Runs work with the grant object of a connection as the Worker composes it, except that `endAccess` replaces the ledger's. It gets the
 * access tokens that the grant store still has.
 */
async function withGrantObject(
  connection: Connection,
  endAccess: (storedTokens: number, write: () => Promise<void>) => Promise<void>,
  work: (object: InstanceType<typeof worker.GrantObject>) => Promise<void>,
): Promise<void> {
  await runInDurableObject(grantsOf(connection), async (_object, state) => {
    const query = "SELECT count(*) AS n FROM entry WHERE key LIKE ?";
    const countTokens = (): number =>
      state.storage.sql.exec<{ n: number }>(query, `token:%:${connection.grantId}:%`).one().n;
    const LEDGER = new Proxy(env.LEDGER, {
      get: (namespace, property) =>
        property === "idFromName"
          ? (name: string) => namespace.idFromName(name)
          : (id: DurableObjectId) => ({
              appendEvent: async (attempt: Attempt, outcome: Outcome, atMs: number) =>
                namespace.get(id).appendEvent(attempt, outcome, atMs),
              endAccess: async (ended: EndedAccess) =>
                endAccess(countTokens(), async () => namespace.get(id).endAccess(ended)),
            }),
    });
    await work(new worker.GrantObject(state, { ...env, LEDGER }));
  });
}
const worker = createGatehouse(sample);

/** Counts the stored entries of a connection, also those that the grant store treats as absent. */
async function countEntries(connection: Connection, kind: "grant" | "token"): Promise<number> {
  const prefix = `${kind}:${connection.subjectId}:${connection.grantId}`;
  return runInDurableObject(
    grantsOf(connection),
    (_object, { storage }) =>
      storage.sql.exec<{ n: number }>("SELECT count(*) AS n FROM entry WHERE instr(key, ?) = 1", prefix).one().n,
  );
}

/** Ends access through the grant object. */
const OBJECT_ENDINGS: readonly (readonly [
  string,
  (object: InstanceType<typeof worker.GrantObject>, connection: Connection) => Promise<unknown>,
])[] = [
  ["a grant ended by its user", async (object, { grantId }) => object.endGrant(grantId)],
  [
    "an access token removed by the OAuth provider",
    async (object, { subjectId, grantId, tokens }) =>
      object.remove(`token:${subjectId}:${grantId}:${await sha256Hex(tokens.accessToken)}`),
  ],
  [
    "a revoked refresh token",
    async (object, { client, tokens }) => {
      const body = new URLSearchParams({ token: tokens.refreshToken, client_id: client.clientId }).toString();
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      const { status } = await object.serveToken({ url: `${ORIGIN}/oauth/token`, headers, body });
      if (status !== 200) throw new Error(`revoked with ${status}`);
    },
  ],
];

describe("the end of", () => {
  it.each(OBJECT_ENDINGS)("%s is in the ledger before the grant store deletes its access token", async (_name, end) => {
    const connection = await connect();
    const storedTokens: number[] = [];
    await withGrantObject(
      connection,
      async (stored, write) => {
        await write();
        storedTokens.push(stored);
      },
      async (object) => void (await end(object, connection)),
    );
    expect(storedTokens).toEqual([1]);
    await expectChallenge(await createIsolate().send(buildPost2026(connection.tokens.accessToken, "tools/list")));
  });

  it.each(OBJECT_ENDINGS)(
    "%s takes effect in the grant store while the ledger is out of reach, and its caller is told",
    async (_name, end) => {
      const connection = await connect();
      await withGrantObject(
        connection,
        async () => Promise.reject(new Error("out of reach")),
        async (object) => expect(end(object, connection)).rejects.toThrow(/will be retried|revoked with 503/),
      );
      await expectChallenge(await createIsolate().send(describeShop(connection)));
      expect(await countEntries(connection, "token")).toBe(1);
      vi.setSystemTime(Date.now() + 5000);
      await runDurableObjectAlarm(grantsOf(connection));
      expect(await countEntries(connection, "token")).toBe(0);
      await expectChallenge(await createIsolate().send(describeShop(connection)));
    },
  );
});

describe("a connection that its user ends while the ledger is out of reach", () => {
  async function endWithoutLedger(connection: Connection): Promise<void> {
    await withGrantObject(
      connection,
      async () => Promise.reject(new Error("out of reach")),
      async (object) => expect(object.endGrant(connection.grantId)).rejects.toThrow("will be retried"),
    );
  }

  it("is absent for reads, lists and refreshes, and its entries are removed when the ledger is back", async () => {
    const connection = await connect();
    const { subjectId, grantId, tokens } = connection;
    const [grantKey, tokenPrefix] = [`grant:${subjectId}:${grantId}`, `token:${subjectId}:${grantId}:`];
    const tokenKey = `${tokenPrefix}${await sha256Hex(tokens.accessToken)}`;
    await endWithoutLedger(connection);
    const grants = grantsOf(connection);
    expect([await grants.get(grantKey), await grants.get(tokenKey)]).toEqual([null, null]);
    expect((await grants.list(grantKey, 10, null)).keys).toEqual([]);
    expect((await grants.list(tokenPrefix, 10, null)).keys).toEqual([]);
    expect((await createConnections(env.GRANT).list(subjectId)).map(({ id }) => id)).not.toContain(grantId);
    await expect(readJson(await refresh(connection))).rejects.toThrow('400: {"error":"invalid_grant"');
    expect([await countEntries(connection, "grant"), await countEntries(connection, "token")]).toEqual([1, 1]);
    vi.setSystemTime(Date.now() + 5000);
    await runDurableObjectAlarm(grants);
    expect([await countEntries(connection, "grant"), await countEntries(connection, "token")]).toEqual([0, 0]);
    expect((await refresh(connection)).status).toBe(400);
  });

  it("does not answer a spent refresh token again within its grace period", async () => {
    const connection = await connect();
    expect((await refresh(connection)).status).toBe(200);
    expect((await refresh(connection)).status).toBe(200);
    await endWithoutLedger(connection);
    expect((await refresh(connection)).status).toBe(400);
  });

  it("is told to its user again when the end is asked for again", async () => {
    const connection = await connect();
    await endWithoutLedger(connection);
    await endWithoutLedger(connection);
    expect(await createConnections(env.GRANT).end(connection.subjectId, connection.grantId)).toBe(true);
    expect(await countEntries(connection, "grant")).toBe(0);
  });
});

describe("a crash between the two writes of an end", () => {
  /** Writes the end of a connection to the ledger only. The outbox of the grant store still has it. */
  async function endHalf(connection: Connection): Promise<void> {
    await withGrantObject(
      connection,
      async (_storedTokens, write) => {
        await write();
        throw new Error("the process dies");
      },
      async (object) => expect(object.endGrant(connection.grantId)).rejects.toThrow("will be retried"),
    );
  }

  it("leaves no isolate in which a call begins, whether it has the access token cached or not", async () => {
    const connection = await connect();
    const [cached, uncached] = [createIsolate(), createIsolate()];
    const session = await openSession(cached, connection);
    const batchSession = await openSession(cached, connection, "2025-03-26");
    await warm(connection, [cached]);
    await endHalf(connection);
    for (const isolate of [cached, uncached]) {
      await expectChallenge(await isolate.send(describeShop(connection)));
      // The first refusal has dropped the cached entry.
      expect((await isolate.count(describeShop(connection)))[0]).toBe("GRANT.get");
      // The session has not ended, and its object runs the call.
      await expectChallenge(await isolate.send(inSession(connection, session, CALL)));
      const batch = [CALL, { ...CALL, id: 8 }];
      await expectChallenge(await isolate.send(inSession(connection, batchSession, batch, "2025-03-26")));
    }
  });

  it("is followed by the second write, by the alarm", async () => {
    const connection = await connect();
    const isolate = createIsolate();
    await warm(connection, [isolate]);
    await endHalf(connection);
    vi.setSystemTime(Date.now() + 5000);
    await runDurableObjectAlarm(grantsOf(connection));
    expect(await createConnections(env.GRANT).list(connection.subjectId)).not.toContainEqual(
      expect.objectContaining({ id: connection.grantId }),
    );
    expect((await refresh(connection)).status).toBe(400);
    await expectChallenge(await isolate.send(buildPost2026(connection.tokens.accessToken, "tools/list")));
  });

  it("records the refused access token as revoked", async () => {
    const connection = await connect();
    const isolate = createIsolate();
    await endHalf(connection);
    await isolate.send(describeShop(connection));
    const records = await ledgerOf(connection).listRecords(0, 10_000);
    const refusals = records.filter(({ body }) => body.includes("present token") && body.includes(connection.grantId));
    expect(refusals.map(({ body }) => String(JSON.parse(body).attempt.asked))).toEqual([
      expect.stringContaining("an access token that was revoked"),
    ]);
  });
});

describe("another access token of the same connection", () => {
  it("works on when only one was revoked", async () => {
    const connection = await connect();
    const { access_token: refreshed } = await readJson(await refresh(connection));
    const isolate = createIsolate();
    await warm(connection, [isolate]);
    await requestToken(flow, { token: connection.tokens.accessToken, client_id: connection.client.clientId });
    await expectChallenge(await isolate.send(describeShop(connection)));
    const other = { ...connection, tokens: { ...connection.tokens, accessToken: String(refreshed) } };
    expect((await isolate.send(describeShop(other))).status).toBe(200);
  });
});
