// How long a registered client is kept. The OAuth provider stores each for UNUSED_CLIENT_SECONDS; one that gets tokens is kept longer
// here, so that no connection outlives the client that refreshes it.
import * as z from "zod";
import type { GrantStore } from "./grants/kv.ts";
import { UNUSED_CLIENT_SECONDS } from "./registration.ts";

export interface ClientLife {
  /** The store for one request to the token endpoint. */
  readonly store: GrantStore;
  /** Keeps the client for at least so long, if the request gave it a token. Writes at most once in UNUSED_CLIENT_SECONDS. */
  keepIfUsed(seconds: number): Promise<void>;
}

const CLIENT = "client:";
const TOKEN = "token:";

/** Only what the provider stamped with its end: any other record is kept as it is. */
const recordSchema = z.looseObject({ registrationExpiresAt: z.int() });
/** When a token was given out, in seconds since the epoch. */
const tokenSchema = z.object({ createdAt: z.int() });

/**
 * Watches a request to the token endpoint. The provider would renew a client at every answer that is no error, and so at revocations of
 * tokens that never were: anyone could keep unused clients for ever. Its renewals are left out, and giving out a token alone counts.
 */
export function watchClientLife(store: GrantStore): ClientLife {
  let client: { readonly key: string; readonly record: unknown } | undefined;
  let usedSeconds: number | undefined;
  return {
    store: {
      ...store,
      async get(key, type) {
        const value = await store.get(key, type);
        if (key.startsWith(CLIENT)) client = { key, record: value };
        return value;
      },
      async put(key, value, options) {
        if (key.startsWith(CLIENT)) return;
        if (key.startsWith(TOKEN)) usedSeconds = tokenSchema.parse(JSON.parse(value)).createdAt;
        await store.put(key, value, options);
      },
    },
    async keepIfUsed(seconds) {
      const parsed = recordSchema.safeParse(client?.record);
      if (usedSeconds === undefined || client === undefined || !parsed.success) return;
      if (parsed.data.registrationExpiresAt >= usedSeconds + seconds) return;
      const expirationTtl = seconds + UNUSED_CLIENT_SECONDS;
      const record = { ...parsed.data, registrationExpiresAt: usedSeconds + expirationTtl };
      await store.put(client.key, JSON.stringify(record), { expirationTtl });
    },
  };
}
