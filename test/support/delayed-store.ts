// A fake KV store with KV's eventual consistency: a write is visible at once in the location that made it, and in other locations after
// a delay. The test controls the time.
import type { GrantStore } from "../../src/oauth/grants/kv-contract.ts";
import { parseEntry, decodeValue } from "../../src/oauth/grants/kv-contract.ts";

/** A store that several locations share. */
interface DelayedStore {
  /** The store as one location sees it. */
  at(place: string): GrantStore;
}

interface Write {
  readonly place: string;
  readonly atMs: number;
  /** Null for a deletion. */
  readonly value: string | null;
}

/** Creates a store in which other locations see a write `delayMs` later. It does not delay lists and ignores expiry. */
export function createDelayedStore(delayMs: number, now: () => number): DelayedStore {
  const history = new Map<string, Write[]>();
  const write = (key: string, place: string, value: string | null): void => {
    const writes = history.get(key) ?? [];
    history.set(key, [...writes, { place, atMs: now(), value }]);
  };
  const seen = (key: string, place: string): string | null =>
    (history.get(key) ?? []).findLast((made) => made.place === place || made.atMs + delayMs <= now())?.value ?? null;
  return {
    at: (place) => ({
      get: async (key, type) => decodeValue(seen(key, place), type),
      put: async (key, value, options) => write(key, place, parseEntry(value, options).value),
      delete: async (key) => write(key, place, null),
      list: async ({ prefix = "" } = {}) => {
        const names = [...history.keys()].filter((name) => name.startsWith(prefix) && seen(name, place) !== null);
        return { keys: names.map((name) => ({ name })), list_complete: true };
      },
    }),
  };
}
