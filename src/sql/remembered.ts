// What layers found of statements over one copy of a schema, so that they need not find the same out each time. It decides nothing,
// and holds neither rows nor bound values. It is gone with the copy.
import type { GuardedQuery } from "./guard.ts";
import type { SchemaCopy } from "./schema.ts";

export interface Memory<Found> {
  /** `key` as of `keyOf`. */
  get(copy: SchemaCopy, key: string): Found | undefined;
  /** Keeps it; of each copy, what was not used for longest goes first. */
  set(copy: SchemaCopy, key: string, found: Found): void;
}

/** Characters that one memory holds of one copy: of keys, and of what was found. */
const MAX_CHARACTERS = 500_000;

/**
 * What makes a composed statement the same as an earlier one for every layer: its three parts without the nonce, which nobody can
 * write, and all that is said of the views in it. Two people's views may have one text and still differ in what is masked in them, so
 * that another order would tell. Bound values are no part of it, so nothing that depends on them may be remembered.
 */
export function keyOf({ before, body, after, used }: GuardedQuery, nonce: string): string {
  const views = used.map(({ name, reads, clear, settled, isMasked, isRowRestricted, lookup }) => {
    return [name, reads, clear, settled, isMasked, isRowRestricted, lookup?.table];
  });
  return JSON.stringify([before.replaceAll(nonce, ""), body, after.replaceAll(nonce, ""), views]);
}

/** `sizeOf`: the characters of what was found. */
export function createMemory<Found>(
  sizeOf: (found: Found) => number = () => 0,
  maxCharacters = MAX_CHARACTERS,
): Memory<Found> {
  const ofCopy = new WeakMap<SchemaCopy, Shelf<Found>>();
  return {
    get: (copy, key) => ofCopy.get(copy)?.get(key),
    set(copy, key, found) {
      const shelf = ofCopy.get(copy) ?? createShelf<Found>(maxCharacters);
      ofCopy.set(copy, shelf);
      shelf.set(key, found, key.length + sizeOf(found));
    },
  };
}

interface Shelf<Found> {
  get(key: string): Found | undefined;
  set(key: string, found: Found, size: number): void;
}

function createShelf<Found>(maxCharacters: number): Shelf<Found> {
  // A map keeps the order in which its entries came: the least recently used stands first.
  const entries = new Map<string, { readonly found: Found; readonly size: number }>();
  let characters = 0;
  const remove = (key: string): void => {
    characters -= entries.get(key)?.size ?? 0;
    entries.delete(key);
  };
  return {
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry.found;
    },
    set(key, found, size) {
      remove(key);
      if (size > maxCharacters) return;
      entries.set(key, { found, size });
      characters += size;
      for (const oldest of entries.keys()) {
        if (characters <= maxCharacters) return;
        remove(oldest);
      }
    },
  };
}
