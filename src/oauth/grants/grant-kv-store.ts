// The grant store as the OAuth provider uses it in the Worker: a KV namespace whose keys are stored in Durable Objects. Unlike KV, it
// guarantees that a single-use entry is used only once.
import { AuthorizationError } from "@cloudflare/workers-oauth-provider";
import type { GrantStore } from "./kv-contract.ts";
import { parseEntry, parseListLimit, toKeyPage, decodeValue, requireValidKey } from "./kv-contract.ts";
import { nameShard, nameShardOfPrefix } from "./grant-protocol.ts";
import type { GrantNamespace } from "./grant-protocol.ts";

/** The keys of pending consents and sign-ins, which can be used once. */
const TRANSACTION_PREFIX = "transaction:";
/** The keys of used client assertions: the second use of an assertion must be refused. */
const ASSERTION_PREFIX = "client-assertion-jti:";

/**
 * Creates the store. Each method makes one strongly consistent call to one object. `delete` of a missing transaction and `put` of an
 * existing assertion throw `AuthorizationError`, so that one of two concurrent uses is refused. `list` throws `TypeError` for a prefix
 * whose keys belong to several objects.
 */
export function createGrantStore(namespace: GrantNamespace): GrantStore {
  const getShard = (shardName: string) => namespace.get(namespace.idFromName(shardName));
  return {
    async get(key, type) {
      requireValidKey(key);
      return decodeValue(await getShard(nameShard(key)).get(key), type);
    },
    async put(key, value, options) {
      requireValidKey(key);
      const entry = parseEntry(value, options);
      if (!key.startsWith(ASSERTION_PREFIX)) return getShard(nameShard(key)).put(key, entry);
      if (!(await getShard(nameShard(key)).add(key, entry))) throw createUsedTwiceError("assertion");
    },
    async delete(key) {
      requireValidKey(key);
      const existed = await getShard(nameShard(key)).remove(key);
      if (!existed && key.startsWith(TRANSACTION_PREFIX)) throw createUsedTwiceError("authorization");
    },
    async list({ prefix = "", limit, cursor } = {}) {
      const shardName = nameShardOfPrefix(prefix);
      if (shardName === undefined) throw new TypeError("list takes only a prefix of one user's keys");
      return toKeyPage(await getShard(shardName).list(prefix, parseListLimit(limit), cursor ?? null));
    },
  };
}

function createUsedTwiceError(entryName: string): AuthorizationError {
  return new AuthorizationError("invalid_request", { description: `This ${entryName} was already used; start again` });
}
