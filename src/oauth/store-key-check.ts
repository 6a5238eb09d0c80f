// Guards the OAuth provider's store against invalid keys. The provider builds keys from unauthenticated input (client id, code,
// access token), and the store throws on a key that is too long: any request could cause a 500, also at /mcp.
import { isValidKey } from "./grants/kv-contract.ts";
import type { GrantStore } from "./grants/kv-contract.ts";

/** Wraps the store so that `get` returns null for a key that the store cannot hold, instead of throwing. */
export function withBoundedKeys(store: GrantStore): GrantStore {
  return {
    get: async (key, type) => (isValidKey(key) ? store.get(key, type) : null),
    put: async (key, value, options) => store.put(key, value, options),
    delete: async (key) => store.delete(key),
    list: async (options) => store.list(options),
  };
}
