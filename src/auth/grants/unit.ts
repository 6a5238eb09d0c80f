// A request's work on one grant, as the OAuth provider does it: it reads from the shard and writes here, and all of it is
// committed at once or not at all. The provider itself reads, awaits and writes, key by key; a crash in between, or another
// request, would leave half of it.
import type { GrantStore } from "./kv.ts";
import { keptOf, listLimit, pageOf, readAs, requireKey } from "./kv.ts";
import { shardOf, shardOfPrefix } from "./protocol.ts";
import type { Kept } from "./protocol.ts";
import type { Shard, Writes } from "./shard.ts";

export interface Unit {
  /** For the provider. */
  readonly store: GrantStore;
  readonly writes: Writes;
  /** The grant as it was read first; null when it was not. */
  read(): string | undefined | null;
  /** Whether the work ends the grant. */
  endsGrant(): boolean;
}

export interface UnitOptions {
  readonly shard: Pick<Shard, "get" | "list">;
  readonly shardName: string;
  /** The key of the grant that this is about. */
  readonly key: string;
  /** The other shards. */
  readonly outside: GrantStore;
  /** Shows the provider another form of the grant than is stored. */
  readonly present: (value: string) => string;
  readonly now: () => number;
}

export function createUnit({ shard, shardName, key: grant, outside, present, now }: UnitOptions): Unit {
  const writes = new Map<string, Kept | null>();
  let read: string | undefined | null = null;

  const stored = (key: string): string | undefined => {
    const value = shard.get(key, now());
    if (key !== grant) return value;
    read = read === null ? value : read;
    return value === undefined ? undefined : present(value);
  };

  const store: GrantStore = {
    async get(key, type) {
      if (shardOf(key) !== shardName) return outside.get(key, type);
      const written = writes.get(key);
      return readAs((written === undefined ? stored(key) : written?.value) ?? null, type);
    },
    async put(key, value, options) {
      if (shardOf(key) !== shardName) return outside.put(key, value, options);
      requireKey(key);
      writes.set(key, keptOf(value, options));
    },
    async delete(key) {
      if (shardOf(key) !== shardName) return outside.delete(key);
      writes.set(key, null);
    },
    /** What is stored: the provider lists only what it is about to delete. */
    async list({ prefix = "", limit, cursor } = {}) {
      if (shardOfPrefix(prefix) !== shardName) return outside.list({ prefix });
      return pageOf(shard.list(prefix, listLimit(limit), cursor ?? null, now()));
    },
  };
  return { store, writes, read: () => read, endsGrant: () => writes.get(grant) === null };
}
