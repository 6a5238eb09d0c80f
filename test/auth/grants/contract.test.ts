// What the OAuth provider expects of a KV namespace, asked of a real one and of the grant store: the same suite, the same answers.
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import type { GrantStore, KeyPage } from "../../../src/auth/grants/kv.ts";
import { createGrantStore } from "../../../src/auth/grants/store.ts";
import { newId } from "../../../src/lib/ids.ts";

/** A namespace behind the store's face, nothing added: overloads are all that differs. */
function plainKv(namespace: KVNamespace): GrantStore {
  return {
    get: async (key, type = "text") => {
      const wanted = typeof type === "string" ? type : (type.type ?? "text");
      return wanted === "json" ? namespace.get(key, "json") : namespace.get(key, "text");
    },
    put: async (key, value, options) => namespace.put(key, value, options),
    delete: async (key) => namespace.delete(key),
    list: async (options): Promise<KeyPage> => {
      const page = await namespace.list(options);
      return page.list_complete
        ? { keys: page.keys, list_complete: true }
        : { keys: page.keys, list_complete: false, cursor: page.cursor };
    },
  };
}

const STORES: readonly (readonly [string, () => GrantStore])[] = [
  ["real KV", () => plainKv(env.HANDBOOK)],
  ["the grant store", () => createGrantStore(env.GRANT)],
];

const seconds = (): number => Math.floor(Date.now() / 1000);

describe.each(STORES)("%s", (_name, open) => {
  const store = open();
  /** A prefix that nobody else writes below. */
  const prefix = (): string => `grant:${newId()}:`;

  it("gives back what was put, as text or as JSON", async () => {
    const key = `client:${newId()}`;
    expect(await store.get(key)).toBeNull();
    expect(await store.get(key, { type: "json" })).toBeNull();
    await store.put(key, '{"a":[1,"ü"]}');
    expect(await store.get(key)).toBe('{"a":[1,"ü"]}');
    expect(await store.get(key, "text")).toBe('{"a":[1,"ü"]}');
    expect(await store.get(key, "json")).toEqual({ a: [1, "ü"] });
    expect(await store.get(key, { type: "json" })).toEqual({ a: [1, "ü"] });
    await store.put(key, "");
    expect(await store.get(key)).toBe("");
    await expect(store.get(key, "json")).rejects.toThrow(SyntaxError);
  });

  it("forgets what was deleted, and takes it that there was nothing", async () => {
    const key = `client:${newId()}`;
    await store.put(key, "a");
    await store.delete(key);
    await store.delete(key);
    expect(await store.get(key)).toBeNull();
  });

  it("lists a prefix in order, with metadata and expiry", async () => {
    const below = prefix();
    const expiration = seconds() + 3600;
    await store.put(`${below}b`, "1", { metadata: { clientId: "ü", resource: ["x"] }, expiration });
    await store.put(`${below}a`, "2", { metadata: null });
    await store.put(`${below}ä`, "3");
    await store.put(`${below}B`, "4", { expirationTtl: 600 });
    await store.put(`${below.slice(0, -1)}x:a`, "somebody else's");
    const { keys, list_complete: isComplete } = await store.list({ prefix: below });
    expect(isComplete).toBe(true);
    expect(keys.map(({ name }) => name.slice(below.length))).toEqual(["B", "a", "b", "ä"]);
    expect(keys[2]).toEqual({
      name: `${below}b`,
      expiration,
      metadata: { clientId: "ü", resource: ["x"] },
    });
    expect(keys[3]).toEqual({ name: `${below}ä` });
    const { expiration: after = 0 } = keys[0] ?? {};
    expect(Math.abs(after - (seconds() + 600))).toBeLessThanOrEqual(5);
  });

  it("lists in pages that join without a gap, also at the exact end", async () => {
    const below = prefix();
    for (let index = 0; index < 6; index += 1) await store.put(`${below}${index}`, "x");
    const names: string[] = [];
    const sizes: number[] = [];
    let cursor: string | undefined;
    do {
      const page: KeyPage = await store.list({ prefix: below, limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      names.push(...page.keys.map(({ name }) => name.slice(below.length)));
      sizes.push(page.keys.length);
      cursor = page.list_complete ? undefined : page.cursor;
    } while (cursor !== undefined);
    expect(names).toEqual(["0", "1", "2", "3", "4", "5"]);
    expect(sizes.slice(0, 2)).toEqual([3, 3]);
    expect(await store.list({ prefix: prefix() })).toEqual({ keys: [], list_complete: true });
  });

  it("a put replaces value, metadata and expiry", async () => {
    const below = prefix();
    await store.put(`${below}a`, "1", { metadata: { clientId: "old" }, expirationTtl: 60 });
    await store.put(`${below}a`, "2");
    expect((await store.list({ prefix: below })).keys).toEqual([{ name: `${below}a` }]);
    expect(await store.get(`${below}a`)).toBe("2");
  });

  it.each([
    ["no key", "", {}],
    ["a key of one dot", ".", {}],
    ["a key over 512 bytes", "ü".repeat(257), {}],
    ["a life under a minute", "client:short", { expirationTtl: 59 }],
    ["a time under a minute away", "client:short", { expiration: seconds() + 30 }],
    ["metadata over a KiB", "client:meta", { metadata: "x".repeat(1100) }],
  ])("refuses %s", async (_what, key, options) => {
    await expect(store.put(key, "x", options)).rejects.toThrow();
  });
});

describe("the grant store, beyond KV", () => {
  const store = createGrantStore(env.GRANT);

  it("what is put holds at once, from wherever it is read", async () => {
    const key = `client:${newId()}`;
    expect(await store.get(key)).toBeNull();
    await store.put(key, "new");
    expect(await createGrantStore(env.GRANT).get(key)).toBe("new");
  });

  it.each([undefined, "", "client:", "grant:", "token:", "grant:abc", "transaction:"])(
    "a list of %j, which many objects have, is refused",
    async (prefix) => {
      await expect(store.list(prefix === undefined ? {} : { prefix })).rejects.toThrow(TypeError);
    },
  );

  it.each([0, 1001, 2.5])("a page of %s keys is refused", async (limit) => {
    await expect(store.list({ prefix: "grant:abc:", limit })).rejects.toThrow(TypeError);
  });

  it("of two that take a pending sign-in at once, one gets it", async () => {
    const key = `transaction:${newId()}`;
    await store.put(key, "sealed", { expirationTtl: 600 });
    const taken = await Promise.allSettled([store.delete(key), store.delete(key), store.delete(key)]);
    expect(taken.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected", "rejected"]);
  });

  it("of two that present a client assertion at once, one is let in", async () => {
    const key = `client-assertion-jti:${newId()}`;
    const put = async (): Promise<void> => store.put(key, "1", { expirationTtl: 120 });
    const taken = await Promise.allSettled([put(), put(), put()]);
    expect(taken.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected", "rejected"]);
  });

  it("what has expired is not there, whether swept or not, and the alarm takes it away", async () => {
    const user = newId();
    const key = `token:${user}:g:h`;
    const value = JSON.stringify({ grant: { clientId: "c" } });
    await store.put(key, value, { expirationTtl: 60 });
    const shard = env.GRANT.get(env.GRANT.idFromName(`user ${user}`));
    vi.setSystemTime(Date.now() + 59_000);
    expect(await store.get(key)).toBe(value);
    vi.setSystemTime(Date.now() + 2000);
    expect(await store.get(key)).toBeNull();
    expect((await store.list({ prefix: `token:${user}:` })).keys).toEqual([]);
    expect(await runDurableObjectAlarm(shard)).toBe(true);
    const rows = await runInDurableObject(shard, async (_object, { storage }) =>
      storage.sql.exec("SELECT count(*) AS rows FROM entry").one(),
    );
    expect(rows).toEqual({ rows: 0 });
    // What is remembered of the token goes too, and with it the last trace of the shard.
    vi.setSystemTime(Date.now() + 8 * 86_400_000);
    expect(await runDurableObjectAlarm(shard)).toBe(true);
    expect(await tablesOf(shard)).toEqual([]);
    vi.useRealTimers();
    await store.put(key, value);
    expect(await store.get(key)).toBe(value);
  });

  it("asking for what is not there leaves nothing behind", async () => {
    const user = newId();
    const shard = env.GRANT.get(env.GRANT.idFromName(`user ${user}`));
    expect(await store.get(`token:${user}:g:h`)).toBeNull();
    expect(await store.list({ prefix: `grant:${user}:` })).toEqual({ keys: [], list_complete: true });
    await store.delete(`grant:${user}:g`);
    expect(await shard.end("g")).toBe(false);
    await shard.refused("g", "h");
    expect(await shard.grants()).toEqual([]);
    expect(await tablesOf(shard)).toEqual([]);
  });
});

async function tablesOf(shard: ReturnType<typeof env.GRANT.get>): Promise<readonly unknown[]> {
  return runInDurableObject(shard, async (_object, { storage }) =>
    storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
  );
}
