// A stand-in for KV as it is between places: what is written in one is seen there at once, and elsewhere only after up to a
// minute. The time is the test's.
import type { GrantStore } from "../../src/auth/grants/kv.ts";
import { keptOf, readAs } from "../../src/auth/grants/kv.ts";

export interface DelayedStore {
  /** The store as one place sees it. */
  at(place: string): GrantStore;
}

interface Write {
  readonly place: string;
  readonly atMs: number;
  /** Null when it was deleted. */
  readonly value: string | null;
}

/** Other places see a write `delayMs` later. Lists and expiry are left out: nothing that races uses them. */
export function createDelayedStore(delayMs: number, now: () => number): DelayedStore {
  const history = new Map<string, Write[]>();
  const write = (key: string, place: string, value: string | null): void => {
    const writes = history.get(key) ?? [];
    history.set(key, [...writes, { place, atMs: now(), value }]);
  };
  const seen = (key: string, place: string): string | null =>
    (history.get(key) ?? []).findLast((one) => one.place === place || one.atMs + delayMs <= now())?.value ?? null;
  return {
    at: (place) => ({
      get: async (key, type) => readAs(seen(key, place), type),
      put: async (key, value, options) => write(key, place, keptOf(value, options).value),
      delete: async (key) => write(key, place, null),
      list: async ({ prefix = "" } = {}) => {
        const names = [...history.keys()].filter((name) => name.startsWith(prefix) && seen(name, place) !== null);
        return { keys: names.map((name) => ({ name })), list_complete: true };
      },
    }),
  };
}
