// The grant store as the OAuth provider sees it in the Worker: a KV namespace whose keys live in the objects of their shards,
// with what KV lacks: what may be used once is used once.
import { AuthorizationError } from "@cloudflare/workers-oauth-provider";
import type { GrantStore } from "./kv.ts";
import { keptOf, listLimit, pageOf, readAs, requireKey } from "./kv.ts";
import { shardOf, shardOfPrefix } from "./protocol.ts";
import type { GrantNamespace } from "./protocol.ts";

/** A pending consent or sign-in: its handle is good once. */
const TRANSACTION = "transaction:";
/** A used client assertion: there must be none yet. */
const ASSERTION = "client-assertion-jti:";

/**
 * Builds the store. `get`, `put`, `delete` and `list` are one call to one object each, strongly consistent. Unlike KV: `delete` of a
 * transaction that is not there, and `put` of an assertion that is, throw `AuthorizationError`, so that of two that arrive
 * at once one is refused; `list` of a prefix that is spread over many objects throws `TypeError`.
 */
export function createGrantStore(namespace: GrantNamespace): GrantStore {
  const shard = (name: string) => namespace.get(namespace.idFromName(name));
  return {
    async get(key, type) {
      requireKey(key);
      return readAs(await shard(shardOf(key)).get(key), type);
    },
    async put(key, value, options) {
      requireKey(key);
      const kept = keptOf(value, options);
      if (!key.startsWith(ASSERTION)) return shard(shardOf(key)).put(key, kept);
      if (!(await shard(shardOf(key)).add(key, kept))) throw usedTwice("assertion");
    },
    async delete(key) {
      requireKey(key);
      const wasThere = await shard(shardOf(key)).remove(key);
      if (!wasThere && key.startsWith(TRANSACTION)) throw usedTwice("authorization");
    },
    async list({ prefix = "", limit, cursor } = {}) {
      const name = shardOfPrefix(prefix);
      if (name === undefined) throw new TypeError("only the keys of one user can be listed");
      return pageOf(await shard(name).list(prefix, listLimit(limit), cursor ?? null));
    },
  };
}

function usedTwice(what: string): AuthorizationError {
  return new AuthorizationError("invalid_request", { description: `This ${what} was already used; start again` });
}
