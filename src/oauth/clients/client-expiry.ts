// Extends the life of registered clients that get access tokens, so that no connection outlives the client that refreshes it. The OAuth
// provider stores every client for UNUSED_CLIENT_SECONDS.
import * as z from "zod";
import type { GrantStore } from "../grants/kv-contract.ts";
import { UNUSED_CLIENT_SECONDS } from "./client-registration.ts";

interface ClientExpiryTracker {
  /** The store for one request to the token endpoint. */
  readonly store: GrantStore;
  /** Keeps the client for at least `seconds` if the request issued an access token. Writes at most once per UNUSED_CLIENT_SECONDS. */
  extendIfUsed(seconds: number): Promise<void>;
}

const CLIENT_PREFIX = "client:";
const ACCESS_TOKEN_PREFIX = "token:";

/** A client record with the expiry that the provider sets. Other records are not changed. */
const recordSchema = z.looseObject({ registrationExpiresAt: z.int() });
/** When an access token was issued, in seconds since the epoch. */
const accessTokenSchema = z.object({ createdAt: z.int() });

/**
 * Tracks one request to the token endpoint. The provider would renew a client after every successful response, also after the
 * revocation of a made-up access token, so anyone could keep unused clients for ever. The tracker drops the provider's renewals and
 * counts only issued access tokens.
 */
export function trackClientExpiry(store: GrantStore): ClientExpiryTracker {
  let client: { readonly key: string; readonly record: unknown } | undefined;
  let issuedAtSeconds: number | undefined;
  return {
    store: {
      async get(key, type) {
        const value = await store.get(key, type);
        if (key.startsWith(CLIENT_PREFIX)) client = { key, record: value };
        return value;
      },
      async put(key, value, options) {
        if (key.startsWith(CLIENT_PREFIX)) return;
        if (key.startsWith(ACCESS_TOKEN_PREFIX)) issuedAtSeconds = accessTokenSchema.parse(JSON.parse(value)).createdAt;
        await store.put(key, value, options);
      },
      delete: async (key) => store.delete(key),
      list: async (options) => store.list(options),
    },
    async extendIfUsed(seconds) {
      const parsed = recordSchema.safeParse(client?.record);
      if (issuedAtSeconds === undefined || client === undefined || !parsed.success) return;
      if (parsed.data.registrationExpiresAt >= issuedAtSeconds + seconds) return;
      const expirationTtl = seconds + UNUSED_CLIENT_SECONDS;
      const record = { ...parsed.data, registrationExpiresAt: issuedAtSeconds + expirationTtl };
      await store.put(client.key, JSON.stringify(record), { expirationTtl });
    },
  };
}
