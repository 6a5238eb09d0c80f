// The contract that the OAuth provider expects of a KV namespace: one suite for a real namespace and for the grant store.
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import type { GrantStore, KeyPage } from "../../../src/oauth/grants/kv-contract.ts";
import { createGrantStore } from "../../../src/oauth/grants/grant-kv-store.ts";
import { newId } from "../../../src/lib/ids.ts";

/** Adapts a real namespace to the store's interface, whose overloads differ. */
function adaptKv(namespace: KVNamespace): GrantStore {
  return {
    get: async (key, type = "text") => {
      const valueType = typeof type === "string" ? type : (type.type ?? "text");
      return valueType === "json" ? namespace.get(key, "json") : namespace.get(key, "text");
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
  ["real KV", () => adaptKv(env.HANDBOOK)],
  ["the grant store", () => createGrantStore(env.GRANT)],
];

const seconds = (): number => Math.floor(Date.now() / 1000);

describe.each(STORES)("%s", (_name, open) => {
  const store = open();
  /** Creates a prefix that no other test uses. */
  const newPrefix = (): string => `grant:${newId()}:`;

  it("returns what was put, as text or JSON", async () => {
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

  it("deletes a key, and accepts that it does not exist", async () => {
    const key = `client:${newId()}`;
    await store.put(key, "a");
    await store.delete(key);
    await store.delete(key);
    expect(await store.get(key)).toBeNull();
  });

  it("lists a prefix in order, with metadata and expiry", async () => {
    const prefix = newPrefix();
    const expiration = seconds() + 3600;
    await store.put(`${prefix}b`, "1", { metadata: { clientId: "ü", resource: ["x"] }, expiration });
    await store.put(`${prefix}a`, "2", { metadata: null });
    await store.put(`${prefix}ä`, "3");
    await store.put(`${prefix}B`, "4", { expirationTtl: 600 });
    await store.put(`${prefix.slice(0, -1)}x:a`, "another prefix");
    const { keys, list_complete: isComplete } = await store.list({ prefix });
    expect(isComplete).toBe(true);
    expect(keys.map(({ name }) => name.slice(prefix.length))).toEqual(["B", "a", "b", "ä"]);
    expect(keys[2]).toEqual({
      name: `${prefix}b`,
      expiration,
      metadata: { clientId: "ü", resource: ["x"] },
    });
    expect(keys[3]).toEqual({ name: `${prefix}ä` });
    const { expiration: listedExpiration = 0 } = keys[0] ?? {};
    expect(Math.abs(listedExpiration - (seconds() + 600))).toBeLessThanOrEqual(5);
  });

  it("lists in pages without gaps, also when the last page is full", async () => {
    const prefix = newPrefix();
    for (let index = 0; index < 6; index += 1) await store.put(`${prefix}${index}`, "x");
    const names: string[] = [];
    const sizes: number[] = [];
    let cursor: string | undefined;
    do {
      const page: KeyPage = await store.list({ prefix, limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      names.push(...page.keys.map(({ name }) => name.slice(prefix.length)));
      sizes.push(page.keys.length);
      cursor = page.list_complete ? undefined : page.cursor;
    } while (cursor !== undefined);
    expect(names).toEqual(["0", "1", "2", "3", "4", "5"]);
    expect(sizes.slice(0, 2)).toEqual([3, 3]);
    expect(await store.list({ prefix: newPrefix() })).toEqual({ keys: [], list_complete: true });
  });

  it("replaces value, metadata and expiry with a put", async () => {
    const prefix = newPrefix();
    await store.put(`${prefix}a`, "1", { metadata: { clientId: "old" }, expirationTtl: 60 });
    await store.put(`${prefix}a`, "2");
    expect((await store.list({ prefix })).keys).toEqual([{ name: `${prefix}a` }]);
    expect(await store.get(`${prefix}a`)).toBe("2");
  });

  it.each([
    ["no key", "", {}],
    ["the key .", ".", {}],
    ["a key over 512 bytes", "ü".repeat(257), {}],
    ["a TTL under a minute", "client:short", { expirationTtl: 59 }],
    ["an expiration less than a minute away", "client:short", { expiration: seconds() + 30 }],
    ["metadata over 1 KiB", "client:meta", { metadata: "x".repeat(1100) }],
  ])("rejects a put with %s", async (_case, key, options) => {
    await expect(store.put(key, "x", options)).rejects.toThrow();
  });
});

describe("the grant store, unlike KV,", () => {
  const store = createGrantStore(env.GRANT);

  it("returns a new value at once from every store over the namespace", async () => {
    const key = `client:${newId()}`;
    expect(await store.get(key)).toBeNull();
    await store.put(key, "new");
    expect(await createGrantStore(env.GRANT).get(key)).toBe("new");
  });

  it.each([undefined, "", "client:", "grant:", "token:", "grant:abc", "transaction:"])(
    "refuses to list the prefix %j, whose keys are in several shards",
    async (prefix) => {
      await expect(store.list(prefix === undefined ? {} : { prefix })).rejects.toThrow(TypeError);
    },
  );

  it.each([0, 1001, 2.5])("refuses to list a page of %s keys", async (limit) => {
    await expect(store.list({ prefix: "grant:abc:", limit })).rejects.toThrow(TypeError);
  });

  it("lets one of three concurrent requests delete a pending sign-in", async () => {
    const key = `transaction:${newId()}`;
    await store.put(key, "sealed", { expirationTtl: 600 });
    const results = await Promise.allSettled([store.delete(key), store.delete(key), store.delete(key)]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected", "rejected"]);
  });

  it("lets one of three concurrent requests put a client assertion", async () => {
    const key = `client-assertion-jti:${newId()}`;
    const put = async (): Promise<void> => store.put(key, "1", { expirationTtl: 120 });
    const results = await Promise.allSettled([put(), put(), put()]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected", "rejected"]);
  });

  it("never returns an expired entry, and purges it and then itself at the alarm", async () => {
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
    // A week later the record of the expired access token is purged too, and with it the whole storage of the shard.
    vi.setSystemTime(Date.now() + 8 * 86_400_000);
    expect(await runDurableObjectAlarm(shard)).toBe(true);
    expect(await listTables(shard)).toEqual([]);
    vi.useRealTimers();
    await store.put(key, value);
    expect(await store.get(key)).toBe(value);
  });

  it("stores nothing for reads, deletions and refusals of unknown keys", async () => {
    const user = newId();
    const shard = env.GRANT.get(env.GRANT.idFromName(`user ${user}`));
    expect(await store.get(`token:${user}:g:h`)).toBeNull();
    expect(await store.list({ prefix: `grant:${user}:` })).toEqual({ keys: [], list_complete: true });
    await store.delete(`grant:${user}:g`);
    expect(await shard.endGrant("g")).toBe(false);
    await shard.recordRefusal("g", "h");
    expect(await shard.listGrants()).toEqual([]);
    expect(await listTables(shard)).toEqual([]);
  });
});

async function listTables(shard: ReturnType<typeof env.GRANT.get>): Promise<readonly unknown[]> {
  return runInDurableObject(shard, async (_object, { storage }) =>
    storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
  );
}
