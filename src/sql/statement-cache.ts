// Caches what the layers found out about statements over one copy of a schema, so that they need not find it out again. It decides
// nothing, and holds neither rows nor bound values.
import { LRUCache } from "lru-cache";
import type { GuardedQuery } from "./statement-guard.ts";
import type { SchemaCopy, SchemaSnapshot } from "./schema-copy.ts";

/** Caches values by schema and statement. */
interface StatementCache<Value> {
  /** Returns the cached value. `buildStatementKey` builds the key. */
  get(copy: SchemaCopy, key: string): Value | undefined;
  /** Stores a value, and evicts the least recently used values of the schema. */
  set(copy: SchemaCopy, key: string, value: Value): void;
}

/** Maximum characters of the keys and values that one cache holds for one schema. */
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
  return JSON.stringify([before.replaceAll(nonce, ""), body.replaceAll(nonce, ""), after.replaceAll(nonce, ""), views]);
}

/** Creates a cache. `countCharacters` returns the size of a value. */
export function createStatementCache<Value extends {}>(
  countCharacters: (value: Value) => number = () => 0,
  maxCharacters = MAX_CHARACTERS,
): StatementCache<Value> {
  // What is known of a statement depends on the schema alone, so it outlives a copy that the engine pool evicts.
  const cacheBySchema = new WeakMap<SchemaSnapshot, LRUCache<string, Value>>();
  return {
    get: ({ snapshot }, key) => cacheBySchema.get(snapshot)?.get(key),
    set({ snapshot }, key, value) {
      const cache = cacheBySchema.get(snapshot) ?? new LRUCache<string, Value>({ maxSize: maxCharacters });
      cacheBySchema.set(snapshot, cache);
      cache.set(key, value, { size: Math.max(1, key.length + countCharacters(value)) });
    },
  };
}
