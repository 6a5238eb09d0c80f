// Keys of the OAuth provider's store. The provider makes them of what a client sends (client id, code, token) before it knows anything of the
// client, and the store throws on a long one: anybody could cause defects, at /mcp too.
import { isKey } from "./grants/kv.ts";
import type { GrantStore } from "./grants/kv.ts";

/** The store, in which nothing is ever found under a key that it could not hold. */
export function boundKeys(store: GrantStore): GrantStore {
  return {
    get: async (key, type) => (isKey(key) ? store.get(key, type) : null),
    put: async (key, value, options) => store.put(key, value, options),
    delete: async (key) => store.delete(key),
    list: async (options) => store.list(options),
  };
}
