// Caches what the layers found out about statements over one copy of a schema, so that they need not find it out again. It decides
// nothing, and holds neither rows nor bound values. It is dropped with the copy.
import type { GuardedQuery } from "./statement-guard.ts";
import type { SchemaCopy } from "./schema-copy.ts";

/** Caches values by copy and statement. */
interface StatementCache<Value> {
  /** Returns the cached value. `buildStatementKey` builds the key. */
  get(copy: SchemaCopy, key: string): Value | undefined;
  /** Stores a value, and evicts the least recently used values of the copy. */
  set(copy: SchemaCopy, key: string, value: Value): void;
}

/** Maximum characters of the keys and values that one cache holds for one copy. */
const MAX_CHARACTERS = 500_000;

/**
 * Builds the key under which a composed statement equals an earlier one for every layer: its three parts without the nonce, which a user
 * cannot guess, and everything that layers read about its views. Views of two users may have the same text and still mask different
 * columns, so that a different row order leaks values. Bound values are not part of the key, so nothing that depends on them may be cached.
 */
export function buildStatementKey({ before, body, after, usedViews }: GuardedQuery, nonce: string): string {
  const views = usedViews.map(
    ({ name, readColumns, clearColumns, pinnedByRule, isMasked, isRowRestricted, lookup }) => {
      return [name, readColumns, clearColumns, pinnedByRule, isMasked, isRowRestricted, lookup?.table];
    },
  );
  return JSON.stringify([before.replaceAll(nonce, ""), body, after.replaceAll(nonce, ""), views]);
}

/** Creates a cache. `countCharacters` returns the size of a value. */
export function createStatementCache<Value>(
  countCharacters: (value: Value) => number = () => 0,
  maxCharacters = MAX_CHARACTERS,
): StatementCache<Value> {
  const cacheByCopy = new WeakMap<SchemaCopy, LruCache<Value>>();
  return {
    get: (copy, key) => cacheByCopy.get(copy)?.get(key),
    set(copy, key, value) {
      const cache = cacheByCopy.get(copy) ?? createLruCache<Value>(maxCharacters);
      cacheByCopy.set(copy, cache);
      cache.set(key, value, key.length + countCharacters(value));
    },
  };
}

interface LruCache<Value> {
  get(key: string): Value | undefined;
  set(key: string, value: Value, characters: number): void;
}

function createLruCache<Value>(maxCharacters: number): LruCache<Value> {
  // A map keeps insertion order: the least recently used entry comes first.
  const entries = new Map<string, { readonly value: Value; readonly characters: number }>();
  let totalCharacters = 0;
  const remove = (key: string): void => {
    totalCharacters -= entries.get(key)?.characters ?? 0;
    entries.delete(key);
  };
  return {
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry.value;
    },
    set(key, value, characters) {
      remove(key);
      if (characters > maxCharacters) return;
      entries.set(key, { value, characters });
      totalCharacters += characters;
      for (const oldest of entries.keys()) {
        if (totalCharacters <= maxCharacters) return;
        remove(oldest);
      }
    },
  };
}
