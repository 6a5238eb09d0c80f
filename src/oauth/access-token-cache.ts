// Caches the stored entries of access tokens in the isolate, so that a call that begins in the ledger need not read them from the grant
// store: the ledger knows which of them have ended. An entry is cached as it is stored. Its secret part is encrypted with a key that only
// the access token gives, and the OAuth provider checks expiry and resource with each request. Personal access tokens are never cached.
import { LRUCache } from "lru-cache";
import * as z from "zod";
import { parseEntryKey } from "./grants/grant-record.ts";
import { decodeValue } from "./grants/kv-contract.ts";
import type { GrantStore } from "./grants/kv-contract.ts";

/** A cache of one isolate. */
export interface AccessTokenCache {
  /** Opens the cache for one request to /mcp. */
  open(store: GrantStore): RequestAccessToken;
}

/** The access token of one request. */
export interface RequestAccessToken {
  /** The grant store, except that the entry of an access token may come from the cache. */
  readonly store: GrantStore;
  /** Whether the entry of the access token is still stored. Reads it unless this request has done so. */
  isCurrent(): Promise<boolean>;
  /** Forgets the entry of the access token. */
  drop(): void;
}

interface AccessTokenCacheOptions {
  /** Returns milliseconds since the epoch. */
  readonly now: () => number;
  /** The most cached entries. */
  readonly maxEntries?: number;
}

interface CachedEntry {
  /** The entry as it is stored. */
  readonly text: string;
  readonly untilMs: number;
}

/** How long an entry is cached. The ledger remembers an ended access token for much longer. */
const MAX_AGE_MS = 60_000;
/** About 1.5 KB each. */
const MAX_ENTRIES = 2000;

/** `expiresAt` is in seconds since the epoch. */
const entrySchema = z.object({ expiresAt: z.number() });

/** Creates an empty cache. */
export function createAccessTokenCache({ now, maxEntries = MAX_ENTRIES }: AccessTokenCacheOptions): AccessTokenCache {
  const cache = new LRUCache<string, CachedEntry>({ max: maxEntries });
  const find = (key: string): string | undefined => {
    const entry = cache.get(key);
    if (entry !== undefined && now() < entry.untilMs) return entry.text;
    cache.delete(key);
    return undefined;
  };
  /** Reads an entry and caches it. Its age counts from before the read, because it may end while the answer is under way. */
  const read = async (store: GrantStore, key: string): Promise<string | null> => {
    const readMs = now();
    const text = await store.get(key, "text");
    if (typeof text !== "string") {
      cache.delete(key);
      return null;
    }
    const entry = entrySchema.safeParse(JSON.parse(text)).data;
    if (entry === undefined) cache.delete(key);
    else cache.set(key, { text, untilMs: Math.min(readMs + MAX_AGE_MS, entry.expiresAt * 1000) });
    return text;
  };

  return {
    open(store) {
      /** The entry that came from the cache; undefined when this request has read it. */
      let cached: { readonly key: string; readonly text: string } | undefined;
      let usedKey: string | undefined;
      return {
        store: {
          ...store,
          async get(key, type) {
            if (parseEntryKey(key)?.tokenHash === undefined) return store.get(key, type);
            usedKey = key;
            const text = find(key);
            if (text === undefined) return decodeValue(await read(store, key), type);
            cached = { key, text };
            return decodeValue(text, type);
          },
        },
        async isCurrent() {
          if (cached === undefined) return true;
          const { key, text } = cached;
          const isStored = (await read(store, key)) === text;
          if (isStored) cached = undefined;
          return isStored;
        },
        drop() {
          if (usedKey !== undefined) cache.delete(usedKey);
        },
      };
    },
  };
}
