// The cache of access tokens: what it holds and for how long, and that no request relies on it unless it begins a call in the ledger.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { createConnections } from "../../src/oauth/connections.ts";
import { createGrantStore } from "../../src/oauth/grants/grant-kv-store.ts";
import { createAccessTokenCache } from "../../src/oauth/access-token-cache.ts";
import { personAt } from "../support/browser.ts";
import {
  CALL,
  connect,
  createIsolate,
  describeShop,
  expectChallenge,
  grantsOf,
  inSession,
  openSession,
  warm,
} from "../support/isolates.ts";
import { buildPost, buildPost2026 } from "../support/mcp-requests.ts";
import { countSteps } from "../support/network-steps.ts";
import { seedShop } from "../support/seed.ts";
import { ACCEPT, RESOURCE, initialize } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";

beforeAll(seedShop);

/** Requests of the 2026 era that begin no call. */
const WITHOUT_CALL: readonly (readonly [string, (token: string) => Request])[] = [
  ...["server/discover", "tools/list", "prompts/list", "resources/templates/list", "ping", "no/such/method"].map(
    (method) => [method, (token: string) => buildPost2026(token, method)] as const,
  ),
  [
    "subscriptions/listen",
    (token) => buildPost2026(token, "subscriptions/listen", { notifications: { toolsListChanged: true } }),
  ],
  [
    "a call of a tool that does not exist",
    (token) => buildPost2026(token, "tools/call", { name: "none", arguments: {} }),
  ],
  [
    "a call with invalid arguments",
    (token) => buildPost2026(token, "tools/call", { name: "describe", arguments: { dataset: 5 } }),
  ],
  [
    "a call that the tool refuses before it begins",
    (token) => buildPost2026(token, "tools/call", { name: "query", arguments: {} }),
  ],
  ["a resource that does not exist", (token) => buildPost2026(token, "resources/read", { uri: "file:///etc/passwd" })],
  ["a cursor of no list", (token) => buildPost2026(token, "resources/list", { cursor: "x" })],
  ["a prompt without arguments", (token) => buildPost2026(token, "prompts/get", { name: "explain-dataset" })],
  [
    "a completion of nothing",
    (token) =>
      buildPost2026(token, "completion/complete", {
        ref: { type: "ref/prompt", name: "explain-dataset" },
        argument: { name: "none", value: "" },
      }),
  ],
  ["a body that is not JSON", (token) => buildPost(token, "{", { "mcp-protocol-version": "2026-07-28" })],
  ["GET", (token) => new Request(RESOURCE, { headers: { authorization: `Bearer ${token}`, accept: ACCEPT } })],
  ["initialize", (token) => buildPost(token, initialize())],
  [
    "a header that says another method than the body",
    (token) =>
      buildPost(
        token,
        { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} },
        { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "describe" },
      ),
  ],
];

/** Messages in a session that begin no call. */
const IN_SESSION_WITHOUT_CALL: readonly (readonly [string, object])[] = [
  ["ping", { jsonrpc: "2.0", id: 9, method: "ping" }],
  ["tools/list", { jsonrpc: "2.0", id: 9, method: "tools/list" }],
  ["logging/setLevel", { jsonrpc: "2.0", id: 9, method: "logging/setLevel", params: { level: "info" } }],
  [
    "resources/subscribe",
    { jsonrpc: "2.0", id: 9, method: "resources/subscribe", params: { uri: "gatehouse://dataset/shop/customers" } },
  ],
  ["a notification", { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } }],
  ["a call with invalid arguments", { ...CALL, params: { name: "describe", arguments: { dataset: 5 } } }],
];

describe("a request that begins no call", () => {
  it.each(WITHOUT_CALL)(
    "reads the access token from the grant store although it is cached: %s",
    async (_name, build) => {
      const connection = await connect();
      const isolate = createIsolate();
      await warm(connection, [isolate]);
      const calls = await isolate.count(build(connection.tokens.accessToken));
      expect(calls.filter((name) => name === "GRANT.get")).toHaveLength(1);
      await createConnections(env.GRANT).end(connection.subjectId, connection.grantId);
      await expectChallenge(await isolate.send(build(connection.tokens.accessToken)));
    },
  );

  it.each(IN_SESSION_WITHOUT_CALL)("reads it in a session too: %s", async (_name, message) => {
    const connection = await connect();
    const isolate = createIsolate();
    const session = await openSession(isolate, connection);
    await warm(connection, [isolate]);
    const calls = await isolate.count(inSession(connection, session, message));
    expect(calls.filter((name) => name === "GRANT.get")).toHaveLength(1);
    await createConnections(env.GRANT).end(connection.subjectId, connection.grantId);
    await expectChallenge(await isolate.send(inSession(connection, session, message)));
  });

  it("opens no stream and ends no session after the connection has ended", async () => {
    const connection = await connect();
    const isolate = createIsolate();
    const session = await openSession(isolate, connection);
    await warm(connection, [isolate]);
    const headers = {
      authorization: `Bearer ${connection.tokens.accessToken}`,
      accept: ACCEPT,
      "mcp-session-id": session,
    };
    await createConnections(env.GRANT).end(connection.subjectId, connection.grantId);
    for (const method of ["GET", "DELETE"])
      await expectChallenge(await isolate.send(new Request(RESOURCE, { method, headers })));
  });
});

describe("a personal access token", () => {
  it("is never cached: each call reads it", async () => {
    const person = await personAt(ANALYST);
    const { body } = await person.api("POST", "/tokens", { name: "t", roles: ["analyst"], days: 1 });
    const isolate = createIsolate();
    const request = (): Request =>
      buildPost2026(String(body["token"]), "tools/call", { name: "describe", arguments: {} });
    for (let times = 0; times < 2; times += 1) await isolate.count(request());
    expect(await isolate.count(request())).toEqual(["GATEHOUSE_DB.first", "LEDGER.begin", "LEDGER.commit"]);
  });
});

describe("the cache", () => {
  /** A cache over the real grant store, with a clock and the number of reads. */
  function open(maxEntries?: number) {
    const counter = countSteps({ GRANT: env.GRANT });
    const clock = { ms: Date.now() };
    const cache = createAccessTokenCache({ now: () => clock.ms, ...(maxEntries === undefined ? {} : { maxEntries }) });
    return {
      clock,
      /** Reads a key in a request of its own; returns whether that reached the grant store. */
      reaches: async (key: string): Promise<boolean> => {
        const { store } = cache.open(createGrantStore(counter.env.GRANT));
        return (await counter.during(async () => store.get(key, { type: "json" }))).length > 0;
      },
    };
  }

  /** Stores an entry that expires after some seconds. */
  async function put(seconds: number): Promise<string> {
    const key = `token:${crypto.randomUUID()}:g:${crypto.randomUUID()}`;
    const expiresAt = Math.floor(Date.now() / 1000) + seconds;
    await createGrantStore(env.GRANT).put(key, JSON.stringify({ expiresAt, grant: { clientId: "c" } }), {
      expirationTtl: Math.max(60, seconds),
    });
    return key;
  }

  it("holds an entry for at most a minute", async () => {
    const { clock, reaches } = open();
    const key = await put(3600);
    expect([await reaches(key), await reaches(key)]).toEqual([true, false]);
    clock.ms += 59_999;
    expect(await reaches(key)).toBe(false);
    clock.ms += 1;
    expect(await reaches(key)).toBe(true);
  });

  it("never holds an entry past its expiry", async () => {
    const { clock, reaches } = open();
    const key = await put(30);
    expect([await reaches(key), await reaches(key)]).toEqual([true, false]);
    clock.ms += 30_000;
    expect(await reaches(key)).toBe(true);
    expect(await reaches(key)).toBe(true);
  });

  it("holds a bounded number of entries, and evicts the least recently used", async () => {
    const { reaches } = open(2);
    const [first, second, third] = [await put(3600), await put(3600), await put(3600)];
    for (const key of [first, second, first, third]) await reaches(key);
    expect([await reaches(first), await reaches(third), await reaches(second)]).toEqual([false, false, true]);
  });

  it("holds nothing but entries of access tokens that exist", async () => {
    const { reaches } = open();
    const user = crypto.randomUUID();
    await createGrantStore(env.GRANT).put(`grant:${user}:g`, "{}");
    for (const key of [`grant:${user}:g`, "client:c", `token:${user}:g:none`])
      expect([await reaches(key), await reaches(key)]).toEqual([true, true]);
  });

  it("does not weaken the checks of the OAuth provider: expiry and resource", async () => {
    const isolate = createIsolate();
    for (const change of ["$.expiresAt', 1", "$.audience', 'http://localhost:9978/mcp'"]) {
      const connection = await connect();
      await warm(connection, [isolate]);
      await runInDurableObject(
        grantsOf(connection),
        (_object, { storage }) =>
          void storage.sql.exec(
            `UPDATE entry SET value = json_set(value, '${change}) WHERE key LIKE ?`,
            `token:%:${connection.grantId}:%`,
          ),
      );
      // Another isolate reads the changed entry, more than once.
      const other = createIsolate();
      for (let times = 0; times < 2; times += 1) await expectRefused(await other.send(describeShop(connection)));
    }
  });

  async function expectRefused(response: Response): Promise<void> {
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toContain('error="invalid_token"');
  }
});
